"""`kill -9` of a worker under load: nothing acknowledged is lost, and what is sent again takes effect once."""

import os
from typing import NamedTuple

import psutil

from tests.chaos.cluster import folder
from tests.chaos.load import Load
from tests.chaos.outcome import Outcome
from tests.server import Server

WRITES_BETWEEN = 20


class Result(NamedTuple):
    acknowledged: int
    retried: int
    lost: int
    doubled: int


def kill_workers(kills: int, *, keyed: bool = True) -> Result:
    with folder() as path, Server(path, WORKERS="2") as server:
        with Load(server, keyed=keyed) as load:
            for _ in range(kills):
                load.wait_for(WRITES_BETWEEN)
                # The oldest: one that dies within seconds of its start counts as a crash loop, and ends the service.
                workers(server)[0].kill()
            load.wait_for(WRITES_BETWEEN)
        retried = len(load.unanswered)
        load.settle()
        return Result(len(load.acknowledged), retried, load.lost(), load.doubled())


def workers(server: Server) -> list[psutil.Process]:
    """Each leads a process group of its own."""
    children = psutil.Process(server.process.pid).children()
    return sorted((child for child in children if os.getpgid(child.pid) == child.pid), key=psutil.Process.create_time)


def measure() -> Outcome:
    result, control = kill_workers(10), kill_workers(10, keyed=False)
    return Outcome(
        "kill -9 of a worker, 10 times",
        "0 lost, 0 doubled",
        f"{result.lost} of {result.acknowledged} lost, {result.retried} sent again, {result.doubled} doubled",
        f"without Idempotency-Key: {control.doubled} doubled",
        (result.lost, result.doubled) == (0, 0) and control.doubled > 0,
    )
