"""What a user has in numbers: by project, by tag, and what is due."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from time_machine import TimeMachineFixture

from tasks import services
from tasks.projects import services as projects
from tests.client import Api
from tests.factories import make_project, make_task, make_user
from tests.problems import places_of, problem_of
from users import services as accounts
from users.models import User

NOTHING = {"open": 0, "completed": 0}


def counts(api: Api) -> Any:
    answer = api.get("/api/me/counts")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_without_anything_all_is_zero(as_alice: Api) -> None:
    assert counts(as_alice) == {"inbox": NOTHING, "projects": {}, "tags": {}, "today": 0, "overdue": 0}


def test_open_and_completed_tasks_are_counted_by_project(as_alice: Api, alice: User) -> None:
    full, empty, gone = (make_project(alice) for _ in range(3))
    for status in ("pending", "in_progress", "completed", "cancelled"):
        make_task(alice, status=status)
        make_task(alice, status=status, project_id=full.pk)
    make_task(alice, parent_id=make_task(alice, project_id=full.pk).pk)
    services.delete_task(alice, make_task(alice).pk)
    projects.delete_project(alice, gone.pk)
    answer = counts(as_alice)
    assert answer["inbox"] == {"open": 2, "completed": 1}
    assert answer["projects"] == {str(full.pk): {"open": 4, "completed": 1}, str(empty.pk): NOTHING}


def test_open_tasks_are_counted_by_tag(as_alice: Api, alice: User) -> None:
    make_task(alice, tags=["home", "Café"])
    make_task(alice, tags=["HOME"], status="in_progress")
    make_task(alice, tags=["home", "done"], status="completed")
    services.delete_task(alice, make_task(alice, tags=["home", "gone"]).pk)
    assert list(counts(as_alice)["tags"].items()) == [("Café", 1), ("home", 2)]


def test_a_tag_is_spelled_as_most_of_its_newest_tasks_do(as_alice: Api, alice: User) -> None:
    for spelling in ["home"] * 4 + ["Home"] * 6 + ["HOME"] * 4:
        make_task(alice, tags=["other", spelling])
    assert counts(as_alice)["tags"] == {"Home": 14, "other": 14}
    assert [tag["tag"] for tag in as_alice.get("/api/me/tags").json()] == ["Home", "other"]


NOW = dt.datetime(2026, 12, 1, 23, 30, tzinfo=dt.UTC)
ZONES = ["UTC", "Asia/Karachi", "Pacific/Kiritimati", "America/Los_Angeles", "Pacific/Pago_Pago"]


@pytest.mark.parametrize("zone", ZONES)
def test_today_and_overdue_are_those_of_the_list(time_machine: TimeMachineFixture, db: None, zone: str) -> None:
    time_machine.move_to(NOW, tick=False)
    user = make_user(timezone=zone)
    today = NOW.astimezone(user.zone).date()
    for days in (-400, -2, -1, 0, 0, 1, 2, 400):
        make_task(user, due_date=today + dt.timedelta(days=days))
    for minutes in (-60 * 24 * 3, -60 * 24, -1, 1, 60 * 24, 60 * 24 * 3):
        make_task(user, due_at=NOW + dt.timedelta(minutes=minutes))
    make_task(user, due_date=today, status="completed")
    make_task(user, due_date=today - dt.timedelta(days=1), status="cancelled")
    make_task(user)
    api = Api(user)
    overdue = api.get("/api/me/tasks?overdue=true&total=true")["X-Total-Count"]
    due = [task for task in api.get("/api/me/tasks?status=pending").json() if task["due_date"] == str(today)]
    answer = counts(api)
    assert (answer["today"], answer["overdue"]) == (len(due), int(overdue))
    assert answer["overdue"] == 6


def test_a_new_time_zone_is_followed_at_once(time_machine: TimeMachineFixture, alice: User) -> None:
    time_machine.move_to(NOW, tick=False)
    make_task(alice, due_date=dt.date(2026, 12, 2))
    api = Api(alice)
    assert counts(api)["today"] == 0
    accounts.update_profile(alice, timezone="Asia/Karachi")
    assert counts(api)["today"] == 1


def test_archived_projects_are_neither_due_nor_overdue(as_alice: Api, alice: User) -> None:
    today = dt.datetime.now(dt.UTC).date()
    project = make_project(alice)
    for days in (0, -1):
        make_task(alice, project_id=project.pk, due_date=today + dt.timedelta(days=days))
    assert (counts(as_alice)["today"], counts(as_alice)["overdue"]) == (1, 1)
    projects.update_project(alice, project.pk, {"is_archived": True})
    answer = counts(as_alice)
    assert (answer["today"], answer["overdue"]) == (0, 0)
    assert answer["projects"] == {str(project.pk): {"open": 2, "completed": 0}}


def test_it_has_no_etag_and_is_not_stored(as_alice: Api) -> None:
    answer = as_alice.get("/api/me/counts")
    assert "ETag" not in answer
    assert answer["Cache-Control"] == as_alice.get("/api/me/tasks")["Cache-Control"] == "no-store"


def test_no_parameter_is_taken(as_alice: Api) -> None:
    for path in ("counts", "tags"):
        assert places_of(as_alice.get(f"/api/me/{path}?project=1"), "parameter") == ["project"]


@pytest.mark.parametrize("path", ["counts", "tags"])
def test_another_user_is_not_counted(alice: User, bob: User, path: str) -> None:
    make_task(alice, tags=["hers"], project_id=make_project(alice).pk, due_date=dt.date(2026, 1, 1))
    empty = Api(make_user()).get(f"/api/me/{path}").json()
    with connection.cursor() as cursor:  # the first wall alone
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("tasks_task", "tasks_tasktag", "projects_project"):
            cursor.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    assert Api(bob).get(f"/api/me/{path}").json() == empty


@pytest.mark.parametrize("path", ["counts", "tags"])
def test_it_is_one_statement_however_much_there_is(alice: User, path: str) -> None:
    taken = []
    for _ in range(2):
        api = Api(alice)
        with CaptureQueriesContext(connection) as captured:
            api.get(f"/api/me/{path}")
        taken.append(len(captured))
        for number in range(10):
            make_task(alice, tags=[f"tag {number}"], project_id=make_project(alice).pk)
    assert taken == [1, 1]


@pytest.mark.parametrize("path", ["counts", "tags"])
def test_who_signed_out_gets_nothing(alice: User, path: str) -> None:
    api = Api(alice)
    accounts.end_other_sessions(alice, None)
    assert problem_of(api.get(f"/api/me/{path}"), 401)["code"] == "invalid_token"
