"""`kill -9` of the embedded PostgreSQL under load: the service starts it again, and nothing acknowledged is lost."""

import time
from contextlib import suppress
from typing import NamedTuple

import psutil
import psycopg

from tests.chaos.cluster import ROLE, folder
from tests.chaos.load import Load
from tests.chaos.outcome import Outcome
from tests.server import Server

WRITES_BETWEEN = 20


class Result(NamedTuple):
    acknowledged: int
    lost: int
    doubled: int
    slowest_return: float  # seconds from a kill to the next acknowledged write


def kill_postgres(kills: int, *, synchronous_commit: str = "on") -> Result:
    returns = []
    with folder() as path, Server(path) as server:
        set_commit(server, synchronous_commit)
        with Load(server) as load:
            for _ in range(kills):
                load.wait_for(WRITES_BETWEEN)
                began = time.monotonic()
                kill(server)
                load.wait_for(1)
                returns.append(time.monotonic() - began)
        load.settle()
        return Result(len(load.acknowledged), load.lost(), load.doubled(), max(returns))


def kill(server: Server) -> None:
    """All of its processes, and at once: no one is left to write out what is in memory only."""
    main = psutil.Process(int((server.data_dir / "postgres" / "postmaster.pid").read_text().split("\n")[0]))
    for process in [main, *main.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def set_commit(server: Server, value: str) -> None:
    with psycopg.connect(host=str(server.data_dir / "postgres"), user="postgres", autocommit=True) as superuser:
        superuser.execute(f"ALTER ROLE {ROLE} SET synchronous_commit = {value}")
        superuser.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [ROLE]
        )  # what is connected has the old value


def measure() -> Outcome:
    result, control = kill_postgres(10), kill_postgres(10, synchronous_commit="off")
    return Outcome(
        "kill -9 of PostgreSQL, 10 times",
        "0 lost, comes back by itself",
        f"{result.lost} of {result.acknowledged} lost, {result.doubled} doubled, back in {result.slowest_return:.1f} s",
        f"synchronous_commit=off: {control.lost} of {control.acknowledged} lost",
        (result.lost, result.doubled) == (0, 0) and control.lost > 0,
    )
