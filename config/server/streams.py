"""Streams of server-sent events, and requests that wait for a change: held on the event loop, without a thread.

The application answers such a request once, as any other; its answer then carries what is to `follow`.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable

from config.errors import Overloaded, TooManyAtOnce
from config.server.wakeups import Listener, Position, Subscription, Wakeups

HOLDS = "tickbase.holds"  # in the environ, where the server can follow an answer
OF_KEY = 10  # streams and waiting requests at once, in all workers of this machine
OF_WORKER = 2000
COMMENT, COMMENT_SECONDS = b":\n\n", 15.0  # that proxies and clients know the connection is alive
SEND_SECONDS = 30.0  # for which a client may take nothing of any answer
RETRY_SECONDS = 30


class Stream(NamedTuple):
    """The answer goes on: with an event for each move, until the subscription ends or is refused."""

    subscription: Subscription
    told: Position | None  # what the client knows already
    event: Callable[[Position], bytes]
    ending: bytes


class Wait(NamedTuple):
    """The request is run again as soon as the position moves; if it does not, this answer is sent."""

    subscription: Subscription
    seconds: float
    environ: dict[str, Any]  # what the next run finds in its environ, too


class StreamsFull(Overloaded):
    retry_after = RETRY_SECONDS


class Places:
    """So many of each key at once, in all processes that open the same file; without one, in this process.

    A place is a lock on one byte of the file (POSIX), which ends with its process. A process does not exclude itself
    by such locks, hence the set.
    """

    def __init__(self, path: str | None, of_key: int = OF_KEY) -> None:
        self._file = os.open(path, os.O_RDWR) if path else None
        self._of_key = of_key
        self._taken: set[int] = set()

    @contextmanager
    def taken(self, key: int) -> Iterator[None]:
        """Raises TooManyAtOnce."""
        first = key % 2**56 * self._of_key
        place = next((each for each in range(first, first + self._of_key) if self._take(each)), None)
        if place is None:
            raise TooManyAtOnce(f"You have {self._of_key} streams and waiting requests open; close one first.")
        try:
            yield
        finally:
            self._taken.remove(place)
            if self._file is not None:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)

    def _take(self, place: int) -> bool:
        if place in self._taken:
            return False
        try:
            if self._file is not None:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):  # another process has it
            return False
        self._taken.add(place)
        return True


class Streams:
    """All that one worker holds."""

    def __init__(self, wakeups: Wakeups, places: Places) -> None:
        self._wakeups, self._places = wakeups, places
        self._of_network: dict[str, int] = {}

    @contextmanager
    def _listening(self, subscription: Subscription) -> Iterator[Listener]:
        """Raises TooManyAtOnce and StreamsFull."""
        if self._wakeups.count >= OF_WORKER or self._wakeups.is_stopping:
            raise StreamsFull("This server holds as many streams as it can; try again later, and poll meanwhile.")
        with self._places.taken(subscription.key), self._wakeups.listening(subscription) as listener:
            yield listener

    async def wait(self, wait: Wait) -> bool:
        """Whether the request is to be run again. Raises TooManyAtOnce and StreamsFull."""
        subscription = wait.subscription
        give_up_at = min(time.time() + wait.seconds, subscription.ends_at)
        with self._listening(subscription) as listener:
            while not listener.is_over:
                if listener.is_refused or listener.position != subscription.position:
                    return True
                if (seconds := give_up_at - time.time()) <= 0:
                    break
                await listener.wait(seconds)
        return False

    def open(self, stream: Stream, networks: Mapping[str, int]) -> "OpenStream":
        """The place of a stream, which `OpenStream.run` gives back; of each network only so many.

        Raises TooManyAtOnce and StreamsFull.
        """
        with ExitStack() as until_open:
            for network, most in networks.items():
                until_open.enter_context(self._counted(network, most))
            listener = until_open.enter_context(self._listening(stream.subscription))
            return OpenStream(stream, listener, until_open.pop_all())

    @contextmanager
    def _counted(self, network: str, most: int) -> Iterator[None]:
        if self._of_network.get(network, 0) >= most:
            raise TooManyAtOnce("Your network has too many streams open; close some first.")
        self._of_network[network] = self._of_network.get(network, 0) + 1
        try:
            yield
        finally:
            self._of_network[network] -= 1
            if not self._of_network[network]:
                del self._of_network[network]

    def stop(self) -> None:
        self._wakeups.stop()


class OpenStream:
    """Small, since there are many, and long: it keeps nothing of its request."""

    __slots__ = ("_held", "_listener", "_stream")

    def __init__(self, stream: Stream, listener: Listener, held: ExitStack) -> None:
        self._stream, self._listener, self._held = stream, listener, held

    async def run(
        self,
        status: int,
        headers: list[tuple[bytes, bytes]],
        beginning: bytes,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
    ) -> None:
        """Until the client has gone or does not read, the subscription ends, or the server stops."""
        with self._held, suppress(TimeoutError):
            left = asyncio.ensure_future(gone(receive))
            left.add_done_callback(lambda _: self._listener.end())
            try:
                await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
                await _send(send, beginning)
                await self._follow(send)
                async with asyncio.timeout(SEND_SECONDS):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
            finally:
                left.cancel()

    async def _follow(self, send: ASGISendCallable) -> None:
        stream, listener = self._stream, self._listener
        told, ends_at = stream.told, stream.subscription.ends_at
        comment_at = time.time() + COMMENT_SECONDS
        while not listener.is_over:
            now = time.time()
            if now >= ends_at or listener.is_refused:
                return await _send(send, stream.ending)
            if listener.position != told:
                told = listener.position
                await _send(send, stream.event(told))
            elif now >= comment_at:
                await _send(send, COMMENT)
            else:
                await listener.wait(max(0.001, min(comment_at, ends_at) - now))
                continue
            comment_at = now + COMMENT_SECONDS


async def gone(receive: ASGIReceiveCallable) -> None:
    """Returns when the client has closed its connection; never, if it is still sending a body that is too long."""
    while (event := await receive())["type"] != "http.disconnect":
        if event["type"] == "http.request" and event["more_body"]:
            await asyncio.Event().wait()


async def _send(send: ASGISendCallable, part: bytes) -> None:
    """Raises TimeoutError if the client does not read."""
    async with asyncio.timeout(SEND_SECONDS):
        await send({"type": "http.response.body", "body": part, "more_body": True})
