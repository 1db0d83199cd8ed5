"""A short form of what `python -m tests.chaos sync` measures."""

import pytest

from tests.chaos.replicas.storm import CONTROL, DEVICES, brew

pytestmark = pytest.mark.process


def test_copies_and_answers_stay_true_while_everything_is_killed_and_a_backup_restored() -> None:
    """The control, which asks by `updated_at`, keeps what is gone."""
    result = brew(seconds=0, writes=5, seed=17)
    assert result.complaints == [] and result.unsettled == []
    assert {name: result.differences[name] for name in DEVICES} == dict.fromkeys(DEVICES, [])
    assert result.differences[CONTROL]
    assert result.acknowledged.keys() == DEVICES.keys()
    assert result.taken_back and result.answers[410]
