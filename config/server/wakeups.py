"""Wake-ups: coroutines wait for the position of a key to move; one thread reads the positions of all of them.

A position is opaque here, and only compared. Numbers come from the poll alone, so that a position is told only when it
is committed, by whichever worker. A hint after a commit of this worker brings the poll of that key forward.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.25
HINT_SECONDS = 0.01  # between two polls of hinted keys
CHECK_SECONDS = 10.0

Position = Any


class Subscription(NamedTuple):
    key: int
    grant: Hashable  # by which the caller may listen
    position: Position  # as the application has read it
    ends_at: float  # time.time()


class Move(NamedTuple):
    position: Position
    written_at: float | None  # time.time() of the write, by the clock of the machine that wrote; None if nobody knows


class Source(Protocol):
    """What the thread of the poll asks. It survives an outage: while there is one, nothing has moved."""

    def moved(self, known: Mapping[int, Position | None]) -> dict[int, Move]:
        """Those keys that are elsewhere now; those whose position is not known, in any case."""

    def refused(self, grants: Collection[Any]) -> Collection[Any]:
        """Those that do not hold any more."""

    def rest(self) -> None:
        """Nobody listens: give back what it takes to read."""


class Listener:
    """Of one stream or waiting request; it belongs to the event loop."""

    __slots__ = ("_waiting", "is_over", "is_refused", "position", "subscription")

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.position = subscription.position  # the newest
        self.is_refused = self.is_over = False
        self._waiting: asyncio.Future[None] | None = None

    async def wait(self, seconds: float) -> None:
        """Until it is woken, or for so many seconds."""
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        timer = loop.call_later(seconds, self.wake)
        try:
            await self._waiting
        finally:
            timer.cancel()
            self._waiting = None

    def wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def end(self) -> None:
        """The client has gone, or the server stops."""
        self.is_over = True
        self.wake()


class Wakeups:
    """Who listens, and the thread of the poll, which starts with the first listener and rests without any.

    Races: the event loop alone changes the listeners, and what is known of their keys; the thread copies it. Both hold
    the lock for that. Who begins to listen brings the position that it has read. If it differs from the known one, the
    key counts as unknown, and the next poll tells: so nothing that happens before the registration is missed.

    `observe` is called for each wake-up of a listener, with the seconds since the write.
    """

    def __init__(self, source: Source, observe: Callable[[float], object] | None = None) -> None:
        self._source, self._observe = source, observe
        self._listeners: dict[int, set[Listener]] = {}
        self._known: dict[int, Position | None] = {}
        self._hinted: set[int] = set()
        self._lock = threading.Condition()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._next_check = 0.0
        self.count = 0  # of the listeners
        self.is_stopping = False
        _all.append(self)

    @contextmanager
    def listening(self, subscription: Subscription) -> Iterator[Listener]:
        listener, key = Listener(subscription), subscription.key
        self._begin()
        with self._lock:
            known = self._known.setdefault(key, subscription.position)
            if known != subscription.position:
                self._known[key] = None
            self._listeners.setdefault(key, set()).add(listener)
            awaited.add(key)
            self.count += 1
            self._lock.notify()
        try:
            yield listener
        finally:
            with self._lock:
                self.count -= 1
                self._listeners[key].remove(listener)
                if not self._listeners[key]:
                    del self._listeners[key], self._known[key]
                    awaited.discard(key)

    def hint(self, key: int) -> None:
        """From any thread: something of this key may have been committed."""
        with self._lock:
            self._hinted.add(key)
            self._lock.notify()

    def stop(self) -> None:
        """End all, and every later one; on the event loop."""
        self.is_stopping = True
        for listener in [each for those in self._listeners.values() for each in those]:
            listener.end()

    def _begin(self) -> None:
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._poll_forever, daemon=True)
            self._thread.start()

    # --- The thread of the poll ---------------------------------------------------------------------

    def _poll_forever(self) -> None:
        next_poll = 0.0
        while True:
            if not self._listeners:
                self._source.rest()
            known, is_whole = self._wait(next_poll)
            try:
                self._poll(known)
            except Exception:
                # Without this thread nobody would be woken any more.
                logger.exception("positions cannot be read")
            if is_whole:
                next_poll = time.monotonic() + POLL_SECONDS
            else:
                time.sleep(HINT_SECONDS)

    def _poll(self, known: Mapping[int, Position | None]) -> None:
        if known and (found := self._source.moved(known)):
            self._loop.call_soon_threadsafe(self._deliver, found)
        if (now := time.monotonic()) >= self._next_check:
            self._next_check = now + CHECK_SECONDS
            with self._lock:
                grants = {each.subscription.grant for those in self._listeners.values() for each in those}
            if refused := self._source.refused(grants):
                self._loop.call_soon_threadsafe(self._refuse, frozenset(refused))

    def _wait(self, next_poll: float) -> tuple[dict[int, Position | None], bool]:
        """The keys that are to be read, and whether these are all."""
        with self._lock:
            self._lock.wait_for(lambda: self._listeners)
            self._lock.wait_for(lambda: self._hinted, next_poll - time.monotonic())
            hinted, self._hinted = self._hinted, set()
            if is_whole := time.monotonic() >= next_poll:
                return dict(self._known), is_whole
            return {key: self._known[key] for key in hinted if key in self._known}, is_whole

    # --- The event loop -----------------------------------------------------------------------------

    def _deliver(self, found: Mapping[int, Move]) -> None:
        for key, (position, written_at) in found.items():
            with self._lock:
                if key not in self._known:
                    continue
                self._known[key] = position
            for listener in self._listeners[key]:
                if listener.position == position:  # it has read this one itself
                    continue
                listener.position = position
                listener.wake()
                if self._observe and written_at is not None:
                    self._observe(max(0.0, time.time() - written_at))

    def _refuse(self, grants: Collection[Hashable]) -> None:
        for those in self._listeners.values():
            for listener in those:
                if listener.subscription.grant in grants:
                    listener.is_refused = True
                    listener.wake()


awaited: set[int] = set()  # keys about which a hint is of use; for writers, which look before they call anything
_all: list[Wakeups] = []  # of this process, which has one; each test that needs some makes its own


def hint(key: int) -> None:
    for each in _all:
        each.hint(key)


def listening() -> int:
    """How many streams and waiting requests this process has."""
    return sum(each.count for each in _all)
