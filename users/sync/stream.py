"""Streams and waiting requests of users: they are woken when the head of the user's log moves."""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import orjson
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest

from config.database import session
from config.database.isolation import all_users
from config.database.queries import Raw, run
from config.errors import NotFound
from config.http.request import REQUEST_ID
from config.server.streams import HOLDS, Stream, Wait
from config.server.wakeups import Move, Subscription
from users.sync.cursors import Cursor
from users.tokens import callers
from users.tokens.callers import Caller, Watched

logger = logging.getLogger(__name__)

WAIT_UNTIL = "tickbase.wait_until"  # in the environ of a request that has waited; time.time()
EXPIRED = b"event: expired\ndata: {}\n\n"
_UNKNOWN = Cursor(0, -1, -1)

# With the time of the last change, for the metrics.
_MOVED = """
    SELECT known.user_id, epoch.value, coalesce(feed.head, epoch.base), extract(epoch FROM entry.at)::float8
    FROM users_epoch AS epoch, unnest(%s::bigint[], %s::bigint[]) AS known (user_id, head)
    LEFT JOIN tasks_feed AS feed ON feed.user_id = known.user_id
    LEFT JOIN users_change AS entry ON entry.user_id = feed.user_id AND entry.version = feed.head
    WHERE known.head <> coalesce(feed.head, epoch.base)
"""


class StreamsOff(NotFound):
    code = "streams_off"
    title = "Streams are off"


class Heads:
    """The heads of users as positions, for the thread of the poll (`config.server.wakeups.Source`)."""

    def __init__(self) -> None:
        self._is_away = False

    def moved(self, known: Mapping[int, Cursor | None]) -> dict[int, Move]:
        return self._survived(moved, known) or {}

    def refused(self, grants: Collection[Watched]) -> Collection[Watched]:
        return self._survived(callers.fallen, grants) or ()

    def rest(self) -> None:
        connection.close()

    def _survived(self, read: Any, given: Any) -> Any:
        """What it reads, None during an outage, which is told once."""
        try:
            with all_users(), session.local(session.request_timeouts()):
                found = read(given)
        except (OperationalError, InterfaceError) as error:
            if not self._is_away:
                logger.warning("streams cannot be woken: %s", str(error).partition("\n")[0])
            self._is_away = True
            return None
        if self._is_away:
            logger.warning("streams are woken again")
        self._is_away = False
        return found


def moved(known: Mapping[int, Cursor | None]) -> dict[int, Move]:
    """The heads of those users that are not the known ones. A new epoch moves every head."""
    asked = [list(known), [(each or _UNKNOWN).version for each in known.values()]]
    found = run(Raw(_MOVED, asked))
    return {user_id: Move(Cursor(user_id, epoch, head), written_at) for user_id, epoch, head, written_at in found}


def head_of(user: Caller) -> Cursor:
    head: Cursor = moved({user.pk: None})[user.pk].position
    return head


def follow(request: HttpRequest, user: Caller, since: Cursor | None, event: Callable[[Cursor], bytes]) -> Stream:
    """For the `follow` of an answer to this request: events of heads after this one. Raises StreamsOff."""
    require_streams(request)
    return Stream(_subscription(user, head_of(user)), since, event, EXPIRED)


def require_streams(request: HttpRequest) -> None:
    """One refusal for every reason, as clients do the same then."""
    if HOLDS not in request.META:
        reason = "its server cannot" if settings.STREAMS else "STREAMS=off"
        raise StreamsOff(f"This service holds no streams ({reason}); ask for changes now and then instead.")


def wait(request: HttpRequest, user: Caller, head: Cursor, seconds: float) -> Wait | None:
    """For the `follow` of an answer that tells of nothing after this head: the request is run again as soon as the head
    moves, and the answer sent if it does not for so many seconds. None if that time is over, or where no request can
    wait.

    `head` has to be read before or with what the answer tells, never after.
    """
    until = request.META.get(WAIT_UNTIL, time.time() + seconds)
    left = until - time.time()
    if left <= 0 or HOLDS not in request.META:
        return None
    # One request, whose lines in the log have one id.
    environ = {WAIT_UNTIL: until, "HTTP_X_REQUEST_ID": request.META.get(REQUEST_ID, "")}
    return Wait(_subscription(user, head), left, environ)


def _subscription(user: Caller, head: Cursor) -> Subscription:
    return Subscription(user.pk, user.watched, head, user.expires_at)


def event_of(head: Cursor) -> bytes:
    cursor = head.encode()
    return b"event: head\nid: %b\ndata: %b\n\n" % (cursor.encode(), orjson.dumps({"cursor": cursor}))
