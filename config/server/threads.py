"""A thread pool with a fair queue, for an event loop that must not be blocked."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from threading import Thread
from time import thread_time
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

Result = TypeVar("Result")

QUEUE = 1000  # calls that wait
QUEUE_OF_KEY = 100
# For which no call of the pool ends: more than the three for which one may wait for a database connection.
WAIT_SECONDS = 5
MAX_WAIT_SECONDS = 15
# A call of more time than this (seconds) keeps its key's share for some times longer than it ran, and its key to one
# share for a while: threads have one interpreter and the machine has few cores, which a key shall leave to its
# competitors more often than not. Priorities would not do it, as Linux hands over a core at its ticks, every few
# milliseconds.
CHEAP, COOLDOWN, WHILE_SECONDS = 0.002, 4, 1.0
REST_SECONDS = 0.5  # at most, also after a call that took seconds, or waited as long for a database
COMPETING = 3  # calls of other keys within some such while; fewer are a health check, or the page of the same user


class PoolBusyError(Exception):
    """No thread came free for too long."""


class KeyBusyError(PoolBusyError):
    """Threads were free, but other calls of the same key were running, or too many of them wait."""


class CallerGoneError(Exception):
    """Nobody waits for the result any more."""


class Contention:
    """The calls that have ended in some pools, by key: those of this while and of the one before."""

    def __init__(self) -> None:
        self.calls: dict[Hashable, int] = {}
        self._before: dict[Hashable, int] = {}
        self.ends_at = 0.0  # this while, in the loop's time

    def turn(self, now: float) -> None:
        """Begin the next while."""
        self._before = self.calls if now < self.ends_at + WHILE_SECONDS else {}
        self.calls, self.ends_at = {}, now + WHILE_SECONDS

    def is_for(self, key: Hashable) -> bool:
        """Whether the key has competitors."""
        return any(sum(each.values()) - each.get(key, 0) >= COMPETING for each in (self.calls, self._before))


@dataclass(eq=False, slots=True)
class _Job(Generic[Result]):
    call: Callable[[], Result]
    key: Hashable
    is_heavy: bool
    has_room: Callable[[], bool]
    result: "asyncio.Future[Result]"

    @property
    def queue(self) -> tuple[Hashable, bool]:
        """In which it waits for its turn: a heavy one holds up no common ones of its key."""
        return (self.key, self.is_heavy)


class ThreadPool(Generic[Result]):
    """A fixed number of threads, so that each may keep what is slow to make.

    Waiting calls are made round robin: one of each key, then the next of each. At most `per_key` calls of a key run at
    once; a thread that comes free meanwhile takes a call of another key.

    Races: all state belongs to the event loop's thread. A call is handed to the threads only when one of them is free,
    so that what waits can be withdrawn; what runs cannot, and frees its thread and its key when it ends, also if nobody
    waits for it any more. Threads touch nothing but the two queues.

    Of heavy calls, so many run at once that a thread is left. `clock` tells what a call takes: its CPU time, or the
    time that passes if it lets another process work. Pools with one `contention` have the same competitors.

    They share a queue though each call then wakes a second one (SimpleQueue): with queues of their own they hand over
    the interpreter half as often when idle, but cost 8 % more where all are busy and whoever ends takes what is there.

    The pool of concurrent.futures would hold up the end of the process until the last call is done.
    """

    def __init__(
        self,
        count: int,
        *,
        per_key: int,
        queue_of_key: int = QUEUE_OF_KEY,
        clock: Callable[[], float] = thread_time,
        contention: Contention | None = None,
    ) -> None:
        self._clock = clock
        self._contention = contention or Contention()
        self._jobs: SimpleQueue[_Job[Result]] = SimpleQueue()
        self._free = count
        self._heavy_free = max(1, count - 1)
        self._per_key = per_key
        self._queue_of_key = queue_of_key
        self._running: dict[Hashable, int] = {}
        self._costly: dict[Hashable, float] = {}  # keys with one share, and until when (in the loop's time)
        self._waiting: dict[tuple[Hashable, bool], list[_Job[Result]]] = {}  # by their queues, in the order of turns
        self._length = 0
        self._ended_at = 0.0  # in the loop's time
        for _ in range(count):
            Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            began = self._clock()
            try:
                settle = partial(job.result.set_result, job.call())
            except BaseException as error:  # whatever it is, it is for the one who waits, not for the thread
                settle = partial(job.result.set_exception, error)
            job.result.get_loop().call_soon_threadsafe(self._end, job, self._clock() - began, settle)
            # An error's traceback leads to this frame, and to that of `run`: with the error's own job in them, all that
            # the call had would stay until the collector finds it.
            del job, settle

    async def run(
        self,
        call: Callable[[], Result],
        key: Hashable,
        has_room: Callable[[], bool] = lambda: True,
        gone: Callable[[], Coroutine[Any, Any, None]] | None = None,
        *,
        is_heavy: bool = False,
    ) -> Result:
        """Raises PoolBusyError if no thread comes free for WAIT_SECONDS, or the call has no room for so long (who makes
        room calls `resume`), and CallerGoneError if `gone` ends before that; the call is not made, then.

        A queue that moves is no reason to give up before MAX_WAIT_SECONDS; who finds a full queue is refused at once.
        """
        loop = asyncio.get_running_loop()
        job: _Job[Result] = _Job(call, key, is_heavy, has_room, loop.create_future())
        try:
            if self._may_start(job):  # nobody waits who could have had this thread
                self._start(job)
                return await job.result
            self._enqueue(job)
            timer = loop.call_later(WAIT_SECONDS, self._time_out, job, loop.time() + MAX_WAIT_SECONDS)
            watch = asyncio.ensure_future(gone()) if gone else None
            if watch:
                watch.add_done_callback(partial(self._give_up, job))
            try:
                return await job.result
            finally:  # also when the client has gone away
                self._withdraw(job)
                timer.cancel()
                if watch:
                    watch.cancel()
        finally:
            del job  # as in `_work`

    def _may_start(self, job: _Job[Result]) -> bool:
        is_free = self._free > 0 and (self._heavy_free > 0 or not job.is_heavy)
        shares = 1 if job.key in self._costly else self._per_key
        return is_free and self._running.get(job.key, 0) < shares and job.has_room()

    def _enqueue(self, job: _Job[Result]) -> None:
        if self._length >= QUEUE:
            raise PoolBusyError
        jobs = self._waiting.setdefault(job.queue, [])
        if len(jobs) >= self._queue_of_key:
            raise KeyBusyError
        jobs.append(job)
        self._length += 1

    def _withdraw(self, job: _Job[Result]) -> bool:
        """Returns whether it was waiting."""
        jobs = self._waiting.get(job.queue, [])
        if job not in jobs:
            return False
        jobs.remove(job)
        self._length -= 1
        if not jobs:
            del self._waiting[job.queue]
        return True

    def _start(self, job: _Job[Result]) -> None:
        self._free -= 1
        self._heavy_free -= job.is_heavy
        self._running[job.key] = self._running.get(job.key, 0) + 1
        self._jobs.put(job)

    def _end(self, job: _Job[Result], seconds: float, settle: Callable[[], None]) -> None:
        self._free += 1
        self._heavy_free += job.is_heavy
        loop, contention = job.result.get_loop(), self._contention
        self._ended_at = now = loop.time()
        if now >= contention.ends_at:
            contention.turn(now)
        contention.calls[job.key] = contention.calls.get(job.key, 0) + 1
        if seconds > CHEAP and self._has_competitors(job.key):
            self._cool_down(job.key, seconds, loop)
            self.resume()  # those of other keys
        else:
            self._give_back(job.key)
        if not job.result.done():  # cancelled
            settle()

    def _has_competitors(self, key: Hashable) -> bool:
        is_beside_others = len(self._running) > 1 or any(queue[0] != key for queue in self._waiting)
        return is_beside_others or self._contention.is_for(key)

    def _cool_down(self, key: Hashable, seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        if key not in self._costly:
            loop.call_later(WHILE_SECONDS, self._forgive, key, loop)
        self._costly[key] = loop.time() + WHILE_SECONDS
        loop.call_later(min(COOLDOWN * seconds, REST_SECONDS), self._give_back, key)

    def _give_back(self, key: Hashable) -> None:
        """A key's share, after its call."""
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]
        self.resume()

    def _forgive(self, key: Hashable, loop: asyncio.AbstractEventLoop) -> None:
        left = self._costly[key] - loop.time()
        if left > 0:  # there was another costly call
            loop.call_later(left, self._forgive, key, loop)
            return
        del self._costly[key]
        self.resume()

    def resume(self) -> None:
        """Start what waits, as far as it may."""
        # Few keys are passed over: those of which something runs, or has just run for long.
        while (
            self._free
            and self._waiting
            and (job := next((jobs[0] for jobs in self._waiting.values() if self._may_start(jobs[0])), None))
        ):
            self._withdraw(job)
            if later := self._waiting.pop(job.queue, None):
                self._waiting[job.queue] = later  # whose turn comes after all others'
            self._start(job)

    def _give_up(self, job: _Job[Result], watch: "asyncio.Future[None]") -> None:
        if not watch.cancelled() and self._withdraw(job) and not job.result.done():
            job.result.set_exception(CallerGoneError())

    def _time_out(self, job: _Job[Result], give_up_at: float) -> None:
        if job.result.done():
            return
        loop = job.result.get_loop()
        wait = min(self._ended_at + WAIT_SECONDS, give_up_at) - loop.time()
        if wait > 0:
            loop.call_later(wait, self._time_out, job, give_up_at)
        elif self._withdraw(job):
            shares = 1 if job.key in self._costly else self._per_key
            is_own = self._running.get(job.key, 0) >= shares or not job.has_room()
            job.result.set_exception(KeyBusyError() if is_own else PoolBusyError())


class KeyedLock:
    """A lock for each key; who waits gets it in their order."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, key: Hashable) -> AsyncIterator[None]:
        """Raises KeyBusyError after WAIT_SECONDS."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await lock.acquire()
        except TimeoutError:
            raise KeyBusyError from None
        try:
            yield
        finally:
            lock.release()
