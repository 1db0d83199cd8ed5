"""A short form of what `python -m tests.chaos failover` measures."""

import pytest

from tests.chaos.failover import GOAL_SECONDS, fail_over

pytestmark = pytest.mark.process


def test_after_a_failover_nothing_is_lost_and_the_service_is_back() -> None:
    result = fail_over()
    assert result.acknowledged > 100
    assert (result.lost, result.doubled) == (0, 0)
    assert result.return_seconds <= GOAL_SECONDS
