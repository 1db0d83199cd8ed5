"""Tests of reminders, digests and their mails."""

import datetime as dt

from config.operations import work
from tasks.models import Task
from tasks.reminders.models import Reminder

NOW = dt.datetime(2026, 11, 29, 8, 0, tzinfo=dt.UTC)
DUE = dt.datetime(2026, 12, 1, 9, 0, tzinfo=dt.UTC)
HALF_AN_HOUR = [{"minutes_before": 30}]


def work_through() -> None:
    """Let the worker do what is due: reminders first, so that their mails are sent, too."""
    work.drain("reminders", "digests")
    work.drain("bulk mails")


def planned(task: Task) -> list[dt.datetime | None]:
    """When the reminders of a task fire."""
    rows = Reminder.objects.filter(task=task.pk).order_by("remind_at", "pk")
    assert all(row.due_at == row.remind_at for row in rows if row.settled_for is None)
    return [row.remind_at for row in rows]
