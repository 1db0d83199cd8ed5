"""Accounts of the external issuer: provisioned at the first token, and closed to tokens that outlive the account."""

import datetime as dt

from django.conf import settings
from django.db import IntegrityError
from django.utils import timezone
from django.utils.crypto import salted_hmac

from config.database.isolation import all_users
from config.database.transactions import retried_transaction
from config.errors import violated_constraint
from users import audit
from users.audit import Action
from users.models import ClosedAccount, User
from users.tokens import own
from users.tokens.external import Identity

# How long a deleted account stays closed to tokens without `iat`.
CLOSED_FOR = dt.timedelta(days=1)


@all_users()
def identify(identity: Identity) -> User:
    """The active account of an external identity, created at the first token. Raises InvalidToken.

    Concurrent first requests create one account: the unique constraint accepts one insert, and both then read it.
    """
    accounts = User.objects.filter(issuer=identity.issuer, subject=identity.subject)
    user = accounts.first() or _open_external(identity) or accounts.first()
    # Most tokens were clearly issued after the account was created: they cannot be a deleted predecessor's.
    if user is None or not user.is_active or (may_predate(identity, user.created_at) and _is_closed_to(identity)):
        raise own.refusal()
    return user


def _open_external(identity: Identity) -> User | None:
    """The new account, or None if another request was first. Raises InvalidToken for a closed one."""
    if _is_closed_to(identity):
        raise own.refusal()
    try:
        return _insert(identity)
    except IntegrityError as error:
        if violated_constraint(error) != "users_user_subject":
            raise
        return None


@retried_transaction
def _insert(identity: Identity) -> User:
    user = User(issuer=identity.issuer, subject=identity.subject, name=identity.name)
    user.set_email(identity.email)
    user.email_verified_at = timezone.now() if identity.is_email_verified else None
    user.set_unusable_password()
    user.save(force_insert=True)
    audit.record(Action.REGISTERED, user, issuer=identity.issuer)
    return user


def may_predate(identity: Identity, instant: dt.datetime) -> bool:
    """Whether the token may have been issued before this instant; the issuer's clock may be ahead of ours."""
    if identity.issued_at is None:
        return timezone.now() < instant + CLOSED_FOR
    return identity.issued_at <= instant + settings.JWT_LEEWAY


def _is_closed_to(identity: Identity) -> bool:
    """Whether the token was issued to a predecessor of the account, which has been deleted."""
    closed = ClosedAccount.objects.filter(pk=_digest(identity.issuer, identity.subject)).first()
    return closed is not None and may_predate(identity, closed.closed_at)


def note_closing(user: User) -> None:
    """Store the tombstone of an account that is about to be deleted."""
    digest = _digest(str(user.issuer), user.public_id)
    ClosedAccount.objects.update_or_create(pk=digest, defaults={"closed_at": timezone.now()})


def _digest(issuer: str, subject: str) -> str:
    return salted_hmac("users.closed-account", f"{issuer}\0{subject}", algorithm="sha256").hexdigest()
