"""Every write to an account."""

from typing import TypedDict, Unpack

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from config.errors import AuthenticationFailed, Conflict, Invalid, InvalidToken, violated_constraint
from users import tokens
from users.models import EMAIL_TAKEN, User
from users.text import canonical_email

MAX_PASSWORD = 256  # hashing is slow on purpose


class EmailTaken(Conflict):
    code = "email_taken"
    title = "The e-mail address is taken"


class WeakPassword(Invalid):
    code = "weak_password"


class EmailImmutable(Invalid):
    code = "immutable"


class WrongCredentials(AuthenticationFailed):
    code = "wrong_credentials"
    title = "E-mail or password is wrong"


class AccountGone(InvalidToken):
    """The account was deleted after its token was checked."""


class AccountFields(TypedDict, total=False):
    name: str
    timezone: str
    is_active: bool
    is_staff: bool
    is_superuser: bool


def register(email: str, password: str, **fields: Unpack[AccountFields]) -> User:
    """Open an account. Raises WeakPassword and EmailTaken."""
    try:
        validate_password(password, User(email=email, name=fields.get("name", "")))
    except ValidationError as error:
        raise WeakPassword(" ".join(error.messages), pointer="/password") from error
    try:
        with transaction.atomic():
            return User.objects.create_user(email, password, **fields)
    except IntegrityError as error:
        raise _email_taken(error) from error


def sign_in(email: str, password: str) -> User:
    """The active user with this e-mail and password. Raises WrongCredentials, the same for every reason."""
    user = User.objects.filter(email_canonical=canonical_email(email)).first()
    if user is None:
        # Costs what checking a password costs, so that the time does not tell who has an account.
        make_password(password)
    elif user.check_password(password) and user.is_active:
        User.objects.filter(pk=user.pk).update(last_login=timezone.now())
        return user
    raise WrongCredentials("No active account has this e-mail and password.")


def refresh(token: str) -> tuple[User, tokens.TokenPair]:
    """A new pair for the session of a refresh token. Raises InvalidToken."""
    user, claims = tokens.authenticate_refresh(token)
    return user, tokens.mint(user, claims["sid"])


@transaction.atomic
def update_account(user: User, *, email: str | None = None, **changes: Unpack[AccountFields]) -> User:
    """Change what staff may change about an account. Raises EmailTaken and AccountGone."""
    _lock(user)
    fields: list[str] = [*changes]
    for name, value in changes.items():
        setattr(user, name, value)
    if email is not None:
        user.set_email(email)
        fields += ["email", "email_canonical"]
    try:
        with transaction.atomic():
            user.save(update_fields=fields)
    except IntegrityError as error:
        raise _email_taken(error) from error
    return user


def update_profile(user: User, *, email: str | None = None, **changes: Unpack[AccountFields]) -> User:
    """Change what users may change about themselves. Raises EmailImmutable.

    A client may send back the e-mail that it got, but not another: that would need proof of ownership.
    """
    if email is not None and canonical_email(email) != user.email_canonical:
        raise EmailImmutable("The e-mail address cannot be changed here.", pointer="/email")
    return update_account(user, **changes)


@transaction.atomic
def set_password(user: User, password: str | None) -> User:
    """Replace the password; every token minted before is refused from now on.

    Without a password nobody can sign in, until one is set. Raises AccountGone.
    """
    _lock(user)
    user.set_password(password)
    user.token_version += 1
    user.save(update_fields=["password", "token_version"])
    return user


@transaction.atomic
def delete_account(user: User) -> None:
    """Remove the account and all that belongs to it, for good. Raises AccountGone.

    Whoever creates something of this user at the same time either commits first, and it is removed too, or
    waits for this lock in its foreign key's check, and fails.
    """
    _lock(user)
    user.delete()


def _lock(user: User) -> None:
    """Lock the account and read it anew: `user` was loaded before, and others may have changed it since."""
    try:
        user.refresh_from_db(from_queryset=User.objects.select_for_update())
    except User.DoesNotExist as error:
        raise AccountGone("The account was deleted.") from error


def _email_taken(error: IntegrityError) -> Exception:
    if violated_constraint(error) in EMAIL_TAKEN:
        return EmailTaken("An account with this e-mail address exists; sign in instead.", pointer="/email")
    return error
