"""Accounts of the external issuer: opened at first sight, and closed to the tokens that outlive them."""

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

# How long a deleted account stays closed to tokens that do not say when they were issued.
CLOSED_FOR = dt.timedelta(days=1)


@all_users()
def identify(identity: Identity) -> User:
    """The active account of an external identity; opened at first sight. Raises InvalidToken.

    Two first requests at once are one account: the unique constraint lets one insert, and both then find it.
    """
    accounts = User.objects.filter(issuer=identity.issuer, subject=identity.subject)
    user = accounts.first() or _open_external(identity) or accounts.first()
    if user is None or not user.is_active or (_may_be_older(identity, user) and _is_closed_to(identity)):
        raise own.refusal()
    return user


def _open_external(identity: Identity) -> User | None:
    """The new account, or None when another request was first. Raises InvalidToken for a closed one."""
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


def _may_be_older(identity: Identity, user: User) -> bool:
    """Whether the token may be from before a predecessor of this account was closed; most are clearly not."""
    if identity.issued_at is None:
        return timezone.now() < user.created_at + CLOSED_FOR
    return identity.issued_at <= user.created_at + settings.JWT_LEEWAY


def _is_closed_to(identity: Identity) -> bool:
    """Whether the token is one of those that an account had when it was deleted."""
    closed = ClosedAccount.objects.filter(pk=_digest(identity.issuer, identity.subject)).first()
    if closed is None:
        return False
    if identity.issued_at is None:
        return timezone.now() < closed.closed_at + CLOSED_FOR
    # Its issuer's clock may be ahead of ours.
    return identity.issued_at <= closed.closed_at + settings.JWT_LEEWAY


def note_closing(user: User) -> None:
    """Remember that an account is about to be deleted."""
    digest = _digest(str(user.issuer), user.public_id)
    ClosedAccount.objects.update_or_create(pk=digest, defaults={"closed_at": timezone.now()})


def _digest(issuer: str, subject: str) -> str:
    return salted_hmac("users.closed-account", f"{issuer}\0{subject}", algorithm="sha256").hexdigest()
