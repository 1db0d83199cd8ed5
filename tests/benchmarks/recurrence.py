"""How long do hostile rules take? `python -m tests.benchmarks.recurrence [--rules 10000]`

The slowest of what a request does with a rule, in milliseconds of CPU; the goal is 50.
"""

import argparse
import heapq
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from config.errors import Invalid
from tests.rules import cases

SHOWN = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rules", type=int, default=10_000)
    for milliseconds, step, rule in heapq.nlargest(SHOWN, times(parser.parse_args().rules)):
        sys.stdout.write(f"{milliseconds:6.1f} ms  {step:8}  {rule}\n")


def times(count: int) -> Iterator[tuple[float, str, str]]:
    for case in cases(0, count):
        for step, action in case.steps():
            yield timed(action), step, case.rule


def timed(action: Callable[[], object]) -> float:
    begun = time.thread_time()
    with suppress(Invalid):
        action()
    return (time.thread_time() - begun) * 1000


if __name__ == "__main__":
    main()
