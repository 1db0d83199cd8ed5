"""The measuring itself: all servers at once on one PostgreSQL, of which one at a time is under load."""

import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks import callers, contract
from tests.benchmarks.data import Size
from tests.benchmarks.measure import WORKLOADS, Measurement, measure, memory
from tests.benchmarks.servers import Contestant


class Plan(NamedTuple):
    rounds: int
    seconds: int
    cells: list[tuple[str, int]]  # workload and connections


FULL = Plan(5, 3, [(workload, connections) for workload in WORKLOADS for connections in (16, 64)])
QUICK = Plan(3, 1, [*((workload, 16) for workload in WORKLOADS), ("list", 64)])
WARM_UP_SECONDS = 2

Key = tuple[str, str, int]  # server, workload, connections


class Results(NamedTuple):
    cells: dict[Key, Measurement]  # medians; of `bad`, the sum
    memory: dict[str, float]  # MiB, after all of it


def run(servers: list[Contestant], plan: Plan, size: Size, folder: Path, postgres: int) -> Results:
    """Raises WrongAnswerError when a server does not do what is measured."""
    samples: dict[Key, list[Measurement]] = defaultdict(list)
    for server in servers:
        contract.check(server, server.callers(size))
        callers.write(_callers(folder, server), server.callers(size).values())
        measure(server, "mixed", 16, WARM_UP_SECONDS, _callers(folder, server), postgres)
    for number in range(plan.rounds):
        for server in servers:
            callers.write(_callers(folder, server), server.callers(size).values())
        for workload, connections in plan.cells:
            _say(f"round {number + 1} of {plan.rounds}: {workload}, {connections} connections")
            # Alternating: whatever changes slowly on the machine falls on all alike.
            for server in servers if number % 2 == 0 else reversed(servers):
                if workload not in server.lacks:
                    measured = measure(server, workload, connections, plan.seconds, _callers(folder, server), postgres)
                    samples[server.name, workload, connections].append(measured)
    _say("")
    return Results(
        {key: median(measurements) for key, measurements in samples.items()},
        {server.name: memory(server.process.pid) for server in servers},
    )


def median(measurements: list[Measurement]) -> Measurement:
    """Of each figure by itself; of what went wrong, the sum."""
    medians = Measurement._make(map(statistics.median, zip(*measurements, strict=True)))
    return medians._replace(bad=sum(each.bad for each in measurements))


def _callers(folder: Path, server: Contestant) -> Path:
    return folder / f"{server.name}.callers"


def _say(progress: str) -> None:
    sys.stderr.write(f"\r\033[K{progress}" if sys.stderr.isatty() else f"{progress}\n" * bool(progress))
    sys.stderr.flush()
