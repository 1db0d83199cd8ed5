"""Short forms of what `python -m tests.benchmarks.webhooks` measures."""

import pytest

from tests.benchmarks.webhooks import beside_a_dead_one, kill_workers

pytestmark = pytest.mark.process


def test_a_killed_worker_loses_no_event_and_doubles_only_what_was_in_flight() -> None:
    result = kill_workers(2)
    assert result.written > 60
    assert (result.lost, result.out_of_order, result.doubled_elsewhere) == (0, 0, 0)
    assert result.doubled <= result.kills


def test_a_dead_endpoint_holds_up_no_other() -> None:
    waiting = beside_a_dead_one(users=5, seconds=5)
    assert waiting.written > 30 and waiting.attempts >= 1
    assert waiting.most < 5
