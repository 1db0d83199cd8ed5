"""A short form of what `python -m tests.chaos sync` measures."""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.replicas.line import Line
from tests.chaos.replicas.readers import Asking
from tests.chaos.replicas.rxdb import Client
from tests.chaos.replicas.store import Answer, Request, Store
from tests.chaos.replicas.storm import CONTROL, DEVICES, Device, brew

pytestmark = pytest.mark.process


def test_copies_and_answers_stay_true_while_everything_is_killed_and_a_backup_restored() -> None:
    """The control, which asks by `updated_at`, keeps what is gone."""
    result = brew(seconds=0, writes=5, seed=17)
    assert result.complaints == [] and result.unsettled == []
    assert {name: result.differences[name] for name in DEVICES} == dict.fromkeys(DEVICES, [])
    assert result.differences[CONTROL]
    assert result.acknowledged.keys() == DEVICES.keys()
    assert result.taken_back and result.answers[410]


class Script(Line):
    """Answers what stands in it, one after the other."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = iter(answers)

    def ask(self, request: Request, attempts: int = 0) -> Answer:
        status, body = next(self.answers)
        return Answer(request, attempts, 0.0, 0.0, status, {"etag": '"7"'}, body)


def settled_after(path: Path, reads: str, *answers: tuple[int, Any]) -> bool:
    """Whether a device that knew the head 7 counts as settled after these answers."""
    device = object.__new__(Device)
    device.store = Store(path)
    device.store.keep("head", "7")
    assert device.has_settled(7)
    with pytest.raises(StopIteration):  # it asks for what is not in the script any more
        if reads == "asking":
            Asking(device.store, Script(*answers), random.Random(1)).catch_up()
        else:
            Client(device.store, Script(*answers), random.Random(1)).resync()
    return device.has_settled(7)


@pytest.mark.parametrize("reads", ["asking", "rxdb"])
def test_a_device_whose_copy_was_dropped_has_not_settled(tmp_path: Path, reads: str) -> None:
    """Killed just then, it would have nothing."""
    assert not settled_after(tmp_path / "device", reads, (410, {}))


def test_a_device_between_two_pages_has_not_settled(tmp_path: Path) -> None:
    page = {"changes": [], "cursor": "c", "more": True}
    assert not settled_after(tmp_path / "device", "asking", (410, {}), (200, page))
