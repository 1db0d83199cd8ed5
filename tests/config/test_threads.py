"""The queue before the threads: turns, shares, and what is withdrawn."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from config.server import threads
from config.server.threads import (
    QUEUE_OF_KEY,
    CallerGoneError,
    KeyBusyError,
    KeyedLock,
    PoolBusyError,
    ThreadPool,
)


class Calls:
    """Makes calls that end when they are told to, and remembers in which order they began."""

    def __init__(self, count: int, per_key: int, queue_of_key: int = QUEUE_OF_KEY) -> None:
        self.threads: ThreadPool[str] = ThreadPool(count, per_key=per_key, queue_of_key=queue_of_key)
        self.began: list[str] = []
        self._begun = threading.Semaphore(0)
        self._ends: dict[str, threading.Event] = {}

    def make(self, name: str, **options: Any) -> "asyncio.Task[str]":
        """The key is the name's first letter."""
        self._ends[name] = threading.Event()
        return asyncio.create_task(self.threads.run(lambda: self._call(name), name[0], **options))

    def _call(self, name: str) -> str:
        self.began.append(name)
        self._begun.release()
        self._ends[name].wait(10)
        return name

    def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()

    async def until_begun(self, count: int) -> None:
        for _ in range(count):
            assert await asyncio.to_thread(self._begun.acquire, timeout=10)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await test()

    asyncio.run(bounded())


def test_keys_take_turns_however_many_calls_of_one_wait() -> None:
    async def test() -> None:
        calls = Calls(1, per_key=1)
        tasks = [calls.make(name) for name in ("a1", "a2", "a3", "a4", "b1", "c1", "b2")]
        await calls.until_begun(1)
        calls.end("a1", "a2", "a3", "a4", "b1", "c1", "b2")
        await asyncio.gather(*tasks)
        assert calls.began == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]

    run(test)


def test_a_key_runs_only_its_share_and_others_pass_by() -> None:
    async def test() -> None:
        calls = Calls(4, per_key=2)
        tasks = [calls.make(name) for name in ("a1", "a2", "a3", "b1")]
        await calls.until_begun(3)
        assert sorted(calls.began) == ["a1", "a2", "b1"]
        calls.end("a2")
        await calls.until_begun(1)
        assert calls.began[3] == "a3"
        calls.end("a1", "a3", "b1")
        assert await asyncio.gather(*tasks) == ["a1", "a2", "a3", "b1"]

    run(test)


def test_heavy_calls_leave_a_thread_and_hold_up_no_others_of_their_key() -> None:
    async def test() -> None:
        calls = Calls(3, per_key=2)
        heavy = [calls.make(name, is_heavy=True) for name in ("a1", "b1", "c1")]
        common = [calls.make(name) for name in ("d1", "c2")]
        await calls.until_begun(3)
        assert sorted(calls.began) == ["a1", "b1", "d1"]
        calls.end("d1")
        await calls.until_begun(1)
        assert calls.began[3] == "c2"
        calls.end("a1", "b1", "c1", "c2")
        assert await asyncio.gather(*heavy, *common) == ["a1", "b1", "c1", "d1", "c2"]

    run(test)


def test_a_heavy_call_that_may_not_run_yet_takes_no_place_from_others() -> None:
    """Three accounts whose heavy calls waited behind their own common ones kept all others' out, with threads idle."""

    async def test() -> None:
        calls = Calls(3, per_key=1)
        own = [calls.make(name) for name in ("a1", "b1")]
        waiting = [calls.make(name, is_heavy=True) for name in ("a2", "b2")]
        other = calls.make("c1", is_heavy=True)
        calls.end("c1")
        assert await other == "c1"
        calls.end("a1", "a2", "b1", "b2")
        assert await asyncio.gather(*own, *waiting) == ["a1", "b1", "a2", "b2"]

    run(test)


@pytest.mark.parametrize(("name", "error"), [("a3", KeyBusyError), ("b1", PoolBusyError)])
def test_who_waits_in_vain_is_told_why(monkeypatch: pytest.MonkeyPatch, name: str, error: type[Exception]) -> None:
    """A key with one share, which runs, is busy itself, also while no thread is free."""
    monkeypatch.setattr(threads, "CHEAP", -1)
    monkeypatch.setattr(threads, "COOLDOWN", 0)

    async def test() -> None:
        calls = Calls(2, per_key=2)
        held = calls.make("c1")
        await calls.until_begun(1)
        first = calls.make("a1")
        calls.end("a1")
        await first
        running = calls.make("a2")
        await calls.until_begun(2)
        monkeypatch.setattr(threads, "WAIT_SECONDS", 0.01)
        with pytest.raises(PoolBusyError) as raised:
            await calls.make(name)
        assert type(raised.value) is error
        calls.end("a2", "c1")
        await asyncio.gather(held, running)

    run(test)


def test_of_each_key_one_block_runs_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "WAIT_SECONDS", 0.01)

    async def test() -> None:
        locks = KeyedLock()
        async with locks.hold("a"), locks.hold("b"):
            with pytest.raises(KeyBusyError):
                async with locks.hold("a"):
                    pass
        async with locks.hold("a"):
            pass

    run(test)


def test_what_a_failed_call_had_is_freed_at_once() -> None:
    """Two thousand refused lists of two megabytes stayed until the collector found them."""

    class Rows:
        pass

    async def test() -> None:
        pool: ThreadPool[None] = ThreadPool(1, per_key=1)
        seen: list[weakref.ref[Rows]] = []

        def fail() -> None:
            rows = Rows()
            seen.append(weakref.ref(rows))
            raise RuntimeError("no room")

        with suppress(RuntimeError):
            await pool.run(fail, "a")
        while seen[0]() is not None:  # the thread is idle now, or will be in a moment
            await asyncio.sleep(0)

    gc.disable()
    try:
        run(test)
    finally:
        gc.enable()


def test_sixteen_calls_of_one_key_only_queue() -> None:
    async def test() -> None:
        pool: ThreadPool[int] = ThreadPool(4, per_key=2)
        assert await asyncio.gather(*(pool.run(partial(int, n), "a") for n in range(16))) == list(range(16))

    run(test)


def test_a_call_that_raises_frees_its_thread_and_its_key() -> None:
    async def test() -> None:
        pool: ThreadPool[None] = ThreadPool(1, per_key=1)

        def fail() -> None:
            raise SystemExit("whatever it is")

        for _ in range(3):
            with pytest.raises(SystemExit):
                await pool.run(fail, "a")

    run(test)


def test_who_is_gone_while_the_call_runs_keeps_the_thread_until_it_ends() -> None:
    async def test() -> None:
        calls = Calls(1, per_key=1)
        gone, last = calls.make("a1"), calls.make("b1")
        await calls.until_begun(1)
        gone.cancel()
        await asyncio.wait([gone])
        assert calls.began == ["a1"]
        calls.end("a1", "b1")
        assert await last == "b1"

    run(test)


def test_a_call_without_room_waits_for_it_and_others_pass_by() -> None:
    async def test() -> None:
        calls, room = Calls(2, per_key=2), asyncio.Event()
        waits, other = calls.make("a1", has_room=room.is_set), calls.make("b1")
        await calls.until_begun(1)
        calls.end("b1", "a1")
        await other
        assert calls.began == ["b1"]
        room.set()
        calls.threads.resume()
        assert await waits == "a1"

    run(test)


def test_a_call_that_has_no_room_for_long_is_its_keys_own_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "WAIT_SECONDS", 0.05)

    async def test() -> None:
        calls = Calls(1, per_key=1)
        with pytest.raises(KeyBusyError):
            await calls.make("a1", has_room=lambda: False)
        assert calls.began == []

    run(test)


def test_who_is_gone_before_a_thread_is_free_gets_none() -> None:
    async def test() -> None:
        calls, left, stays = Calls(1, per_key=1), asyncio.Event(), asyncio.Event()
        first, gone = calls.make("a1", gone=left.wait), calls.make("b1", gone=left.wait)
        last = calls.make("c1", gone=stays.wait)
        await calls.until_begun(1)
        left.set()  # of the first, too late
        with pytest.raises(CallerGoneError):
            await gone
        calls.end("a1", "c1")
        assert [await first, await last] == calls.began == ["a1", "c1"]

    run(test)


@pytest.mark.parametrize("name, error", [("a3", KeyBusyError), ("b1", None), ("c1", PoolBusyError)])
def test_full_queues(monkeypatch: pytest.MonkeyPatch, name: str, error: type[Exception] | None) -> None:
    """A caller fills a queue of its own before that of all."""
    monkeypatch.setattr(threads, "QUEUE", 2)

    async def test() -> None:
        calls = Calls(1, per_key=1, queue_of_key=1)
        tasks = [calls.make("a1"), calls.make("a2")]
        if error is PoolBusyError:
            tasks.append(calls.make("b1"))
        await calls.until_begun(1)
        late = calls.make(name)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        calls.end("a1", "a2", name, *(["b1"] if len(tasks) > 2 else []))
        if error is None:
            assert await late == name
        else:
            with pytest.raises(PoolBusyError) as raised:
                await late
            assert type(raised.value) is error
        await asyncio.gather(*tasks)

    run(test)
