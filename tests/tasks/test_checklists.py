"""Subtasks of tasks that recur, and tasks that recur within others."""

import datetime as dt
from typing import Any

import pytest
import time_machine

from tasks import services
from tasks.completions import Completion
from tasks.models import Task
from tests.factories import head_of, make_task
from tests.tasks.test_recurring import NOW, TODAY, make
from users.models import User
from users.resources.undo import undo


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW) as clock:
        yield clock


def status_of(*tasks: Task) -> list[str]:
    return [Task.objects.get(pk=task.pk).status for task in tasks]


def test_the_checklist_begins_again_with_the_next_occurrence(alice: User) -> None:
    trip = make(alice, "FREQ=WEEKLY")
    packed = make_task(alice, parent_id=trip.pk, due_date=dt.date(2026, 11, 27))
    timed = make_task(alice, parent_id=packed.pk, due_at=NOW)
    bare, cancelled = make_task(alice, parent_id=trip.pk), make_task(alice, parent_id=trip.pk, status="cancelled")
    unpacked = make_task(alice, parent_id=trip.pk, due_date=TODAY)
    for task in (timed, packed, bare):
        services.complete_task(alice, task.pk, completed=True)
    head = head_of(alice)
    advanced = services.complete_task(alice, trip.pk, completed=True)
    assert advanced.due_date == dt.date(2026, 12, 5)
    assert status_of(packed, timed, bare, cancelled, unpacked) == ["pending"] * 3 + ["cancelled", "pending"]
    for task in (packed, timed, unpacked):
        task.refresh_from_db()
    assert (packed.due_date, packed.completed_at, packed.completions) == (dt.date(2026, 12, 4), None, 1)
    assert (timed.due_at, timed.due_date) == (NOW + dt.timedelta(days=7), dt.date(2026, 12, 5))
    assert (unpacked.due_date, advanced.operation, head_of(alice)) == (TODAY, head + 4, head + 4)
    assert Completion.objects.counted().count() == 4


def test_undo_brings_the_checklist_back(alice: User) -> None:
    trip = make(alice, "FREQ=WEEKLY")
    packed = make_task(alice, parent_id=trip.pk, due_date=TODAY)
    services.complete_task(alice, packed.pk, completed=True)
    before = list(Task.objects.order_by("pk").values("status", "due_date", "completed_at", "completions", "recurrence"))
    undo(alice, services.complete_task(alice, trip.pk, completed=True).operation)
    after = Task.objects.order_by("pk").values("status", "due_date", "completed_at", "completions", "recurrence")
    assert list(after) == before
    assert [row.task_id for row in Completion.objects.counted()] == [packed.pk]


def test_skipping_begins_again_too(alice: User) -> None:
    trip = make(alice)
    packed = make_task(alice, parent_id=trip.pk)
    services.complete_task(alice, packed.pk, completed=True)
    services.skip_task(alice, trip.pk)
    assert status_of(packed) == ["pending"]


def test_subtasks_that_shall_be_left_are(alice: User) -> None:
    trip = make(alice)
    packed = make_task(alice, parent_id=trip.pk)
    services.complete_task(alice, packed.pk, completed=True)
    services.complete_task(alice, trip.pk, completed=True, with_subtasks=False)
    assert status_of(packed) == ["completed"]


def test_completing_a_parent_leaves_what_recurs_with_its_own_checklist(alice: User) -> None:
    house = make_task(alice)
    plants, paint = make(alice, parent_id=house.pk), make_task(alice, parent_id=house.pk)
    fern = make_task(alice, parent_id=plants.pk)
    services.complete_task(alice, house.pk, completed=True)
    assert status_of(house, plants, paint, fern) == ["completed", "pending", "completed", "pending"]
    plants.refresh_from_db()
    assert (plants.due_date, plants.completions) == (TODAY, 0)


def test_one_that_recurs_within_another_is_not_touched(alice: User) -> None:
    week = make(alice, "FREQ=WEEKLY")
    day = make(alice, parent_id=week.pk)
    step = make_task(alice, parent_id=day.pk)
    services.complete_task(alice, step.pk, completed=True)
    services.complete_task(alice, day.pk, completed=True, ends_series=True)
    services.complete_task(alice, step.pk, completed=True)
    services.complete_task(alice, week.pk, completed=True)
    assert status_of(day, step) == ["completed", "completed"]


def test_the_end_of_a_series_completes_the_open_subtasks(alice: User) -> None:
    trip = make(alice)
    packed = make_task(alice, parent_id=trip.pk)
    services.complete_task(alice, trip.pk, completed=True, ends_series=True)
    assert status_of(trip, packed) == ["completed", "completed"]


def test_the_days_are_those_of_the_rules_time_zone(alice: User) -> None:
    """From Friday to Saturday in Kiritimati, which is from Thursday to Friday in UTC."""
    first = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
    trip = make(alice, due=first, zone="Pacific/Kiritimati")
    late = make_task(alice, parent_id=trip.pk, due_at=dt.datetime(2026, 11, 28, 9, 30, tzinfo=dt.UTC))
    services.complete_task(alice, late.pk, completed=True)
    services.complete_task(alice, trip.pk, completed=True)
    late.refresh_from_db()
    assert late.due_at == dt.datetime(2026, 11, 29, 9, 30, tzinfo=dt.UTC)


def test_completing_several_reopens_nothing_that_was_completed_with_them(alice: User) -> None:
    trip = make(alice)
    packed = make_task(alice, parent_id=trip.pk)
    services.complete_tasks(alice, [trip.pk, packed.pk], completed=True)
    assert status_of(trip, packed) == ["pending", "completed"]
    assert Completion.objects.counted().count() == 2
