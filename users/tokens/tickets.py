"""Tickets: they stand for an access token in an address, once and for seconds, as EventSource sends no headers."""

import hashlib
import secrets
import uuid
from functools import partial

from django.core import signing

from config.environment.rates import Rate
from config.errors import InvalidToken
from config.http.limits import counters
from users.tokens import own, personal
from users.tokens.callers import Caller, TokenCaller

SECONDS = 30
MAX_TICKET = 2048  # characters
_SALT = "users.stream-ticket"


def make(caller: Caller) -> str:
    """Signed, not stored; it holds no secret but itself, and ends with the caller's token."""
    watched, token = caller.watched, None
    if isinstance(caller, TokenCaller):
        token = [str(caller.token_id), caller.is_external, " ".join(sorted(caller.scopes or ()))]
    session = str(watched.session_id) if watched.session_id else None
    content = [caller.pk, caller.public_id, session, watched.token_version, caller.expires_at, token]
    return signing.dumps([*content, secrets.token_urlsafe(12)], salt=_SALT)


def read(ticket: str) -> Caller:
    """Whom a ticket stands for; `spend` it before anything is answered. Raises InvalidToken."""
    try:
        # Those of an earlier release have fewer members.
        user_id, public_id, session, version, expires_at, token, _ = signing.loads(ticket, salt=_SALT, max_age=SECONDS)
    except (signing.BadSignature, ValueError) as error:
        raise _refusal() from error
    if token is not None:
        token_id, is_external, scopes = token
        granted = frozenset(scopes.split())
        return TokenCaller(personal.Known(uuid.UUID(token_id), user_id, public_id, is_external, granted, expires_at))
    if session is None:
        return Caller(user_id, public_id, partial(own.grant_of_account, user_id), expires_at=expires_at)
    claims = own.AccessClaims(user_id, uuid.UUID(session), version, public_id, expires_at)
    return Caller(user_id, public_id, partial(own.grant_of, claims), claims)


def spend(ticket: str) -> None:
    """Raises InvalidToken if it was spent before, in whichever worker.

    It is counted as by a rate limit of one: the counters are shared, and swept when nobody could use it any more.
    """
    key = hashlib.sha256(f"{_SALT}:{ticket}".encode()).hexdigest()[:32]
    if counters.take(key, 1, Rate(1, 4 * SECONDS)).used > 1:
        raise _refusal()


def _refusal() -> InvalidToken:
    return InvalidToken("The ticket is invalid, used or older than 30 seconds; get a new one.")
