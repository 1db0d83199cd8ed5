"""Threads that make one call after another, for an event loop that must not be blocked."""

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Generic, TypeVar

Result = TypeVar("Result")

QUEUE = 1000
LONGEST = 15  # seconds


class NoneFreeError(Exception):
    """No thread came free for too long."""


class Threads(Generic[Result]):
    """A fixed number of threads, so that each may keep what is slow to make, and a bounded queue before them.

    Those of concurrent.futures would hold up the end of the process until the last call is done.
    """

    def __init__(self, count: int) -> None:
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._freed_at = 0.0  # in the loop's time
        self._waiting = 0
        for _ in range(count):
            Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            self._calls.get()()

    async def run(self, call: Callable[[], Result], patience: float) -> Result:
        """Raises NoneFreeError if no thread comes free for so many seconds; the call is not made, then.

        A queue that moves is no reason to give up before LONGEST; who finds QUEUE calls waiting is refused at once.
        """
        if self._waiting >= QUEUE:
            raise NoneFreeError
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + LONGEST
        result: asyncio.Future[Result] = loop.create_future()
        begun = Lock()  # by a thread, or given up here: whoever comes first

        def begin() -> None:
            if begun.acquire(blocking=False):
                loop.call_soon_threadsafe(end, *_outcome(call))

        def end(value: Result | None, error: BaseException | None) -> None:
            self._freed_at = loop.time()
            _settle(result, value, error)

        timer = loop.call_later(patience, self._lose_patience, begun, result, patience, give_up_at)
        self._waiting += 1
        self._calls.put(begin)
        try:
            return await result
        finally:  # also when the client has gone away
            self._waiting -= 1
            begun.acquire(blocking=False)
            timer.cancel()

    def _lose_patience(self, begun: Lock, result: "asyncio.Future[Result]", patience: float, give_up_at: float) -> None:
        loop = result.get_loop()
        wait = min(self._freed_at + patience, give_up_at) - loop.time()
        if wait > 0 and not begun.locked():
            loop.call_later(wait, self._lose_patience, begun, result, patience, give_up_at)
        elif begun.acquire(blocking=False):
            _settle(result, None, NoneFreeError())


def _outcome(call: Callable[[], Result]) -> tuple[Result | None, BaseException | None]:
    try:
        return call(), None
    except BaseException as error:  # whatever it is, it is for the one who waits, not for the thread
        return None, error


def _settle(result: "asyncio.Future[Result]", value: Result | None, error: BaseException | None) -> None:
    if result.done():  # cancelled
        return
    if error is not None:
        result.set_exception(error)
    else:
        result.set_result(value)  # type: ignore[arg-type]
