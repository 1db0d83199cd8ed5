"""What a worker does beside requests."""

import asyncio

import pytest

from config.server import launcher


def test_memory_is_given_back_once_the_process_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter([100, 100, 130, 90, 90, 100, 100])  # before each trim, after it, and for the next time
    trimmed: list[int] = []
    loop = asyncio.new_event_loop()

    def resident() -> int:
        size = next(sizes, None)
        if size is None:
            loop.stop()
        return size or 0

    def trim(pad: int) -> int:
        trimmed.append(pad)
        return 1

    monkeypatch.setattr(launcher, "resident", resident)
    monkeypatch.setattr(launcher, "TRIM_SECONDS", 0.0)
    monkeypatch.setattr(launcher, "TRIM_BYTES", 20)
    launcher._give_memory_back(loop, trim, 100)
    loop.run_forever()
    loop.close()
    assert trimmed == [0]


def test_a_process_has_memory() -> None:
    before = launcher.resident()
    assert before > 10_000_000
    held = b"x" * 50_000_000
    assert launcher.resident() - before > 40_000_000
    del held
