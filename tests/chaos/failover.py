"""The primary is killed under load and its standby promoted: nothing acknowledged is lost, the service follows."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psutil

from tests.chaos.cluster import DATABASE, ROLE, Cluster, cluster, folder
from tests.chaos.load import Load
from tests.chaos.outcome import Outcome
from tests.server import Server

GOAL_SECONDS = 5.0
WRITES_BEFORE = 100
BEHIND_SECONDS = 0.3  # of load while the standby gets nothing


class Result(NamedTuple):
    acknowledged: int
    lost: int
    doubled: int
    return_seconds: float  # from the kill to the next acknowledged write; the promotion takes a part of it


@contextmanager
def pair(*, is_synchronous: bool) -> Iterator[tuple[Cluster, Cluster]]:
    with cluster() as primary, folder() as path:
        standby = Cluster(path / "data")
        try:
            standby.follow(primary)
            if is_synchronous:
                primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
            yield primary, standby
        finally:
            standby.kill()


def fail_over(*, is_synchronous: bool = True) -> Result:
    with pair(is_synchronous=is_synchronous) as (primary, standby), folder() as path:
        url = f"postgresql://{ROLE}@{primary.address},{standby.address}/{DATABASE}"
        with Server(path, DATABASE_URL=url) as server, Load(server) as load:
            load.wait_for(WRITES_BEFORE)
            with cut_off(standby):
                time.sleep(BEHIND_SECONDS)
                began = time.monotonic()
                primary.kill()
            standby.promote()
            load.wait_for(1)
            return_seconds = time.monotonic() - began
            load.stop()
            load.settle()
            return Result(len(load.acknowledged), load.lost(), load.doubled(), return_seconds)


@contextmanager
def cut_off(standby: Cluster) -> Iterator[None]:
    """Nothing gets through to it: what is acknowledged meanwhile is on the primary alone."""
    [receiver] = [process for process in standby.processes() if is_receiver(process)]
    receiver.send_signal(signal.SIGSTOP)
    yield
    # It shall not take what lies in its socket: a network that is cut would not have brought it.
    receiver.send_signal(signal.SIGTERM)
    receiver.send_signal(signal.SIGCONT)


def is_receiver(process: psutil.Process) -> bool:
    return "walreceiver" in " ".join(process.cmdline())


def measure() -> Outcome:
    result, control = fail_over(), fail_over(is_synchronous=False)
    return Outcome(
        "primary killed, standby promoted",
        f"0 lost, back in {GOAL_SECONDS:.0f} s",
        f"{result.lost} of {result.acknowledged} lost, {result.doubled} doubled, back in {result.return_seconds:.1f} s",
        f"asynchronous standby: {control.lost} of {control.acknowledged} lost",
        (result.lost, result.doubled) == (0, 0) and result.return_seconds <= GOAL_SECONDS and control.lost > 0,
    )
