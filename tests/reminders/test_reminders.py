"""When reminders fire, whichever way their task is written."""

import datetime as dt
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from tasks import services
from tasks.models import Task
from tasks.projects.services import update_project
from tasks.reminders.models import Reminder
from tests.client import Api
from tests.factories import caller_of, make_project, make_task, make_user
from tests.reminders import DUE, HALF_AN_HOUR, planned
from users import services as accounts
from users.models import User
from users.resources import trash, undo

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
MINUTES = dt.timedelta(minutes=1)
DAILY = {"rule": "FREQ=DAILY", "zone": "UTC"}
pytestmark = pytest.mark.usefixtures("clock")


def at_utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[arg-type,misc]


def test_a_reminder_before_a_due_and_one_at_a_moment(alice: User) -> None:
    task = make_task(alice, due_at=DUE, reminders=[*HALF_AN_HOUR, {"at": DUE - DAY}])
    assert planned(task) == [DUE - DAY, DUE - 30 * MINUTES]
    assert [[*each] for each in task.reminders] == [["uid", "minutes_before"], ["at", "uid"]]
    assert task.reminders[1]["at"] == "2026-11-30T09:00:00Z"


def test_without_a_due_there_is_nothing_to_count_from(alice: User) -> None:
    task = make_task(alice, reminders=[*HALF_AN_HOUR, {"at": DUE}])
    assert planned(task) == [DUE, None]


def test_a_change_of_the_due_moves_them_and_one_of_the_title_does_not(alice: User) -> None:
    task = make_task(alice, due_at=DUE, reminders=HALF_AN_HOUR)
    services.update_task(alice, task.pk, {"due_at": DUE + DAY})
    assert planned(task) == [DUE + DAY - 30 * MINUTES]
    row = Reminder.objects.get()
    services.update_task(alice, task.pk, {"title": "New"})
    assert Reminder.objects.values().get() == Reminder.objects.filter(pk=row.pk).values().get()
    services.update_task(alice, task.pk, {"due_date": None})
    assert planned(task) == [None]


def test_those_that_are_taken_away_are_gone(alice: User) -> None:
    task = make_task(alice, due_at=DUE, reminders=[*HALF_AN_HOUR, {"minutes_before": 0}])
    first = task.reminders[0]["uid"]
    services.update_task(alice, task.pk, {"reminders": HALF_AN_HOUR})
    assert Reminder.objects.values_list("uid", flat=True).get() == first
    services.update_task(alice, task.pk, {"reminders": []})
    assert not Reminder.objects.exists()


def test_closed_tasks_have_none_until_they_are_reopened(alice: User) -> None:
    task = make_task(alice, due_at=DUE, reminders=HALF_AN_HOUR)
    for status, expected in [
        ("in_progress", DUE - 30 * MINUTES),
        ("cancelled", None),
        ("pending", DUE - 30 * MINUTES),
        ("completed", None),
    ]:
        services.update_task(alice, task.pk, {"status": status})
        assert planned(task) == [expected], status
    services.complete_task(alice, task.pk, False)
    assert planned(task) == [DUE - 30 * MINUTES]


def test_subtasks_that_are_completed_along_are_muted(alice: User) -> None:
    parent = make_task(alice)
    child = make_task(alice, parent_id=parent.pk, due_at=DUE, reminders=HALF_AN_HOUR)
    services.complete_task(alice, parent.pk)
    assert planned(child) == [None]


def test_a_task_that_recurs_moves_on_with_its_reminder(alice: User) -> None:
    task = make_task(alice, due_at=DUE, recurrence=DAILY, reminders=HALF_AN_HOUR)
    services.complete_task(alice, task.pk)
    assert planned(task) == [DUE + DAY - 30 * MINUTES]
    services.skip_task(alice, task.pk)
    assert planned(task) == [DUE + 2 * DAY - 30 * MINUTES]
    services.complete_task(alice, task.pk, ends_series=True)
    assert planned(task) == [None]


def test_a_checklist_that_begins_again_is_reminded_of_again(alice: User) -> None:
    parent = make_task(alice, due_at=DUE, recurrence=DAILY)
    child = make_task(alice, parent_id=parent.pk, due_at=DUE, reminders=HALF_AN_HOUR)
    services.complete_task(alice, child.pk)
    services.complete_task(alice, parent.pk)
    assert planned(child) == [DUE + DAY - 30 * MINUTES]


def test_what_goes_to_the_trash_is_muted_until_it_is_restored(alice: User) -> None:
    task = make_task(alice, due_at=DUE, reminders=HALF_AN_HOUR)
    services.delete_task(alice, task.pk)
    assert planned(task) == [None]
    services.restore_task(alice, task.pk)
    assert planned(task) == [DUE - 30 * MINUTES]
    services.delete_task(alice, task.pk)
    trash.erase(alice, Task, task.pk, None)
    assert not Reminder.objects.exists()


def test_an_archived_project_mutes_its_tasks(alice: User) -> None:
    project = make_project(alice)
    task = make_task(alice, project_id=project.pk, due_at=DUE, reminders=HALF_AN_HOUR)
    closed = make_task(alice, project_id=project.pk, due_at=DUE, reminders=HALF_AN_HOUR, status="completed")
    update_project(alice, project.pk, {"is_archived": True})
    assert planned(task) == planned(closed) == [None]
    new = make_task(alice, project_id=project.pk, due_at=DUE, reminders=HALF_AN_HOUR)
    assert planned(new) == [None]
    services.move_tasks(alice, [new.pk], None)
    assert planned(new) == [DUE - 30 * MINUTES]
    update_project(alice, project.pk, {"is_archived": False})
    assert (planned(task), planned(closed)) == ([DUE - 30 * MINUTES], [None])


def test_a_move_to_an_archived_project_mutes(alice: User) -> None:
    project = make_project(alice, is_archived=True)
    task = make_task(alice, due_at=DUE, reminders=HALF_AN_HOUR)
    child = make_task(alice, parent_id=task.pk, due_at=DUE, reminders=HALF_AN_HOUR)
    services.move_task(alice, task.pk, {"project_id": project.pk})
    assert planned(task) == planned(child) == [None]


def test_undo_takes_reminders_back_and_brings_them_back(alice: User) -> None:
    task = make_task(alice, due_at=DUE, reminders=HALF_AN_HOUR)
    changed = services.update_task(alice, task.pk, {"reminders": [{"minutes_before": 60}], "due_at": DUE + DAY})
    assert planned(task) == [DUE + DAY - HOUR]
    undone = undo.undo(alice, changed.operation)
    assert planned(task) == [DUE - 30 * MINUTES]
    assert Task.objects.get().reminders == task.reminders
    undo.undo(alice, undone[0].operation)
    assert planned(task) == [DUE + DAY - HOUR]


def test_undo_of_a_creation_and_of_an_advance(alice: User) -> None:
    task = make_task(alice, due_at=DUE, recurrence=DAILY, reminders=HALF_AN_HOUR)
    advanced = services.complete_task(alice, task.pk)
    undo.undo(alice, advanced.operation)
    assert planned(task) == [DUE - 30 * MINUTES]
    undo.undo(alice, task.operation)
    assert planned(task) == [None]


# --- Whole days -------------------------------------------------------------------------------------


def test_a_whole_day_counts_from_nine_in_the_users_time_zone(db: None) -> None:
    berlin = make_user(timezone="Europe/Berlin")
    task = make_task(berlin, due_date=dt.date(2026, 12, 1), reminders=[{"minutes_before": 0}])
    assert planned(task) == [at_utc(2026, 12, 1, 8)]
    accounts.update_account(berlin, reminder_time=dt.time(18, 30))
    assert planned(task) == [at_utc(2026, 12, 1, 17, 30)]
    accounts.update_account(berlin, timezone="America/New_York")
    assert planned(task) == [at_utc(2026, 12, 1, 23, 30)]


def test_the_series_zone_is_not_that_of_the_reminder(db: None) -> None:
    berlin = make_user(timezone="Europe/Berlin")
    tokyo = {"rule": "FREQ=DAILY", "zone": "Asia/Tokyo"}
    task = make_task(berlin, due_date=dt.date(2026, 12, 1), recurrence=tokyo, reminders=[{"minutes_before": 0}])
    assert planned(task) == [at_utc(2026, 12, 1, 8)]


def test_a_new_zone_changes_neither_versions_nor_timed_reminders(alice: User) -> None:
    day = make_task(alice, due_date=dt.date(2026, 12, 1), reminders=HALF_AN_HOUR)
    timed = make_task(alice, due_at=DUE, reminders=HALF_AN_HOUR)
    moment = make_task(alice, due_date=dt.date(2026, 12, 1), reminders=[{"at": DUE}])
    before = [*Task.objects.order_by("pk").values_list("version", flat=True)]
    accounts.update_account(alice, timezone="Asia/Karachi")
    assert (planned(day), planned(timed), planned(moment)) == (
        [at_utc(2026, 12, 1, 3, 30)],
        [DUE - 30 * MINUTES],
        [DUE],
    )
    assert [*Task.objects.order_by("pk").values_list("version", flat=True)] == before


def test_a_day_that_was_in_the_trash_follows_the_zone_when_it_is_restored(alice: User) -> None:
    task = make_task(alice, due_date=dt.date(2026, 12, 1), reminders=[{"minutes_before": 0}])
    services.delete_task(alice, task.pk)
    services.restore_task(accounts.update_account(alice, timezone="Asia/Karachi"), task.pk)
    assert planned(task) == [at_utc(2026, 12, 1, 4)]


@pytest.mark.parametrize(
    ("day", "time", "expected"),
    [
        (dt.date(2027, 3, 28), dt.time(2, 30), at_utc(2027, 3, 28, 1, 30)),  # a gap: it is 03:30
        (dt.date(2027, 10, 31), dt.time(2, 30), at_utc(2027, 10, 31, 0, 30)),  # a fold: the first of both
        (dt.date(2027, 6, 1), dt.time(2, 30), at_utc(2027, 6, 1, 0, 30)),
    ],
)
def test_clock_changes(db: None, day: dt.date, time: dt.time, expected: dt.datetime) -> None:
    berlin = make_user(timezone="Europe/Berlin", reminder_time=time)
    assert planned(make_task(berlin, due_date=day, reminders=[{"minutes_before": 0}])) == [expected]


@pytest.mark.parametrize("year", [1900, 2999])
def test_the_first_and_the_last_day(alice: User, year: int) -> None:
    for day in (dt.date(year, 1, 1), dt.date(year, 12, 31)):
        task = make_task(alice, due_date=day, reminders=[{"minutes_before": 40_320}])
        [at] = planned(task)
        assert at == dt.datetime.combine(day, dt.time(9), dt.UTC) - 28 * DAY


# --- Defaults ---------------------------------------------------------------------------------------


def test_a_new_task_with_a_due_has_the_default_reminder(alice: User) -> None:
    for actor in (accounts.update_account(alice, default_reminder_minutes=15), caller_of(alice)):
        timed, day = make_task(actor, due_at=DUE), make_task(actor, due_date=DUE.date())
        assert planned(timed) == planned(day) == [DUE - 15 * MINUTES]
        without = make_task(actor), make_task(actor, due_at=DUE, reminders=[]), make_task(actor, due_date=None)
        assert [task.reminders for task in without] == [[], [], []]
        own = make_task(actor, due_at=DUE, reminders=HALF_AN_HOUR)
        assert planned(own) == [DUE - 30 * MINUTES]


def test_the_default_comes_also_within_a_project_and_with_a_key(as_alice: Api, alice: User) -> None:
    """Which are other statements than that of a task alone."""
    accounts.update_account(alice, default_reminder_minutes=15)
    project = make_project(alice)
    for body, key in (({"project_id": project.pk}, "k0"), ({}, "k1"), ({}, "k1"), ({"project_id": project.pk}, "k2")):
        answer = as_alice.post(PLACE, {"title": "A", "due_date": "2026-12-01", **body}, idempotency_key=key)
        assert [each["minutes_before"] for each in answer.json()["reminders"]] == [15]
    assert Reminder.objects.count() == 3


def test_a_due_that_comes_later_brings_no_default(alice: User) -> None:
    accounts.update_account(alice, default_reminder_minutes=15)
    task = make_task(alice)
    assert services.update_task(alice, task.pk, {"due_at": DUE}).reminders == []


def test_several_at_once_have_it_too(alice: User) -> None:
    accounts.update_account(alice, default_reminder_minutes=15)
    tasks = services.create_tasks(
        caller_of(alice),
        [{"title": "A", "due_date": DUE.date()}, {"title": "B"}, {"title": "C", "due_at": DUE, "reminders": []}],
    )
    assert [len(task.reminders) for task in tasks] == [1, 0, 0]


def test_a_day_costs_no_read_of_the_account_without_a_default(
    alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    caller = caller_of(alice)
    make_task(caller)
    with django_assert_num_queries(3):  # a savepoint, the task, and its release
        make_task(caller, due_date=DUE.date())


def test_the_first_task_of_an_account_may_have_a_day(alice: User) -> None:
    """Its statement does nothing at first, for want of a feed."""
    assert make_task(caller_of(alice), due_date=DUE.date()).reminders == []
    accounts.update_account(alice, default_reminder_minutes=0)
    bob = make_user(default_reminder_minutes=0)
    assert len(make_task(caller_of(bob), due_date=DUE.date()).reminders) == 1


# --- The member -------------------------------------------------------------------------------------

PLACE = "/api/me/tasks"


def test_a_task_shows_its_reminders_and_its_version_covers_them(as_alice: Api, alice: User) -> None:
    sent = [{"uid": "mine", "minutes_before": 10}, {"at": "2026-12-01T10:00:00+01:00"}]
    body = as_alice.post(PLACE, {"title": "A", "due_at": "2026-12-01T09:00:00Z", "reminders": sent}).json()
    assert body["reminders"][0] == sent[0]
    assert body["reminders"][1]["at"] == "2026-12-01T09:00:00Z"
    place = f"{PLACE}/{body['id']}"
    assert as_alice.get(place).json() == body == as_alice.get(PLACE).json()[0]
    same = as_alice.patch(place, {"reminders": [sent[0], {"at": "2026-12-01T09:00:00Z"}]}).json()
    assert same == body  # those that say the same keep their uids
    changed = as_alice.patch(place, {"reminders": None}).json()
    assert (changed["reminders"], changed["version"]) == ([], body["version"] + 1)
    assert Task.objects.get().reminders == []


@pytest.mark.parametrize(
    ("reminders", "pointer"),
    [
        ("tomorrow", "/reminders"),
        ([{"minutes_before": 1}] * 11, "/reminders"),
        ([{}], "/reminders/0"),
        (["soon"], "/reminders/0"),
        ([{"minutes_before": 1}, {"at": "2026-12-01T09:00:00Z", "minutes_before": 1}], "/reminders/1"),
        ([{"minutes_before": -1}], "/reminders/0/minutes_before"),
        ([{"minutes_before": 40_321}], "/reminders/0/minutes_before"),
        ([{"minutes_before": 1.5}], "/reminders/0/minutes_before"),
        ([{"minutes_before": None}], "/reminders/0/minutes_before"),
        ([{"at": "2026-12-01"}], "/reminders/0/at"),
        ([{"minutes_before": 1, "uid": ""}], "/reminders/0/uid"),
        ([{"minutes_before": 1, "uid": "x" * 256}], "/reminders/0/uid"),
        ([{"minutes_before": 1, "channel": "sms"}], "/reminders/0/channel"),
        ([{"minutes_before": 1, "uid": "a"}, {"minutes_before": 2, "uid": "a"}], "/reminders/1/uid"),
    ],
)
def test_bad_reminders_are_refused_where_they_are(as_alice: Api, alice: User, reminders: Any, pointer: str) -> None:
    for answer in (
        as_alice.post(PLACE, {"title": "A", "reminders": reminders}),
        as_alice.patch(f"{PLACE}/{make_task(alice).pk}", {"reminders": reminders}),
    ):
        assert answer.status_code == 400, answer.content
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert not Reminder.objects.exists()


def test_history_tells_of_them(as_alice: Api, alice: User) -> None:
    task = make_task(alice, due_at=DUE)
    changed = services.update_task(alice, task.pk, {"reminders": HALF_AN_HOUR})
    [entry, _] = as_alice.get(f"{PLACE}/{task.pk}/history").json()
    assert entry["diff"] == {"reminders": [[], changed.reminders]}
