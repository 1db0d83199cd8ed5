"""The disk under the embedded PostgreSQL is full, with its data, its WAL and all logs on it.

Where a table cannot grow, PostgreSQL refuses the statement and goes on. Where the WAL cannot, it stops at once,
because it could not keep any promise: then the service starts it again until there is room.
"""

import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psycopg

from tests.chaos.cluster import folder
from tests.chaos.load import Load, client_of
from tests.chaos.outcome import NotMeasuredError, Outcome
from tests.server import Server

DISK = 192  # MiB
WAL_FILE = 16  # MiB
BODY = 8000  # bytes of each task, for which pages that lie ready are soon used up
WRITES_BEFORE = 20
REFUSALS = 20  # in a row, by which nothing lies ready any more
RETURN_SECONDS = 30.0
CAN_MOUNT = os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


class Full(NamedTuple):
    """What was answered while the disk was full, by status, and what came after."""

    writes: Counter[int]
    reads: Counter[int]
    return_seconds: float


class Result(NamedTuple):
    data: Full
    wal: Full
    acknowledged: int
    lost: int


def fill_up(seconds: float) -> Result:
    with small_disk() as disk, Server(disk) as server:
        with Load(server, size=BODY) as load:
            load.wait_for(WRITES_BEFORE)
            data = fill(load, disk, seconds)
            load.wait_for(WRITES_BEFORE)
            wal = fill(load, disk, seconds, needs_wal=True)
        load.settle()
        return Result(data, wal, len(load.acknowledged), load.lost())


def fill(load: Load, disk: Path, seconds: float, *, needs_wal: bool = False) -> Full:
    with filled(disk):
        if needs_wal:
            need_wal_file(disk)
        wait_for_refusals(load)
        writes_before = len(load.seen)
        reads = read(load, seconds, awaited=503 if needs_wal else 200)
        writes = Counter(seen.status for seen in load.seen[writes_before:])
    began = time.monotonic()
    load.wait_for(1, RETURN_SECONDS)
    return Full(writes, reads, time.monotonic() - began)


def wait_for_refusals(load: Load) -> None:
    """Several in a row: the table, its indexes and its long texts have pages of their own that lie ready."""
    began = time.monotonic()
    while len(last := [seen for seen in load.seen[-REFUSALS:] if seen.at > began]) < REFUSALS or any(
        seen.status != 503 for seen in last
    ):
        assert time.monotonic() - began < RETURN_SECONDS, "writes go on, although the disk is full"
        time.sleep(0.01)


def read(load: Load, seconds: float, awaited: int) -> Counter[int]:
    """For so long, and on until there is this answer: PostgreSQL may just run again, before it stops once more."""
    found: Counter[int] = Counter()
    began = time.monotonic()
    with client_of(load.server, load.token) as client:
        while (passed := time.monotonic() - began) < seconds or (not found[awaited] and passed < RETURN_SECONDS):
            found[client.get("/api/me/tasks?limit=1").status_code] += 1
            time.sleep(0.02)
    return found


def need_wal_file(disk: Path) -> None:
    """Uses up the files of the WAL that lie ready, as a checkpoint leaves them, until one more is needed."""
    address = f"host={disk / 'postgres'} user=postgres"
    # PostgreSQL stops before it answers, or has stopped already because it needed one.
    with suppress(psycopg.OperationalError), psycopg.connect(address, autocommit=True) as superuser:
        for _ in range(DISK // WAL_FILE):
            superuser.execute("SELECT pg_switch_wal(), pg_logical_emit_message(false, 'full', 'disk')")


@contextmanager
def small_disk() -> Iterator[Path]:
    with folder() as path:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}m,mode=711", "tmpfs", str(path)], check=True)
        try:
            yield path
        finally:
            subprocess.run(["umount", "--lazy", str(path)], check=True)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        ballast.unlink()


def measure() -> Outcome:
    if not CAN_MOUNT:
        raise NotMeasuredError("needs root")
    result = fill_up(10)
    data, wal = result.data, result.wal
    return Outcome(
        "disk full",
        "503, reads go on, recovers, 0 lost",
        f"writes {text(data.writes)}, reads {text(data.reads)}, back in {data.return_seconds:.1f} s, "
        f"{result.lost} of {result.acknowledged} lost",
        f"no room for the WAL: writes {text(wal.writes)}, reads {text(wal.reads)}, "
        f"back in {wal.return_seconds:.1f} s by itself",
        data.writes.keys() == {503} and data.reads.keys() == {200} and result.lost == 0 and wal.reads[503] > 0,
    )


def text(answers: Counter[int]) -> str:
    return " ".join(f"{status}×{count}" for status, count in sorted(answers.items()))
