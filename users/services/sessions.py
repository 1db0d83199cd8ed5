"""Opening, refreshing and ending sessions.

Every change of a session locks its user first: so changes do not overlap with each other or with a new password, and
the foreign keys that are checked at the commit find their rows. Sessions are deleted, not flagged.
"""

import datetime as dt
import uuid
from typing import NamedTuple

from django.utils import timezone

from config.database.isolation import as_user
from config.database.transactions import retried_transaction
from config.errors import InvalidToken, NotFound
from config.values import storable
from users import audit
from users.audit import Action
from users.models import Session, User
from users.tokens import own

# Grace period in which the previous refresh token is accepted again: for parallel tabs and lost responses.
REUSE_SECONDS = 10
MAX_USER_AGENT = 300
MAX_SESSIONS = 100  # live ones, per account
_MAX_ENDED = 1000  # per sign-in, for accounts that exceed MAX_SESSIONS from before it existed


class Device(NamedTuple):
    """The client of a request: its User-Agent and its address."""

    user_agent: str = ""
    address: str | None = None


class SessionNotFound(NotFound):
    code = "session_not_found"
    title = "No such session"


class TokenReused(InvalidToken):
    """A refresh token was used again after its successor: one of the two was stolen (RFC 9700, section 4.14.2).

    Its session has been ended; `keeps_writes` commits that although an exception is raised.
    """

    keeps_writes = True
    code = "token_reused"
    title = "The refresh token was used before"


def open_session(user: User, device: Device) -> Session:
    """Create a session of a user that the caller has locked or just created.

    Deletes the user's expired sessions, and the least recently used beyond MAX_SESSIONS.
    """
    sessions = Session.objects.for_user(user)
    sessions.expired().delete()
    recent_first = sessions.order_by("-last_used_at", "-pk").values_list("pk", flat=True)
    beyond = list(recent_first[MAX_SESSIONS - 1 : MAX_SESSIONS - 1 + _MAX_ENDED])
    if beyond:
        sessions.filter(pk__in=beyond).delete()
        audit.record(Action.SESSIONS_ENDED, user, sessions=len(beyond))
    now = timezone.now()
    user_agent = storable(device.user_agent[:MAX_USER_AGENT])
    return Session.objects.create(
        user=user, user_agent=user_agent, address=device.address, created_at=now, last_used_at=now
    )


@retried_transaction
def start_session(user: User, device: Device) -> Session:
    """Open a session without a password, for an operator. Raises InvalidToken for an inactive or deleted account."""
    account = lock_user(user.pk)
    if account is None or not account.is_active:
        raise own.refusal()
    session = open_session(account, device)
    audit.record(Action.SIGNED_IN, account, of=session, user_agent=session.user_agent)
    return session


def refresh(token: str, address: str | None = None) -> Session:
    """Rotate a refresh token: returns the session in its next generation, last used from this address.

    Within REUSE_SECONDS of its first use, and until its successor is used, a token can be sent again and has the same
    successor. After that, its reuse ends the session. Raises InvalidToken, and its subclass TokenReused.
    """
    claims = own.read_refresh(token)
    with as_user(claims.user_id):
        session = _rotate(claims, address)
    if session is None:
        raise TokenReused("This refresh token was used before, so its session has been ended; sign in again.")
    return session


@retried_transaction
def _rotate(claims: own.RefreshClaims, address: str | None) -> Session | None:
    """The session, rotated unless another request has just done so; None if it was ended for the reuse of a token."""
    session = _locked(claims.user_id, claims.session_id)
    if session is None or not own.is_valid_for(session.user, claims.version):
        raise own.refusal()
    if claims.generation == session.generation:
        session.address = address or session.address
        return _advance(session)
    age = timezone.now() - session.last_used_at
    if claims.generation == session.generation - 1 and age <= dt.timedelta(seconds=REUSE_SECONDS):
        return session
    _end(session, Action.TOKEN_REUSED, proven=False)
    return None


def _end(session: Session, action: Action, *, proven: bool = True) -> None:
    audit.record(action, session.user, of=session, proven=proven)
    session.delete()


def _locked(user_id: int, session_id: uuid.UUID) -> Session | None:
    """Lock the user, then read the session."""
    user = lock_user(user_id)
    session = Session.objects.filter(pk=session_id, user=user).first() if user else None
    if session is not None and user is not None:
        session.user = user
    return session


def lock_user(user_id: int) -> User | None:
    """The current account, locked against changes (NO KEY UPDATE), but not against inserts that refer to it."""
    return User.objects.select_for_update(no_key=True).filter(pk=user_id).first()


def renew(user: User, session: Session) -> Session:
    """Rotate the tokens of a locked user's session. Raises InvalidToken if it has ended meanwhile."""
    current = Session.objects.for_user(user).filter(pk=session.pk).first()
    if current is None:
        raise own.refusal()
    current.user = user  # carries the token version that is signed into the tokens
    return _advance(current)


def _advance(session: Session) -> Session:
    """Increment the generation of a locked user's session."""
    session.generation += 1
    session.last_used_at = timezone.now()
    session.save(update_fields=["generation", "last_used_at", "address"])
    return session


@retried_transaction
def sign_out(token: str) -> None:
    """End the session of a refresh token of any generation. Idempotent: it may have ended already (RFC 7009)."""
    claims = own.read_refresh(token)
    with as_user(claims.user_id):
        session = _locked(claims.user_id, claims.session_id)
        if session is not None:
            _end(session, Action.SIGNED_OUT)


@retried_transaction
def end_session(user: User, session_id: uuid.UUID) -> None:
    """Raises SessionNotFound."""
    session = _locked(user.pk, session_id)
    if session is None:
        raise no_such_session()
    _end(session, Action.SESSION_ENDED)


@retried_transaction
def end_other_sessions(user: User, current: Session | None) -> None:
    lock_user(user.pk)
    if ended := forget_other_sessions(user, current):
        audit.record(Action.SESSIONS_ENDED, user, sessions=ended)


def forget_other_sessions(user: User, current: Session | None) -> int:
    """Delete a locked user's sessions but the current one; returns their number."""
    sessions = Session.objects.for_user(user)
    others = sessions.exclude(pk=current.pk) if current else sessions
    return others.delete()[1].get("users.Session", 0)


def no_such_session() -> SessionNotFound:
    """One error for another user's session and for one that does not exist."""
    return SessionNotFound("You have no session with this id.")
