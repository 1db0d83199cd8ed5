"""Making, changing and revoking personal tokens, and the mail before one expires. Lock order: user, then token."""

import datetime as dt
import time
import uuid
from collections.abc import Collection
from ipaddress import ip_network
from types import EllipsisType
from typing import Any

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from config.database.isolation import all_users
from config.database.transactions import retried_transaction
from config.errors import Invalid, LimitReached, NotFound
from users import audit
from users.audit import Action
from users.mail import services as mail
from users.models import PersonalToken, Session, User
from users.services.accounts import locked
from users.services.passwords import require_proof
from users.services.sessions import lock_user
from users.tokens import own, personal
from users.tokens.callers import TokenCaller
from users.tokens.own import Grant

MAX_TOKENS = 50  # of an account
DEFAULT_DAYS = 90
FRESH = dt.timedelta(minutes=10)
WARNING = dt.timedelta(days=7)  # before a token expires
KEPT_DAYS = 30  # after it has expired, so that its owner sees why a script has stopped


class TokenNotFound(NotFound):
    code = "token_not_found"
    title = "No such token"


class InvalidExpiry(Invalid):
    code = "invalid_expiry"


def create_token(
    grant: Grant,
    *,
    name: str,
    scopes: Collection[str],
    expires_at: dt.datetime | None | EllipsisType = ...,
    password: str | None = None,
) -> tuple[PersonalToken, str]:
    """The row and the token itself, which is shown once. `expires_at` is None for an endless one; by default in
    DEFAULT_DAYS, or earlier if TOKEN_MAX_DAYS are fewer.

    Needs the password, or a sign-in within ten minutes. Raises WrongPassword, SignInAgain, InvalidExpiry, LimitReached
    and InvalidToken.
    """
    require_proof(grant, password, FRESH)
    now, most = timezone.now(), settings.TOKEN_MAX_DAYS
    if isinstance(expires_at, EllipsisType):
        expires_at = now + dt.timedelta(days=min(DEFAULT_DAYS, most or DEFAULT_DAYS))
    if expires_at is not None:
        _require_future(expires_at, now)
    if most and (expires_at is None or expires_at > now + dt.timedelta(days=most)):
        raise InvalidExpiry(f"A token lives {most} days at most here.", pointer="/expires_at")
    return _create(grant, name, sorted({*scopes}), expires_at, now)


def _require_future(expires_at: dt.datetime, now: dt.datetime) -> None:
    if expires_at <= now:
        raise InvalidExpiry("This moment has passed; choose a later one, or revoke the token.", pointer="/expires_at")


@retried_transaction
def _create(
    grant: Grant, name: str, scopes: list[str], expires_at: dt.datetime | None, now: dt.datetime
) -> tuple[PersonalToken, str]:
    account, session = locked(grant.user), grant.session
    has_ended = session is not None and not Session.objects.for_user(account).filter(pk=session.pk).exists()
    if has_ended or not own.is_valid_for(account, grant.user.token_version):
        raise own.refusal()  # since it was read
    tokens = PersonalToken.objects.for_user(account)
    if tokens.count() >= MAX_TOKENS:
        tokens.expired().delete()
    if tokens.count() >= MAX_TOKENS:
        raise LimitReached(f"You have {MAX_TOKENS} tokens; revoke some first.", limit=MAX_TOKENS)
    token = personal.make()
    row = PersonalToken.objects.create(
        user=account,
        digest=personal.digest_of(token),
        prefix=token[: personal.SHOWN],
        name=name,
        scopes=scopes,
        created_at=now,
        expires_at=expires_at,
    )
    audit.record(Action.TOKEN_CREATED, account, of=row, **_details(row))
    return row, token


def _details(row: PersonalToken) -> dict[str, Any]:
    """Without the name, which is the user's text."""
    expires_at = row.expires_at.isoformat() if row.expires_at else None
    return {"prefix": row.prefix, "scopes": row.scopes, "expires_at": expires_at}


@retried_transaction
def update_token(user: User, token_id: uuid.UUID, **changes: Any) -> PersonalToken:
    """Change the `name`, or bring `expires_at` nearer. Raises TokenNotFound and InvalidExpiry."""
    row = _locked(user, token_id)
    expires_at = changes.get("expires_at", row.expires_at)
    if expires_at != row.expires_at:
        if expires_at is None or (row.expires_at is not None and expires_at > row.expires_at):
            message = "A token can only expire earlier; make a new one that lives longer."
            raise InvalidExpiry(message, pointer="/expires_at")
        _require_future(expires_at, timezone.now())
    changed = [name for name, value in changes.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, changes[name])
    if changed:
        row.save(update_fields=changed)
        audit.record(Action.TOKEN_CHANGED, row.user, of=row, changed=sorted(changed), **_details(row))
    return row


@retried_transaction
def revoke_token(user: User, token_id: uuid.UUID) -> None:
    """Raises TokenNotFound."""
    row = _locked(user, token_id)
    audit.record(Action.TOKEN_REVOKED, row.user, of=row, **_details(row))
    row.delete()


def _locked(user: User, token_id: uuid.UUID) -> PersonalToken:
    account = lock_user(user.pk)
    rows = PersonalToken.objects.for_user(user).filter(pk=token_id)
    row = rows.select_for_update().first() if account else None
    if row is None or account is None:
        raise no_such_token()
    row.user = account
    return row


def no_such_token() -> TokenNotFound:
    """One error for another user's token and for one that does not exist."""
    return TokenNotFound("You have no token with this id.")


def note_token_use(caller: TokenCaller, address: str) -> None:
    """Write down when and from which network a token was used, an hour after the last time at the earliest."""
    if personal.is_use_noted(caller.token_id):
        return
    now = timezone.now()
    due = Q(last_used_at=None) | Q(last_used_at__lte=now - dt.timedelta(seconds=personal.USE_SECONDS))
    rows = PersonalToken.objects.filter(due, pk=caller.token_id, user=caller.pk)
    rows.update(last_used_at=now, last_used_network=_network(address))
    personal.note_use(caller.token_id, time.time())


def _network(address: str) -> str:
    """Coarser than the address, and enough to recognise it; empty if it is unknown."""
    if not address:
        return ""
    return str(ip_network((address, 64 if ":" in address else 24), strict=False))


# --- The mail before a token expires ----------------------------------------------------------------


def expiring_tokens() -> QuerySet[PersonalToken]:
    """Of active accounts with a confirmed address: tokens that expire soon, lived longer than that, and whose owner has
    not been told."""
    now = timezone.now()
    return PersonalToken.objects.filter(
        expires_at__gt=now,
        expires_at__lte=now + WARNING,
        created_at__lt=F("expires_at") - WARNING,
        warned_at=None,
        user__is_active=True,
        user__email_verified_at__isnull=False,
    ).exclude(user__email="")


@all_users()
def warn_of_expiry() -> None:
    """Queue a mail to the owners of tokens that expire soon, once for each token."""
    for pk in list(expiring_tokens().values_list("pk", flat=True)):
        _warn(pk)


@retried_transaction
def _warn(pk: uuid.UUID) -> None:
    row = expiring_tokens().select_related("user").select_for_update(of=("self",)).filter(pk=pk).first()
    if row is None:  # revoked meanwhile
        return
    assert row.expires_at is not None
    mail.send_token_expiry(row.user, row.prefix, row.expires_at)
    PersonalToken.objects.filter(pk=pk).update(warned_at=timezone.now())
