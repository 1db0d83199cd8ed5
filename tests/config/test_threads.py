"""The queue before the threads: turns, shares, and what is withdrawn."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from config import threads
from config.threads import KeyBusyError, NoneFreeError, Threads


class Calls:
    """Makes calls that end when they are told to, and remembers in which order they began."""

    def __init__(self, count: int, per_key: int) -> None:
        self.threads: Threads[str] = Threads(count, per_key=per_key)
        self.began: list[str] = []
        self._begun = threading.Semaphore(0)
        self._ends: dict[str, threading.Event] = {}

    def make(self, name: str, *, is_heavy: bool = False) -> "asyncio.Task[str]":
        """The key is the name's first letter."""
        self._ends[name] = threading.Event()
        return asyncio.create_task(self.threads.run(lambda: self._call(name), name[0], is_heavy=is_heavy))

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


def test_of_heavy_calls_one_of_a_key_runs_and_its_light_ones_pass_by() -> None:
    async def test() -> None:
        calls = Calls(4, per_key=2)
        tasks = [calls.make("a1", is_heavy=True), calls.make("a2", is_heavy=True), calls.make("a3")]
        tasks.append(calls.make("b1", is_heavy=True))
        await calls.until_begun(3)
        assert sorted(calls.began) == ["a1", "a3", "b1"]
        calls.end("a3", "b1")
        await asyncio.gather(tasks[2], tasks[3])
        assert len(calls.began) == 3
        calls.end("a1", "a2")
        await asyncio.gather(*tasks)
        assert calls.began[3] == "a2"

    run(test)


def test_sixteen_calls_of_one_key_only_queue() -> None:
    async def test() -> None:
        pool: Threads[int] = Threads(4, per_key=2)
        assert await asyncio.gather(*(pool.run(partial(int, n), "a") for n in range(16))) == list(range(16))

    run(test)


def test_a_call_that_raises_frees_its_thread_and_its_key() -> None:
    async def test() -> None:
        pool: Threads[None] = Threads(1, per_key=1)

        def fail() -> None:
            raise SystemExit("whatever it is")

        for _ in range(3):
            with pytest.raises(SystemExit):
                await pool.run(fail, "a", is_heavy=True)

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


@pytest.mark.parametrize("name, error", [("a3", KeyBusyError), ("b1", None), ("c1", NoneFreeError)])
def test_full_queues(monkeypatch: pytest.MonkeyPatch, name: str, error: type[Exception] | None) -> None:
    """A caller fills a queue of its own before that of all."""
    monkeypatch.setattr(threads, "QUEUE_OF_KEY", 1)
    monkeypatch.setattr(threads, "QUEUE", 2)

    async def test() -> None:
        calls = Calls(1, per_key=1)
        tasks = [calls.make("a1"), calls.make("a2")]
        if error is NoneFreeError:
            tasks.append(calls.make("b1"))
        await calls.until_begun(1)
        late = calls.make(name)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        calls.end("a1", "a2", name, *(["b1"] if len(tasks) > 2 else []))
        if error is None:
            assert await late == name
        else:
            with pytest.raises(NoneFreeError) as raised:
                await late
            assert type(raised.value) is error
        await asyncio.gather(*tasks)

    run(test)
