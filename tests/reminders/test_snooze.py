"""`GET …/reminders` and `POST …/snooze`."""

import datetime as dt
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from time_machine import Traveller

from tasks import services as tasks
from tasks.models import Task
from tasks.reminders.models import Reminder
from tests.client import Api
from tests.factories import make_task, make_token, make_user
from tests.problems import problem_of
from tests.reminders import DUE, NOW, work_through
from users.models import User

REMIND_AT = DUE - dt.timedelta(minutes=30)
SETTINGS = [{"uid": "late", "minutes_before": 5}, {"uid": "a/b", "minutes_before": 30}]
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def ada(db: None, clock: Traveller) -> User:
    return make_user("ada", email_verified_at=timezone.now())


@pytest.fixture
def task(ada: User) -> Task:
    return make_task(ada, due_at=DUE, reminders=SETTINGS)


def place(task: Task, uid: str = "") -> str:
    return f"/api/me/tasks/{task.pk}/reminders" + (f"/{uid}/snooze" if uid else "")


def shown(user: User, task: Task) -> dict[str, Any]:
    return {each["uid"]: each for each in Api(user).get(place(task)).json()}


def test_the_list_is_in_the_tasks_order_and_tells_what_became_of_each(ada: User, task: Task, clock: Traveller) -> None:
    fresh = {"snoozed_until": None, "sent_at": None, "missed_at": None}
    assert Api(ada).get(place(task)).json() == [
        {"uid": "late", "remind_at": "2026-12-01T08:55:00Z", **fresh},
        {"uid": "a/b", "remind_at": "2026-12-01T08:30:00Z", **fresh},
    ]
    clock.move_to(REMIND_AT)
    work_through()
    assert shown(ada, task)["a/b"]["sent_at"] == "2026-12-01T08:30:00Z"
    tasks.complete_task(ada, task.pk)
    found = shown(ada, task)
    assert (found["late"]["remind_at"], found["late"]["sent_at"]) == (None, None)
    assert (found["a/b"]["remind_at"], found["a/b"]["sent_at"]) == (None, "2026-12-01T08:30:00Z")


def test_the_list_of_a_task_without_reminders_is_empty(ada: User) -> None:
    assert Api(ada).get(place(make_task(ada))).json() == []


def test_the_list_takes_two_statements(
    ada: User, task: Task, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    api = Api(ada)
    with django_assert_num_queries(2):
        api.get(place(task))


def test_a_snoozed_reminder_is_told_again(ada: User, task: Task, clock: Traveller) -> None:
    clock.move_to(REMIND_AT)
    work_through()
    version = Task.objects.get().version
    clock.shift(60)
    answer = Api(ada).post(place(task, "a%2Fb"), {"minutes": 10})
    assert (answer.status_code, answer.json()["remind_at"]) == (200, "2026-12-01T08:41:00Z")
    assert (answer.json()["snoozed_until"], answer.json()["sent_at"]) == ("2026-12-01T08:41:00Z", None)
    assert Task.objects.get().version == version
    clock.move_to(REMIND_AT + 11 * MINUTE)
    work_through()
    assert len(mail.outbox) == 2
    assert shown(ada, task)["a/b"]["sent_at"] == "2026-12-01T08:41:00Z"
    clock.shift(3600)
    work_through()
    assert len(mail.outbox) == 3  # the other one


def test_one_that_has_not_fired_yet_comes_later(ada: User, task: Task) -> None:
    Api(ada).post(place(task, "late"), {"until": "2026-12-02T08:00:00+01:00"})
    row = Reminder.objects.get(uid="late")
    assert row.due_at == row.remind_at == dt.datetime(2026, 12, 2, 7, tzinfo=dt.UTC)


def test_a_snooze_ends_when_the_due_or_the_reminder_changes(ada: User, task: Task) -> None:
    Api(ada).post(place(task, "late"), {"minutes": 10})
    tasks.update_task(ada, task.pk, {"title": "New", "status": "in_progress"})
    assert shown(ada, task)["late"]["snoozed_until"] is not None
    tasks.update_task(ada, task.pk, {"due_at": DUE + MINUTE})
    assert shown(ada, task)["late"]["remind_at"] == "2026-12-01T08:56:00Z"
    Api(ada).post(place(task, "late"), {"minutes": 10})
    tasks.update_task(ada, task.pk, {"reminders": [{"uid": "late", "minutes_before": 6}]})
    assert shown(ada, task)["late"]["remind_at"] == "2026-12-01T08:55:00Z"


def test_a_reminder_without_a_due_can_be_snoozed(ada: User) -> None:
    task = make_task(ada, reminders=SETTINGS)
    Api(ada).post(place(task, "late"), {"minutes": 10})
    assert Reminder.objects.get(uid="late").due_at == NOW + 10 * MINUTE


def test_a_snooze_stays_away_while_the_task_is_closed(ada: User, task: Task) -> None:
    Api(ada).post(place(task, "late"), {"minutes": 10})
    tasks.complete_task(ada, task.pk)
    assert Reminder.objects.get(uid="late").due_at is None
    problem = problem_of(Api(ada).post(place(task, "late"), {"minutes": 10}), 409)
    assert problem["code"] == "reminder_muted"
    tasks.complete_task(ada, task.pk, False)
    assert Reminder.objects.get(uid="late").due_at == NOW + 10 * MINUTE


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/until"),
        ({"minutes": 5, "until": "2026-12-02T08:00:00Z"}, "/until"),
        ({"minutes": 0}, "/minutes"),
        ({"minutes": 40_321}, "/minutes"),
        ({"minutes": "5"}, "/minutes"),
        ({"until": "2026-11-29T08:00:00Z"}, "/until"),  # now
        ({"until": "2999-12-31T08:00:00Z"}, "/until"),
        ({"hours": 5}, "/hours"),
    ],
)
def test_a_bad_snooze_is_refused(ada: User, task: Task, body: dict[str, Any], pointer: str) -> None:
    problem = problem_of(Api(ada).post(place(task, "late"), body), 400)
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert not Reminder.objects.exclude(snoozed_until=None).exists()


@pytest.mark.parametrize("uid", ["other", "%00", "x" * 300])
def test_an_unknown_reminder(ada: User, task: Task, uid: str) -> None:
    assert problem_of(Api(ada).post(place(task, uid), {"minutes": 5}), 404)["code"] == "reminder_not_found"


@pytest.mark.parametrize("number", ["0", "x", "99999999999999999999", "4711"])
def test_an_unknown_task(ada: User, number: str) -> None:
    for answer in (
        Api(ada).get(f"/api/me/tasks/{number}/reminders"),
        Api(ada).post(f"/api/me/tasks/{number}/reminders/a/snooze", {"minutes": 5}),
    ):
        assert problem_of(answer, 404)["code"] == "task_not_found"


def test_what_is_in_the_trash_has_none(ada: User, task: Task) -> None:
    tasks.delete_task(ada, task.pk)
    assert problem_of(Api(ada).get(place(task)), 404)["code"] == "task_not_found"
    assert problem_of(Api(ada).post(place(task, "late"), {"minutes": 5}), 404)["code"] == "task_not_found"


def test_anothers_reminder_is_none(ada: User, task: Task, bob: User) -> None:
    assert problem_of(Api(bob).get(place(task)), 404)["code"] == "task_not_found"
    assert problem_of(Api(bob).post(place(task, "late"), {"minutes": 5}), 404)["code"] == "task_not_found"


def test_unknown_parameters_are_refused(ada: User, task: Task) -> None:
    assert problem_of(Api(ada).get(f"{place(task)}?limit=5"), 400)


def test_a_token_that_may_read_may_not_snooze(ada: User, task: Task) -> None:
    headers = {"Authorization": f"Bearer {make_token(ada, 'tasks:read')}"}
    client = Api().client
    assert client.get(place(task), headers=headers).status_code == 200
    answer = client.post(place(task, "late"), {"minutes": 5}, content_type="application/json", headers=headers)
    assert problem_of(answer, 403)["code"] == "insufficient_scope"
