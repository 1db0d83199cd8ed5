"""Who waits for a position is told of each move of it, whenever it happens, and nobody asks when nobody waits."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import pytest

from config.server import wakeups
from config.server.wakeups import Listener, Move, Subscription, Wakeups

LATER = time.time() + 86_400  # of tests that run for long


class Numbers:
    """A source: positions that tests set, and how it was asked."""

    def __init__(self, **heads: int) -> None:
        self.heads = {1: 0, 2: 0}
        self.asked: list[set[int]] = []
        self.rested = threading.Event()
        self.rests = 0
        self.refusing: set[Any] = set()
        self.is_broken = False
        self.written_at: float | None = None

    def moved(self, known: Mapping[int, Any]) -> dict[int, Move]:
        self.asked.append(set(known))
        if self.is_broken:
            raise ValueError("broken")
        return {key: Move(self.heads[key], self.written_at) for key, head in known.items() if self.heads[key] != head}

    def refused(self, grants: Collection[Any]) -> set[Any]:
        return self.refusing & set(grants)

    def rest(self) -> None:
        self.rests += 1
        self.rested.set()


def run(scene: Callable[[Numbers, Wakeups], Awaitable[None]]) -> Numbers:
    source = Numbers()

    async def play() -> None:
        async with asyncio.timeout(10):
            await scene(source, Wakeups(source))

    asyncio.run(play())
    return source


async def moved_to(listener: Listener, position: int) -> float:
    """The seconds until it is there."""
    began = time.monotonic()
    while listener.position != position:
        await listener.wait(5)
    return time.monotonic() - began


def test_a_move_is_told_by_the_poll() -> None:
    async def scene(source: Numbers, hub: Wakeups) -> None:
        with hub.listening(Subscription(1, None, 0, LATER)) as listener:
            source.heads[1] = 7
            assert await moved_to(listener, 7) < 1

    run(scene)


def test_a_hint_brings_the_poll_of_its_key_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "POLL_SECONDS", 60)

    async def scene(source: Numbers, hub: Wakeups) -> None:
        with (
            hub.listening(Subscription(1, None, 0, LATER)) as listener,
            hub.listening(Subscription(2, None, 0, LATER)),
        ):
            while not source.asked:
                await asyncio.sleep(0)
            for head in range(1, 20):
                source.heads[1] = head
                hub.hint(1)
                assert await moved_to(listener, head) < 1
        assert source.asked[1:] == [{1}] * 19

    run(scene)


def test_a_move_before_the_registration_is_told_though_the_key_is_known() -> None:
    """The second listener has read 0, when the poll had told 7 to the first already."""

    async def scene(source: Numbers, hub: Wakeups) -> None:
        with hub.listening(Subscription(1, None, 0, LATER)) as first:
            source.heads[1] = 7
            await moved_to(first, 7)
            with hub.listening(Subscription(1, None, 0, LATER)) as second:
                assert await moved_to(second, 7) < 1

    run(scene)


def test_each_wake_up_is_observed_with_the_seconds_since_the_write() -> None:
    """Not of who has read the position itself, and not where nobody knows when it was written."""
    observed: list[float] = []

    async def scene(source: Numbers, _: Wakeups) -> None:
        hub = Wakeups(source, observed.append)
        with hub.listening(Subscription(1, None, 0, LATER)) as first, hub.listening(Subscription(1, None, 0, LATER)):
            source.written_at, source.heads[1] = time.time() - 5, 7
            await moved_to(first, 7)
            source.heads[1] = 8
            with hub.listening(Subscription(1, None, 8, LATER)):
                await moved_to(first, 8)
                source.written_at, source.heads[1] = None, 9
                await moved_to(first, 9)

    run(scene)
    assert len(observed) == 4 and all(5 <= seconds < 7 for seconds in observed)


def test_nobody_asks_when_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "POLL_SECONDS", 0.01)

    async def scene(source: Numbers, hub: Wakeups) -> None:
        with hub.listening(Subscription(1, None, 0, LATER)) as listener:
            source.heads[1] = 1
            await moved_to(listener, 1)
            source.rested.clear()
            rests = source.rests
        assert await asyncio.to_thread(source.rested.wait, 5)
        asked = len(source.asked)
        hub.hint(1)
        await asyncio.sleep(0.1)
        assert (len(source.asked), source.rests) == (asked, rests + 1)
        assert (hub.count, hub._listeners, hub._known, wakeups.awaited) == (0, {}, {}, set())

    run(scene)


def test_an_error_of_the_source_ends_nothing(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "POLL_SECONDS", 0.01)

    async def scene(source: Numbers, hub: Wakeups) -> None:
        source.is_broken = True
        with hub.listening(Subscription(1, None, 0, LATER)) as listener:
            while not source.asked:
                await asyncio.sleep(0)
            source.heads[1], source.is_broken = 7, False
            await moved_to(listener, 7)

    run(scene)
    assert "positions cannot be read" in caplog.text


def test_who_may_not_listen_any_more_is_told_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "CHECK_SECONDS", 0.0)

    async def scene(source: Numbers, hub: Wakeups) -> None:
        with (
            hub.listening(Subscription(1, "ended", 0, LATER)) as ended,
            hub.listening(Subscription(1, "live", 0, LATER)) as live,
        ):
            source.refusing.add("ended")
            while not ended.is_refused:
                await ended.wait(5)
            assert not live.is_refused

    run(scene)
