"""A short form of what `python -m tests.chaos worker` measures."""

from tests.chaos.worker_killed import kill_workers


def test_a_killed_worker_loses_nothing_and_requests_sent_again_take_effect_once() -> None:
    result = kill_workers(3)
    assert result.acknowledged > 60
    assert (result.lost, result.doubled) == (0, 0)
