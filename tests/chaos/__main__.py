"""`python -m tests.chaos [name ...]`: break things, and print a table of what was promised and what was measured.

`cost` stands for all whose names begin with `cost-`.

Exit status 1 when a goal is missed.
"""

import functools
import sys
import time
from collections.abc import Callable

from tests.chaos import (
    busy,
    cost,
    database_away,
    deferred,
    disk_full,
    failover,
    idle_dropped,
    postgres_killed,
    slow_clients,
    worker_killed,
)
from tests.chaos.outcome import NotMeasuredError, Outcome
from tests.chaos.replicas import storm

FAULTS: dict[str, Callable[[], Outcome]] = {
    "worker": worker_killed.measure,
    "postgres": postgres_killed.measure,
    "stopped": functools.partial(database_away.measure, "stopped"),
    "frozen": functools.partial(database_away.measure, "frozen"),
    "idle": idle_dropped.measure,
    "failover": failover.measure,
    "disk": disk_full.measure,
    "slow": slow_clients.measure,
    "busy": busy.measure,
    "sync": storm.measure,
    "mails": functools.partial(deferred.measure, "worker", "the worker of deferred work"),
    "mails-app": functools.partial(deferred.measure, "app", "a worker of requests"),
    "mails-postgres": functools.partial(deferred.measure, "postgres", "PostgreSQL"),
    **cost.FAULTS,
}


def main(names: list[str]) -> int:
    if "cost" in names:
        names = [name for name in names if name != "cost"] + list(cost.FAULTS)
    if unknown := set(names) - FAULTS.keys():
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are: {', '.join(FAULTS)}")
    show("fault", "goal", "measured", "control", "verdict")
    show("---", "---", "---", "---", "---")
    missed = [name for name in names or FAULTS if not run(name)]
    return 1 if missed else 0


def run(name: str) -> bool:
    began = time.monotonic()
    try:
        outcome = FAULTS[name]()
    except NotMeasuredError as reason:
        show(name, "", "", "", f"skipped: {reason}")
        return True
    except Exception as error:  # whatever it is: the faults that follow are still to be measured
        outcome = Outcome(name, "", one_line(error), "", False)
    verdict = f"{'met' if outcome.is_met else 'MISSED'} ({time.monotonic() - began:.0f} s)"
    show(outcome.fault, outcome.goal, outcome.measured, outcome.control, verdict)
    return outcome.is_met


def one_line(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}"
    return text.strip().partition("\n")[0].replace("|", "/")


def show(*cells: str) -> None:
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
