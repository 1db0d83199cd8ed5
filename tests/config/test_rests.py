"""Who computes for long leaves threads to others, while there are others."""

import asyncio
import itertools
from functools import partial

import pytest

from config.server import threads
from config.server.threads import Contention, ThreadPool
from tests.config.test_threads import Calls, run


def test_a_key_whose_call_took_the_interpreter_for_long_leaves_it_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "CHEAP", -1)
    monkeypatch.setattr(threads, "COOLDOWN", 10**9)
    monkeypatch.setattr(threads, "REST_SECONDS", 10**9)

    async def test() -> None:
        pool: ThreadPool[int] = ThreadPool(1, per_key=1)
        assert [await pool.run(lambda: 1, key) for key in "bbba"] == [1] * 4
        second = asyncio.create_task(pool.run(lambda: 2, "a"))
        await asyncio.sleep(0)
        assert await pool.run(lambda: 3, "b") == 3
        assert not second.done()
        second.cancel()

    run(test)


@pytest.mark.parametrize(("seconds", "shares"), [(0.9, 1), (1.5, 1), (2.5, 2)])
def test_it_then_has_one_share_for_a_while(monkeypatch: pytest.MonkeyPatch, seconds: float, shares: int) -> None:
    """Of a second after its last such call, which ended at 0.9."""
    monkeypatch.setattr(threads, "CHEAP", -1)
    monkeypatch.setattr(threads, "COOLDOWN", 0)
    now = 0.0

    async def test() -> None:
        nonlocal now
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
        calls = Calls(3, per_key=2)
        for name in ("b1", "b2", "b3", "a1", "b4", "b5", "b6", "a2"):
            now = 0.9 if name == "a2" else 0.0
            last = calls.make(name)
            calls.end(name)
            await last
        for moment in (min(seconds, 1.1), seconds):
            now = moment
            for _ in range(3):
                await asyncio.sleep(0)  # in which timers end
        calls.began.clear()
        tasks = [calls.make(name) for name in ("a3", "a4", "b7")]
        await calls.until_begun(8 + 1 + shares)
        assert sorted(calls.began) == [*["a3", "a4"][:shares], "b7"]
        calls.end("a3", "a4", "b7")
        await asyncio.gather(*tasks)

    asyncio.run(test())


def test_the_clock_tells_for_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "REST_SECONDS", 10**9)

    async def test() -> None:
        slow: ThreadPool[int] = ThreadPool(1, per_key=1, clock=partial(next, itertools.count(0, 10**9)))
        quick: ThreadPool[int] = ThreadPool(1, per_key=1, clock=lambda: 0)
        for pool, keys in ((slow, "bbba"), (quick, "bbbaa")):
            assert [await pool.run(lambda: 1, key) for key in keys] == [1] * len(keys)
        second = asyncio.create_task(slow.run(lambda: 2, "a"))
        assert await slow.run(lambda: 3, "b") == 3
        assert not second.done()
        second.cancel()

    run(test)


def test_it_is_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else whoever signs in while the database hangs waits for its time four times over."""
    monkeypatch.setattr(threads, "REST_SECONDS", 0)

    async def test() -> None:
        pool: ThreadPool[int] = ThreadPool(1, per_key=1, clock=partial(next, itertools.count(0, 10**9)))
        assert [await pool.run(lambda: 1, key) for key in "bbbaa"] == [1] * 5

    run(test)


@pytest.mark.parametrize(
    ("others", "is_same", "rests"), [("bcb", True, True), ("bc", True, False), ("", True, False), ("bcb", False, False)]
)
def test_whoever_is_alone_need_not_rest(
    monkeypatch: pytest.MonkeyPatch, others: str, is_same: bool, rests: bool
) -> None:
    """Some others count, in each pool with the same contention; two may be a health check."""
    for name in ("CHEAP", "COOLDOWN", "REST_SECONDS"):
        monkeypatch.setattr(threads, name, -1 if name == "CHEAP" else 10**9)

    async def test() -> None:
        contention = Contention()
        pool: ThreadPool[int] = ThreadPool(1, per_key=1, contention=contention)
        other: ThreadPool[int] = ThreadPool(1, per_key=1, contention=contention if is_same else None)
        assert [await pool.run(lambda: 1, "a") for _ in range(2)] == [1, 1]
        for key in others:
            await other.run(lambda: 1, key)
        assert await pool.run(lambda: 1, "a") == 1
        last = asyncio.create_task(pool.run(lambda: 1, "a"))
        if not rests:
            assert await last == 1
        else:
            await asyncio.sleep(0)  # in which it is queued
            assert await pool.run(lambda: 2, "c") == 2
            assert not last.done()
            last.cancel()

    run(test)


@pytest.mark.parametrize(("count", "then"), [(2, ["a1", "b1"]), (1, ["a1"])], ids=["runs", "waits"])
def test_nor_is_alone_beside_whom_another_runs_or_waits(
    monkeypatch: pytest.MonkeyPatch, count: int, then: list[str]
) -> None:
    """Who comes seldom has made no call just before."""
    monkeypatch.setattr(threads, "CHEAP", -1)
    monkeypatch.setattr(threads, "COOLDOWN", 10**9)
    monkeypatch.setattr(threads, "REST_SECONDS", 10**9)

    async def test() -> None:
        calls = Calls(count, per_key=1)
        first, other = calls.make("a1"), calls.make("b1")
        await calls.until_begun(count)
        assert sorted(calls.began) == then
        second = calls.make("a2")
        calls.end("a1")
        await first
        third = calls.make("c1")
        calls.end("b1", "c1")
        assert [await other, await third] == ["b1", "c1"]
        assert not second.done() and "a2" not in calls.began
        second.cancel()

    run(test)
