"""Creating, changing and deleting accounts."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypedDict, Unpack

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from config.database.isolation import all_users, as_user
from config.database.transactions import retried_transaction
from config.environment.rates import Rate
from config.errors import Conflict, Forbidden, Invalid, InvalidToken, LimitReached, violated_constraint
from config.http.limits import counters
from config.values import MAX_BIGINT
from users import audit
from users.audit import Action
from users.mail import services as mail
from users.models import EMAIL_TAKEN, Session, SpentInvitation, User
from users.services import external
from users.services.sessions import Device, lock_user, open_session
from users.text import canonical_email, opaque_string
from users.tokens import mailed

CODE_TRIES = Rate(20, 86_400)  # of an account's typed codes; so a guess is right once in ten billion days
# Tasks that changes of an account's time zone or `reminder_time` may recompute. A hundred thousand take seconds;
# meanwhile the account is locked, and sign-ins to it block the one thread that hashes passwords.
MOVED = Rate(300_000, 3600)

_followers: list[tuple[Callable[[User], None], tuple[str, ...]]] = []


def follow_account(service: Callable[[User], None], *names: str) -> None:
    """Register a service that runs when one of these settings of an account changes, such as its time zone, in the same
    transaction and with the account locked. For the `ready()` of an app whose rows depend on them."""
    _followers.append((service, names))


def count_moved(user: User, tasks: int) -> None:
    """Count against MOVED before the tasks are read; a rollback takes it back. While anything is left of the limit, a
    change may be of any size. Raises LimitReached."""
    key = salted_hmac("tasks.moved", str(user.pk), algorithm="sha256").hexdigest()[:32]
    limit = MOVED.limit
    if tasks and not counters.take(key, tasks, MOVED).granted(tasks, limit):
        raise LimitReached(
            f"Changes of your time zone and reminder_time took {limit:,} tasks along; try again in an hour.",
            limit=limit,
        )


class EmailTaken(Conflict):
    code = "email_taken"
    title = "The e-mail address is taken"


class WeakPassword(Invalid):
    code = "weak_password"


class EmailImmutable(Invalid):
    code = "immutable"


class InvalidProof(Invalid):
    keeps_writes = True  # the count of tries
    code = "invalid_proof"


class RegistrationClosed(Forbidden):
    code = "registration_closed"
    title = "Registration is closed"


class AccountGone(InvalidToken):
    """The account was deleted after its token was checked."""


class ProfileFields(TypedDict, total=False):
    """Fields that users may set themselves."""

    name: str
    timezone: str
    reminder_time: dt.time
    reminder_channels: list[str]
    default_reminder_minutes: int | None
    digest_time: dt.time | None


class AccountFields(ProfileFields, total=False):
    """Fields that staff may set, too."""

    is_active: bool
    is_staff: bool
    is_superuser: bool


@retried_transaction
def sign_up(
    device: Device, *, email: str, password: str, invitation: str = "", **fields: Unpack[ProfileFields]
) -> Session:
    """Registration through the API, if it is open: creates the account, mails a verification token, opens a session.

    Raises RegistrationClosed, InvalidProof for a bad invitation, WeakPassword and EmailTaken.
    """
    if settings.REGISTRATION == "closed":
        raise RegistrationClosed("This service takes no new accounts.")
    if settings.REGISTRATION == "invite" and not invitation:
        raise RegistrationClosed("New accounts are by invitation; ask whoever runs this service for one.")
    if invitation:
        _spend(invitation, email)
    user = register(email, password, is_verified=bool(invitation), **fields)
    if not user.is_email_verified:
        mail.send_email_verification(user)
    with as_user(user.pk):
        return open_session(user, device)


def _spend(invitation: str, email: str) -> None:
    """Redeem an invitation, once; a rollback gives it back. Raises InvalidProof."""
    refusal = InvalidProof("The invitation was used, has expired or is for another address.", pointer="/invitation")
    if not mailed.is_invited(invitation, email):
        raise refusal
    now = timezone.now()
    SpentInvitation.objects.filter(expires_at__lte=now).delete()
    digest = salted_hmac("users.invitation", invitation, algorithm="sha256").hexdigest()
    try:
        with transaction.atomic():
            SpentInvitation.objects.create(digest=digest, expires_at=now + mailed.INVITATION_LIFETIME)
    except IntegrityError as error:
        raise refusal from error


def register(email: str, password: str, *, is_verified: bool = False, **fields: Unpack[ProfileFields]) -> User:
    """Create a local account. Raises WeakPassword and EmailTaken.

    `is_verified` is for invited users, whose address is that of the invitation.
    """
    password = opaque_string(password)
    verified_at = timezone.now() if is_verified else None
    require_strong(password, User(email=email, name=fields.get("name", "")), pointer="/password")
    try:
        with all_users(), transaction.atomic():  # the new user has no id yet, so cannot be the current tenant
            user = User.objects.create_user(email, password, email_verified_at=verified_at, **fields)
            audit.record(Action.REGISTERED, user)
            return user
    except IntegrityError as error:
        raise email_taken(error, pointer="/email") from error


def require_strong(password: str, user: User, *, pointer: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise WeakPassword(" ".join(error.messages), pointer=pointer) from error


def request_email_verification(user: User) -> None:
    """Mail another verification token, unless the address is verified or the issuer's matter."""
    if not user.is_email_verified and not user.is_external:
        mail.send_email_verification(user)


@contextmanager
def counted(sent: str, email: str) -> Iterator[None]:
    """Count the try of a typed code, whose 40 bits bear few guesses, and give it back if the code was right.

    By address, whether or not it has an account, and outside of the transaction that a refusal rolls back. A token is
    too long to be guessed. Raises InvalidProof.
    """
    if mailed.typed_code(sent) is None:
        yield
        return
    if not email:
        raise InvalidProof("Send the address of the account along with a code of eight characters.", pointer="/email")
    key = salted_hmac("users.code-tries", canonical_email(email), algorithm="sha256").hexdigest()[:32]
    if not counters.take(key, 1, CODE_TRIES).granted(1, CODE_TRIES.limit):
        advice = "Too many codes were tried for this address today; use the link or the long code of the mail."
        raise InvalidProof(advice, pointer="/token")
    yield
    counters.take(key, -1, CODE_TRIES)


@contextmanager
def proven(proofs: Sequence[mailed.Proof], sent: str, email: str) -> Iterator[tuple[User, mailed.Proof]]:
    """The active account of a mailed token, or of a code with the account's address; and which of the proofs it is.

    The account is locked and the current tenant, so that a token is used once. Codes are for `counted` alone. Without
    an account the same is done, so that the timing does not reveal whether there is one.
    """
    refusal = InvalidProof("The code is invalid, was used or has expired; ask for a new mail.", pointer="/token")
    if mailed.typed_code(sent):
        with all_users():
            found = User.objects.filter(email_canonical=canonical_email(email)).values_list("pk", flat=True).first()
        user_id = found or MAX_BIGINT
    else:
        named = next((found for proof in proofs if (found := proof.user_id(sent))), None)
        if named is None:
            raise refusal
        user_id = named
    with as_user(user_id):
        user = lock_user(user_id) or User(pk=user_id, is_active=False)
        held = [proof for proof in proofs if proof.holds(sent, user)]
        if not held or not user.is_active:
            raise refusal
        yield user, held[0]


@retried_transaction
def update_account(
    user: User, *, email: str | None = None, is_verified: bool = False, **changes: Unpack[AccountFields]
) -> User:
    """Change the fields that staff may change. Raises EmailTaken and AccountGone.

    `is_verified` says so of the new address.
    """
    account = locked(user)
    fields: list[str] = [*changes]
    was_active, before = account.is_active, vars(account).copy()
    for name, value in changes.items():
        setattr(account, name, value)
    if email is not None:
        account.set_email(email)
        account.email_verified_at = timezone.now() if is_verified else None
        fields += ["email", "email_canonical", "email_verified_at"]
    if was_active and not account.is_active:
        # Activating the account again does not make its old tokens valid again.
        fields += end_tokens(account)
        audit.record(Action.DEACTIVATED, account)
    try:
        with transaction.atomic():
            account.save(update_fields=fields)
    except IntegrityError as error:
        raise email_taken(error, pointer="/email") from error
    for service, names in _followers:
        if any(getattr(account, name) != before[name] for name in names):
            service(account)
    return account


def update_profile(user: User, *, email: str | None = None, **changes: Unpack[ProfileFields]) -> User:
    """Change the fields that users may change themselves. Raises EmailImmutable.

    A client may send back the e-mail address that it got, but not another: that would need a proof of ownership.
    """
    if email is not None and canonical_email(email) != canonical_email(user.email):
        raise EmailImmutable("POST /api/users/me/email changes the e-mail address.", pointer="/email")
    return update_account(user, **changes)


def end_tokens(user: User) -> list[str]:
    """Revoke every session and token of a locked account; returns the fields that the caller has to save."""
    user.sessions.all().delete()
    revoked, _ = user.personal_tokens.all().delete()
    if revoked:
        audit.record(Action.TOKENS_REVOKED, user, tokens=revoked)
    user.token_version += 1
    return ["token_version"]


@retried_transaction
def delete_account(user: User) -> None:
    """Delete the account and all of its rows, for good. Raises AccountGone.

    A concurrent insert for this user either has locked the account first, and its row is deleted too, or waits for
    this lock, and then finds no account.
    """
    account = locked(user, against_new_tasks=True)
    if account.is_external:
        external.note_closing(account)
    audit.record(Action.DELETED, account)
    with all_users():  # the notes of staff, which the account does not see, go along
        account.delete()


def locked(user: User, *, against_new_tasks: bool = False) -> User:
    """The current account, locked: `user` was loaded earlier, and may be stale.

    Returns another object, so that a retried transaction begins with the same `user`. Raises AccountGone.
    """
    account = User.objects.select_for_update(no_key=not against_new_tasks).filter(pk=user.pk).first()
    if account is None:
        raise AccountGone("The account was deleted.")
    return account


def email_taken(error: IntegrityError, *, pointer: str) -> Exception:
    if violated_constraint(error) == EMAIL_TAKEN:
        return EmailTaken("An account with this e-mail address exists; sign in instead.", pointer=pointer)
    return error
