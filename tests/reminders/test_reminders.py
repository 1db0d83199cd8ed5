"""When reminders fire, whichever way their task is written."""

import datetime as dt
from typing import Any

import pytest
import time_machine

from tasks import services
from tasks.models import Task
from tasks.reminders.models import Reminder
from tests.client import Api
from tests.factories import caller_of, make_project, make_task
from users import services as accounts
from users.models import User
from users.resources import undo

NOW = dt.datetime(2026, 11, 29, 8, 0, tzinfo=dt.UTC)
DUE = dt.datetime(2026, 12, 1, 9, 0, tzinfo=dt.UTC)
HALF_AN_HOUR = [{"minutes_before": 30}]


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as moved:
        yield moved


def planned(task: Task) -> list[dt.datetime | None]:
    rows = Reminder.objects.filter(task=task.pk).order_by("remind_at", "pk")
    assert all(row.due_at == row.remind_at for row in rows if row.settled_for is None)
    return [row.remind_at for row in rows]


def test_a_reminder_before_a_due_and_one_at_a_moment(alice: User) -> None:
    task = make_task(alice, due_at=DUE, reminders=[*HALF_AN_HOUR, {"at": DUE - dt.timedelta(days=1)}])
    assert planned(task) == [DUE - dt.timedelta(days=1), DUE - dt.timedelta(minutes=30)]
    assert [[*each] for each in task.reminders] == [["uid", "minutes_before"], ["at", "uid"]]
    assert task.reminders[1]["at"] == "2026-11-30T09:00:00Z"
