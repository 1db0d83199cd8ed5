"""Opening, refreshing and ending sessions.

Whoever changes a session has locked its user: so no two do it at once, none reads a user that another is just
giving a new password, and the foreign keys that are checked at the commit find what they refer to.
Ending is deleting: what a session was is nobody's business afterwards.
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

# Parallel tabs and lost answers: so long may the predecessor of the live token be sent again.
REUSE_SECONDS = 10
MAX_USER_AGENT = 300
MAX_SESSIONS = 100  # of an account that live
_MAX_ENDED = 1000  # at one sign-in, of an account that has more from before there was a bound


class Device(NamedTuple):
    """What a request tells of the client that sent it."""

    user_agent: str = ""
    address: str | None = None


class SessionNotFound(NotFound):
    code = "session_not_found"
    title = "No such session"


class TokenReused(InvalidToken):
    """A refresh token came back after its successor was used: it, or the successor, is in the wrong hands.

    Its session has been ended, which must outlast whatever transaction this is raised in.
    """

    keeps_writes = True
    code = "token_reused"
    title = "The refresh token was used before"


def open_session(user: User, device: Device) -> Session:
    """A new one, for a user whom the caller has locked or just made.

    Expired ones are deleted, and so are the least recently used beyond MAX_SESSIONS.
    """
    _make_room(user)
    now = timezone.now()
    user_agent = storable(device.user_agent[:MAX_USER_AGENT])
    return Session.objects.create(
        user=user, user_agent=user_agent, address=device.address, created_at=now, last_used_at=now
    )


def _make_room(user: User) -> None:
    sessions = Session.objects.for_user(user)
    sessions.expired().delete()
    recent_first = sessions.order_by("-last_used_at", "-pk").values_list("pk", flat=True)
    beyond = list(recent_first[MAX_SESSIONS - 1 : MAX_SESSIONS - 1 + _MAX_ENDED])
    if beyond:
        sessions.filter(pk__in=beyond).delete()
        audit.record(Action.SESSIONS_ENDED, user, sessions=len(beyond))


@retried_transaction
def start_session(user: User, device: Device) -> Session:
    """As an operator, without a password. Raises InvalidToken for an account that is inactive or gone."""
    account = lock_user(user.pk)
    if account is None or not account.is_active:
        raise own.refusal()
    session = open_session(account, device)
    audit.record(Action.SIGNED_IN, account, of=session, user_agent=session.user_agent)
    return session


def refresh(token: str, address: str | None = None) -> Session:
    """Trade a refresh token for its successor: the session, one generation on, now used from that address.

    However often and from wherever a token is sent within REUSE_SECONDS of its first use, it has this one
    successor, until that is used in its turn. Later, the session ends. Raises InvalidToken, and of it
    TokenReused.
    """
    claims = own.read_refresh(token)
    with as_user(claims.user_id):
        session = _rotate(claims, address)
    if session is None:
        raise TokenReused("This refresh token was used before, so its session has been ended; sign in again.")
    return session


@retried_transaction
def _rotate(claims: own.RefreshClaims, address: str | None) -> Session | None:
    """The session, which has a new generation unless another request has just made it; None if it was ended."""
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
    """The session as it is once its user is locked."""
    user = lock_user(user_id)
    session = Session.objects.filter(pk=session_id, user=user).first() if user else None
    if session is not None and user is not None:
        session.user = user
    return session


def lock_user(user_id: int) -> User | None:
    """The account as it is now, locked against every change but not against new tasks."""
    return User.objects.select_for_update(no_key=True).filter(pk=user_id).first()


def renew(user: User, session: Session) -> Session:
    """The session with new tokens, for its locked user. Raises InvalidToken if it has ended meanwhile."""
    current = Session.objects.for_user(user).filter(pk=session.pk).first()
    if current is None:
        raise own.refusal()
    current.user = user  # with the token version that goes into the tokens
    return _advance(current)


def _advance(session: Session) -> Session:
    """The next generation of a session of a locked user."""
    session.generation += 1
    session.last_used_at = timezone.now()
    session.save(update_fields=["generation", "last_used_at", "address"])
    return session


@retried_transaction
def sign_out(token: str) -> None:
    """End the session of a refresh token; of any generation, and also if it has ended already (RFC 7009)."""
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
    """Of a locked user. Returns how many there were."""
    sessions = Session.objects.for_user(user)
    others = sessions.exclude(pk=current.pk) if current else sessions
    return others.delete()[1].get("users.Session", 0)


def no_such_session() -> SessionNotFound:
    """The same for a session of another user and for one that never was."""
    return SessionNotFound("You have no session with this id.")
