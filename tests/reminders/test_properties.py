"""Whatever happens to tasks, projects and settings, the rows are what a plain computation makes of them."""

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest import MonkeyPatch

from config.environment.rates import Rate
from config.errors import DomainError
from tasks import services
from tasks.models import Task
from tasks.projects.models import Project
from tasks.projects.services import update_project
from tasks.reminders.models import Reminder
from tests.factories import make_project, make_task, make_user
from tests.problems import rolled_back
from users import services as accounts
from users.models import User
from users.resources import undo

pytestmark = pytest.mark.thorough

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca")
FIRST = dt.date(2026, 12, 1)
days = st.integers(0, 500).map(lambda number: FIRST + dt.timedelta(days=number))
moments = st.integers(0, 500 * 24 * 60).map(
    lambda minutes: dt.datetime.combine(FIRST, dt.time(), dt.UTC) + dt.timedelta(minutes=minutes)
)
reminders = st.lists(
    st.fixed_dictionaries({"minutes_before": st.sampled_from([0, 5, 60, 1440, 40_320])})
    | st.fixed_dictionaries({"at": moments}),
    max_size=3,
)
dues: st.SearchStrategy[Any] = (
    st.fixed_dictionaries({"due_at": moments}) | st.fixed_dictionaries({"due_date": days}) | st.just({"due_date": None})
)
RULES = st.sampled_from([None, {"rule": "FREQ=DAILY", "zone": "Asia/Tokyo"}, {"rule": "FREQ=WEEKLY;COUNT=3"}])


def instant_of(wall: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """By the offset of a day before, which a gap and the first part of a fold still have."""
    as_utc = wall.replace(tzinfo=dt.UTC)
    before, after = (as_utc + dt.timedelta(days=each) for each in (-1, 1))
    first, other = (as_utc - (each.astimezone(zone).utcoffset() or dt.timedelta()) for each in (before, after))
    is_later = first.astimezone(zone).replace(tzinfo=None) >= wall
    return first if is_later or first == other else other


def planned(each: dict[str, Any], task: Task, account: User) -> dt.datetime | None:
    if "at" in each:
        return dt.datetime.fromisoformat(each["at"])
    if task.due_date is None:
        return None
    wall = dt.datetime.combine(task.due_date, account.reminder_time)
    start = task.due_at or instant_of(wall, ZoneInfo(account.timezone))
    return start - dt.timedelta(minutes=each["minutes_before"])


def expected(account: User) -> dict[tuple[int, str], Any]:
    found = {}
    for task in Task.objects.filter(user=account).select_related("project"):
        is_archived = task.project is not None and task.project.archived_at is not None
        is_muted = task.deleted_at is not None or task.status in ("completed", "cancelled") or is_archived
        for each in task.reminders:
            at = planned(each, task, account)
            found[task.pk, each["uid"]] = (at, is_muted, None if is_muted else at)
    return found


def stored(account: User) -> dict[tuple[int, str], Any]:
    rows = Reminder.objects.filter(user=account)
    assert all(row.due_at == row.remind_at for row in rows)
    return {(row.task_id, row.uid): (row.planned_at, row.is_muted, row.remind_at) for row in rows}


def _task(data: st.DataObject, account: User) -> int:
    return data.draw(st.sampled_from([*Task.objects.filter(user=account).order_by("pk").values_list("pk", flat=True)]))


def _project(data: st.DataObject, account: User) -> int | None:
    ids = [*Project.objects.filter(user=account).order_by("pk").values_list("pk", flat=True)]
    return data.draw(st.sampled_from([None, *ids]))


Deed = Callable[[st.DataObject, User], object]
DEEDS: dict[str, Deed] = {
    "create": lambda data, user: make_task(
        user, **data.draw(dues), reminders=data.draw(reminders), project_id=_project(data, user)
    ),
    "due": lambda data, user: services.update_task(user, _task(data, user), data.draw(dues)),
    "reminders": lambda data, user: services.update_task(user, _task(data, user), {"reminders": data.draw(reminders)}),
    "recurrence": lambda data, user: services.update_task(user, _task(data, user), {"recurrence": data.draw(RULES)}),
    "status": lambda data, user: services.update_task(
        user, _task(data, user), {"status": data.draw(st.sampled_from(["pending", "in_progress", "cancelled"]))}
    ),
    "complete": lambda data, user: services.complete_task(user, _task(data, user)),
    "complete many": lambda data, user: services.complete_tasks(user, [_task(data, user) for _ in range(3)], True),
    "skip": lambda data, user: services.skip_task(user, _task(data, user)),
    "delete": lambda data, user: services.delete_task(user, _task(data, user)),
    "restore": lambda data, user: services.restore_tasks(user, [_task(data, user)]),
    "move": lambda data, user: services.move_task(user, _task(data, user), {"project_id": _project(data, user)}),
    "within": lambda data, user: services.update_task(user, _task(data, user), {"parent_id": _task(data, user)}),
    "archive": lambda data, user: (
        (project := _project(data, user)) and update_project(user, project, {"is_archived": data.draw(st.booleans())})
    ),
    "zone": lambda data, user: accounts.update_account(user, timezone=data.draw(st.sampled_from(ZONES))),
    "time": lambda data, user: accounts.update_account(
        user, reminder_time=data.draw(st.sampled_from([dt.time(0), dt.time(2, 30), dt.time(9), dt.time(23, 59)]))
    ),
    "undo": lambda data, user: undo.undo(user),
}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_rows_are_what_a_plain_computation_makes_of_tasks(
    db: None, monkeypatch: MonkeyPatch, data: st.DataObject
) -> None:
    monkeypatch.setattr("users.services.accounts.MOVED", Rate(10**9, 3600))
    with rolled_back():
        account = make_user(timezone=data.draw(st.sampled_from(ZONES)))
        make_project(account)
        for _ in range(2):
            make_task(account, **data.draw(dues), reminders=data.draw(reminders))
        for name in data.draw(st.lists(st.sampled_from(sorted(DEEDS)), max_size=12)):
            with suppress(DomainError):  # there is nothing to restore, a parent is within its child, …
                DEEDS[name](data, account)
            account = User.objects.get(pk=account.pk)
            assert stored(account) == expected(account), name
