"""Hostile rules, of which none takes long: by the calls of functions, which are the same on every machine.

`python -m tests.benchmarks.recurrence` says how many milliseconds they take.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest

from config.errors import Invalid
from tests.rules import cases

pytestmark = pytest.mark.thorough

MOST = 200_000  # of functions in Python and C; some 25 ms


def calls(action: Callable[[], object]) -> int:
    count = 0

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        with suppress(Invalid):
            action()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("seed", range(4))
def test_no_rule_takes_long(seed: int) -> None:
    slow, steps = {}, 0
    for case in cases(seed, 200):
        for name, action in case.steps():
            steps += 1
            if (count := calls(action)) > MOST:
                slow[case, name] = count
    assert slow == {}
    assert 300 < steps < 800  # some are accepted, and some refused
