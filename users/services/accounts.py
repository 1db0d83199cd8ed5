"""Opening, changing and deleting accounts."""

import datetime as dt
from typing import TypedDict, Unpack

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from config.errors import Conflict, Forbidden, Invalid, InvalidToken, violated_constraint
from users import mail, proofs, tokens
from users.issuers import Identity
from users.models import EMAIL_TAKEN, ClosedAccount, Session, SpentInvitation, User
from users.services.sessions import Device, open_session
from users.text import canonical_email

MAX_PASSWORD = 256  # hashing is slow on purpose
# How long a deleted external account stays closed to tokens that do not say when they were issued.
CLOSED_FOR = dt.timedelta(days=1)


class EmailTaken(Conflict):
    code = "email_taken"
    title = "The e-mail address is taken"


class WeakPassword(Invalid):
    code = "weak_password"


class EmailImmutable(Invalid):
    code = "immutable"


class InvalidProof(Invalid):
    code = "invalid_proof"


class RegistrationClosed(Forbidden):
    code = "registration_closed"
    title = "Registration is closed"


class AccountGone(InvalidToken):
    """The account was deleted after its token was checked."""


class ProfileFields(TypedDict, total=False):
    """What people may set for themselves."""

    name: str
    timezone: str


class AccountFields(ProfileFields, total=False):
    """What staff may set, too."""

    is_active: bool
    is_staff: bool
    is_superuser: bool


@transaction.atomic
def sign_up(
    device: Device, *, email: str, password: str, invitation: str = "", **fields: Unpack[ProfileFields]
) -> Session:
    """Register through the API, where it may be closed; mail a proof of the address, and open a session.

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
    return open_session(user, device)


def _spend(invitation: str, email: str) -> None:
    """Take an invitation, once. Raises InvalidProof; what fails later in this transaction gives it back."""
    refusal = InvalidProof("The invitation was used, has expired or is for another address.", pointer="/invitation")
    if not proofs.is_invited(invitation, email):
        raise refusal
    now = timezone.now()
    SpentInvitation.objects.filter(expires_at__lte=now).delete()
    digest = salted_hmac("users.invitation", invitation, algorithm="sha256").hexdigest()
    try:
        with transaction.atomic():
            SpentInvitation.objects.create(digest=digest, expires_at=now + proofs.INVITATION_LIFETIME)
    except IntegrityError as error:
        raise refusal from error


def register(email: str, password: str, *, is_verified: bool = False, **fields: Unpack[ProfileFields]) -> User:
    """Open a local account. Raises WeakPassword and EmailTaken.

    Whoever invites somebody, chose the address: it needs no mail to be verified.
    """
    verified_at = timezone.now() if is_verified else None
    require_strong(password, User(email=email, name=fields.get("name", "")), pointer="/password")
    try:
        with transaction.atomic():
            return User.objects.create_user(email, password, email_verified_at=verified_at, **fields)
    except IntegrityError as error:
        raise _email_taken(error) from error


def require_strong(password: str, user: User, *, pointer: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise WeakPassword(" ".join(error.messages), pointer=pointer) from error


def identify(identity: Identity) -> User:
    """The active account of an external identity; opened at first sight. Raises InvalidToken.

    Two first requests at once are one account: the unique constraint lets one insert, and both then find it.
    """
    accounts = User.objects.filter(issuer=identity.issuer, subject=identity.subject)
    user = accounts.first() or _open_external(identity) or accounts.first()
    if user is None or not user.is_active or (_may_be_older(identity, user) and _is_closed_to(identity)):
        raise tokens.refusal()
    return user


def _open_external(identity: Identity) -> User | None:
    """The new account, or None when another request was first. Raises InvalidToken for a closed one."""
    if _is_closed_to(identity):
        raise tokens.refusal()
    user = User(issuer=identity.issuer, subject=identity.subject, name=identity.name)
    user.set_email(identity.email)
    user.email_verified_at = timezone.now() if identity.is_email_verified else None
    user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError as error:
        if violated_constraint(error) != "users_user_subject":
            raise
        return None
    return user


def _may_be_older(identity: Identity, user: User) -> bool:
    """Whether the token may be from before a predecessor of this account was closed; most are clearly not."""
    if identity.issued_at is None:
        return timezone.now() < user.created_at + CLOSED_FOR
    return identity.issued_at <= user.created_at + settings.JWT_LEEWAY


def _is_closed_to(identity: Identity) -> bool:
    """Whether the token is one of those that an account had when it was deleted."""
    closed = ClosedAccount.objects.filter(pk=_closed_digest(identity.issuer, identity.subject)).first()
    if closed is None:
        return False
    if identity.issued_at is None:
        return timezone.now() < closed.closed_at + CLOSED_FOR
    # Its issuer's clock may be ahead of ours.
    return identity.issued_at <= closed.closed_at + settings.JWT_LEEWAY


def _closed_digest(issuer: str, subject: str) -> str:
    return salted_hmac("users.closed-account", f"{issuer}\0{subject}", algorithm="sha256").hexdigest()


def request_email_verification(user: User) -> None:
    """Mail another proof, unless there is nothing to prove."""
    if not user.is_email_verified and not user.is_external:
        mail.send_email_verification(user)


@transaction.atomic
def verify_email(token: str) -> User:
    """Note that the owner of an account reads its mail. Raises InvalidProof."""
    user = proven(proofs.EMAIL_VERIFICATION, token)
    if user.email_verified_at is None:
        user.email_verified_at = timezone.now()
        user.save(update_fields=["email_verified_at"])
    return user


def proven(proof: proofs.Proof, token: str) -> User:
    """The active account that a mailed token is about, locked: only one request can use it up."""
    user = User.objects.select_for_update(no_key=True).filter(pk=proof.user_id(token) or 0, is_active=True).first()
    if user is None or not proof.holds(token, user):
        raise InvalidProof("The code is invalid, was used or has expired; ask for a new mail.", pointer="/token")
    return user


@transaction.atomic
def update_account(user: User, *, email: str | None = None, **changes: Unpack[AccountFields]) -> User:
    """Change what staff may change about an account. Raises EmailTaken and AccountGone."""
    lock(user)
    fields: list[str] = [*changes]
    was_active = user.is_active
    for name, value in changes.items():
        setattr(user, name, value)
    if email is not None:
        user.set_email(email)
        fields += ["email", "email_canonical", "email_verified_at"]
    if was_active and not user.is_active:
        # Whoever activates the account again does not bring its old tokens back.
        fields += end_tokens(user)
    try:
        with transaction.atomic():
            user.save(update_fields=fields)
    except IntegrityError as error:
        raise _email_taken(error) from error
    return user


def update_profile(user: User, *, email: str | None = None, **changes: Unpack[ProfileFields]) -> User:
    """Change what users may change about themselves. Raises EmailImmutable.

    A client may send back the e-mail that it got, but not another: that would need proof of ownership.
    """
    if email is not None and canonical_email(email) != canonical_email(user.email):
        raise EmailImmutable("The e-mail address cannot be changed here.", pointer="/email")
    return update_account(user, **changes)


def end_tokens(user: User) -> list[str]:
    """End every session and every token of a locked account; returns the fields that the caller has to save."""
    user.sessions.all().delete()
    user.token_version += 1
    return ["token_version"]


@transaction.atomic
def delete_account(user: User) -> None:
    """Remove the account and all that belongs to it, for good. Raises AccountGone.

    Whoever creates something of this user at the same time either commits first, and it is removed too, or
    waits for this lock in its foreign key's check, and fails.
    """
    lock(user, against_new_tasks=True)
    if user.is_external:
        digest = _closed_digest(str(user.issuer), user.public_id)
        ClosedAccount.objects.update_or_create(pk=digest, defaults={"closed_at": timezone.now()})
    # What staff did to the account stays on record, without its name.
    about = LogEntry.objects.filter(content_type__app_label="users", content_type__model="user", object_id=str(user.pk))
    about.update(object_repr="a deleted account")
    user.delete()


def lock(user: User, *, against_new_tasks: bool = False) -> None:
    """Lock the account and read it anew: `user` was loaded before, and others may have changed it since.

    Raises AccountGone.
    """
    try:
        user.refresh_from_db(from_queryset=User.objects.select_for_update(no_key=not against_new_tasks))
    except User.DoesNotExist as error:
        raise AccountGone("The account was deleted.") from error


def _email_taken(error: IntegrityError) -> Exception:
    if violated_constraint(error) == EMAIL_TAKEN:
        return EmailTaken("An account with this e-mail address exists; sign in instead.", pointer="/email")
    return error
