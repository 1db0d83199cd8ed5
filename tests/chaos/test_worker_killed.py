"""A short form of what `python -m tests.chaos worker` measures."""

import pytest

from tests.chaos.worker_killed import kill_workers

pytestmark = pytest.mark.process


def test_a_killed_worker_loses_nothing_and_requests_sent_again_take_effect_once() -> None:
    result = kill_workers(3)
    assert result.acknowledged > 60
    assert (result.lost, result.doubled) == (0, 0)
