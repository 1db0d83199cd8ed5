"""How much memory a process holds, and when it gives some back."""

import asyncio
import ctypes
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import granian
import pytest

from config.environment import memory
from config.operations.work import Loop
from config.server import launcher

MEBIBYTE = 2**20


class Process:
    """Of which each trim leaves 90 MiB."""

    def __init__(self) -> None:
        self.held, self.trims = 100 * MEBIBYTE, 0

    def resident(self) -> int:
        return self.held

    def malloc_trim(self, pad: int) -> int:
        assert pad == 0
        self.held, self.trims = 90 * MEBIBYTE, self.trims + 1
        return 1

    def mallopt(self, parameter: int, value: int) -> int:
        return 1


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    process = Process()
    monkeypatch.setattr(memory, "resident", process.resident)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: process)
    yield process


def test_memory_is_given_back_by_a_process_that_has_grown(process: Process) -> None:
    before = memory.resident()
    assert memory.give_back(before) == before
    process.held = 116 * MEBIBYTE
    assert (memory.give_back(before), process.trims) == (before, 0)
    process.held += 1
    assert (memory.give_back(before), process.trims) == (90 * MEBIBYTE, 1)
    process.held = 110 * MEBIBYTE  # since then
    assert (memory.give_back(90 * MEBIBYTE), process.trims) == (90 * MEBIBYTE, 2)


def test_a_process_that_shrinks_of_itself_counts_from_there(process: Process) -> None:
    assert memory.give_back(130 * MEBIBYTE) == 100 * MEBIBYTE


def test_a_worker_of_requests_looks_again_and_again(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, before = asyncio.new_event_loop(), memory.resident()
    process.held = 200 * MEBIBYTE

    def give_back(before: int, give_back: Any = memory.give_back) -> int:
        if process.trims == 2:
            loop.stop()
        left: int = give_back(before)
        process.held = 200 * MEBIBYTE
        return left

    monkeypatch.setattr(memory, "give_back", give_back)
    monkeypatch.setattr(launcher, "TRIM_SECONDS", 0.0)
    launcher._give_memory_back(loop, before)
    loop.run_forever()
    loop.close()
    assert process.trims == 3


@pytest.mark.django_db
def test_a_worker_of_deferred_work_looks_with_each_heartbeat(process: Process) -> None:
    loop = Loop()
    process.held = 200 * MEBIBYTE
    loop.step(loop._started_at)
    assert process.trims == 1


def test_a_process_has_memory() -> None:
    before = memory.resident()
    assert before > 10_000_000
    with mmap.mmap(-1, 50_000_000) as held:  # of its own: a large heap may have as much to spare
        held.write(b"x" * 50_000_000)
        assert memory.resident() - before > 40_000_000


def test_granian_has_the_allocator_that_is_told_to_give_memory_back() -> None:
    (library,) = Path(granian.__file__).parent.glob("_granian*.so")
    assert b"_RJEM_MALLOC_CONF" in library.read_bytes()
    assert "dirty_decay_ms:200" in os.environ["_RJEM_MALLOC_CONF"]
