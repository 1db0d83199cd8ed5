"""`python -m tests.chaos [name ...]`: break things, and print a table of what was promised and what was measured.

Exit status 1 when a goal is missed.
"""

import functools
import sys
import time
from collections.abc import Callable

from tests.chaos import database_away, disk_full, failover, idle_dropped, postgres_killed, worker_killed
from tests.chaos.outcome import Outcome

FAULTS: dict[str, Callable[[], Outcome]] = {
    "worker": worker_killed.measure,
    "postgres": postgres_killed.measure,
    "stopped": functools.partial(database_away.measure, "stopped"),
    "frozen": functools.partial(database_away.measure, "frozen"),
    "idle": idle_dropped.measure,
    "failover": failover.measure,
    "disk": disk_full.measure,
}


def main(names: list[str]) -> int:
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
    except AssertionError as error:
        outcome = Outcome(name, "", str(error).partition("\n")[0], "", False)
    verdict = f"{'met' if outcome.is_met else 'MISSED'} ({time.monotonic() - began:.0f} s)"
    show(outcome.fault, outcome.goal, outcome.measured, outcome.control, verdict)
    return outcome.is_met


def show(*cells: str) -> None:
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
