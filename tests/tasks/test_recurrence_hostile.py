"""Hostile rules, of which none takes long: by the calls of functions, which are the same on every machine.

`python -m tests.benchmarks.recurrence` says how many milliseconds they take.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from config.errors import Invalid
from tests.calls import calls
from tests.rules import cases

pytestmark = pytest.mark.thorough

MOST = 200_000  # calls


def tried(action: Callable[[], object]) -> None:
    with suppress(Invalid):
        action()


@pytest.mark.parametrize("seed", range(4))
def test_no_rule_takes_long(seed: int) -> None:
    slow, steps = {}, 0
    for case in cases(seed, 200):
        for name, action in case.steps():
            steps += 1
            if (count := calls(partial(tried, action))) > MOST:
                slow[case, name] = count
    assert slow == {}
    assert 300 < steps < 800  # some are accepted, and some refused
