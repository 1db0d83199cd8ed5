"""Who moves to another time zone takes the days of their timed tasks along, as one change."""

import datetime as dt
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from time_machine import TimeMachineFixture

from config.environment.rates import Rate
from tasks import services
from tasks.models import Task
from tests.changes import changed_since
from tests.client import Api
from tests.factories import head_of, make_task, make_user
from tests.pages import signed_in, submit
from tests.problems import problem_of, stored
from users import services as accounts
from users.models import User

KIRITIMATI, PAGO_PAGO = "Pacific/Kiritimati", "Pacific/Pago_Pago"  # UTC+14 and UTC-11
NOON = dt.datetime(2026, 12, 1, 12, 0, tzinfo=dt.UTC)
DAY = dt.date(2026, 12, 1)


def move(user: User, zone: str) -> None:
    assert Api(user).patch("/api/users/me", {"timezone": zone}).status_code == 200


def days(user: User) -> list[str | None]:
    return [task["due_date"] for task in Api(user).get("/api/me/tasks?sort=created").json()]


@pytest.fixture
def walter(db: None) -> User:
    return make_user("walter", timezone=KIRITIMATI)


def through_the_api(user: User, carol: User) -> None:
    move(user, PAGO_PAGO)


def by_staff(user: User, carol: User) -> None:
    submit(signed_in(carol), f"/admin/users/user/{user.pk}/change/", timezone=PAGO_PAGO)


def by_the_service(user: User, carol: User) -> None:
    accounts.update_account(user, timezone=PAGO_PAGO)


@pytest.mark.parametrize("door", [through_the_api, by_staff, by_the_service])
def test_the_day_of_a_timed_task_is_where_its_owner_lives_by_now(
    walter: User, carol: User, door: Callable[[User, User], None]
) -> None:
    make_task(walter, due_at=NOON)
    assert days(walter) == ["2026-12-02"]
    door(walter, carol)
    assert days(walter) == ["2026-12-01"]


def test_whole_days_stay_and_so_do_moments_on_the_same_day(walter: User, bob: User) -> None:
    make_task(walter, due_date=DAY)
    make_task(walter)
    make_task(walter, due_at=NOON)
    make_task(bob, due_at=NOON)
    head = head_of(walter)
    move(walter, "Pacific/Auckland")  # UTC+13, where it is the 2nd, too
    assert (days(walter), head_of(walter)) == (["2026-12-01", None, "2026-12-02"], head)
    move(walter, PAGO_PAGO)
    assert (days(walter), head_of(walter)) == (["2026-12-01", None, "2026-12-01"], head + 1)
    assert (days(bob), head_of(bob)) == (["2026-12-01"], 1)


def test_tasks_that_move_take_consecutive_numbers_in_one_change(walter: User, time_machine: TimeMachineFixture) -> None:
    moving = [make_task(walter, due_at=NOON), make_task(walter, due_at=NOON, status="completed")]
    staying = make_task(walter, due_date=DAY)
    services.update_task(walter, moving[0].pk, {"title": "changed later"})
    time_machine.move_to(NOON, tick=False)
    move(walter, PAGO_PAGO)
    changed = changed_since(walter, Task, 4)
    assert [(task.pk, task.version) for task in changed] == [(moving[1].pk, 5), (moving[0].pk, 6)]
    assert {task.updated_at for task in changed} == {NOON}
    assert head_of(walter) == 6
    assert (Task.objects.get(pk=staying.pk).version, changed[0].completed_at) == (3, moving[1].completed_at)


def test_a_list_and_its_tasks_have_new_tags(walter: User) -> None:
    task, api = make_task(walter, due_at=NOON), Api(walter)
    address = f"/api/me/tasks/{task.pk}"
    before = [api.get(path)["ETag"] for path in ("/api/me/tasks", address)]
    move(walter, PAGO_PAGO)
    assert [api.get(path)["ETag"] for path in ("/api/me/tasks", address)] == ['"2"', '"2"'] != before
    assert api.patch(address, {"title": "B"}, if_match=before[1]).status_code == 412


def test_a_move_that_is_none_changes_nothing(walter: User) -> None:
    make_task(walter, due_at=NOON)
    move(walter, KIRITIMATI)
    assert Api(walter).patch("/api/users/me", {"name": "W"}).status_code == 200
    assert head_of(walter) == 1


def test_many_tasks_take_one_statement(walter: User) -> None:
    for _ in range(5):
        make_task(walter, due_at=NOON)
    with CaptureQueriesContext(connection) as captured:
        move(walter, PAGO_PAGO)
    written = [query["sql"] for query in captured if "UPDATE tasks_task " in query["sql"]]
    assert (len(written), head_of(walter)) == (1, 10)


def test_an_account_without_tasks_moves(walter: User) -> None:
    move(walter, PAGO_PAGO)
    assert head_of(walter) == 0


def test_tombstones_move_when_they_are_restored(walter: User) -> None:
    task = make_task(walter, due_at=NOON)
    services.delete_task(walter, task.pk)
    move(walter, PAGO_PAGO)
    assert (head_of(walter), Task.objects.get().due_date) == (2, dt.date(2026, 12, 2))
    walter.refresh_from_db()
    assert services.restore_task(walter, task.pk).due_date == DAY
    assert days(walter) == ["2026-12-01"]


@pytest.mark.parametrize("edge", ["1900-01-02T00:00:00Z", "2999-12-30T00:00:00Z"])
def test_the_edges_of_the_calendar_move(walter: User, edge: str) -> None:
    make_task(walter, due_at=dt.datetime.fromisoformat(edge))
    for zone in (PAGO_PAGO, "Asia/Tokyo"):
        move(walter, zone)
        assert days(walter) == [str(dt.datetime.fromisoformat(edge).astimezone(ZoneInfo(zone)).date())]


@pytest.mark.parametrize("change", [{"title": "B"}, {"due_at": "2026-12-01T12:00:00Z"}])
def test_a_change_after_the_move_is_in_the_new_zone(walter: User, change: dict[str, Any]) -> None:
    task = make_task(walter, due_at=NOON)
    move(walter, PAGO_PAGO)
    assert Api(walter).patch(f"/api/me/tasks/{task.pk}", change).json()["due_date"] == "2026-12-01"


# --- What it may cost -------------------------------------------------------------------------------


def test_moving_many_tasks_to_and_fro_ends_in_409(walter: User, bob: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each move of many tasks takes seconds, for which sign-ins to the account wait, and others behind them."""
    monkeypatch.setattr("users.services.accounts.MOVED", Rate(5, 3600))
    for _ in range(3):
        make_task(walter, due_at=NOON)
    make_task(bob, due_at=NOON)
    move(walter, PAGO_PAGO)
    move(walter, "Etc/GMT+11")  # takes more than is left, and looks at them all the same
    api = Api(walter)
    before = stored()
    problem = problem_of(api.patch("/api/users/me", {"timezone": KIRITIMATI, "name": "W"}), 409)
    assert (problem["code"], problem["limit"], stored()) == ("limit_reached", 5, before)
    move(bob, KIRITIMATI)


def test_a_single_move_may_be_of_any_size(walter: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("users.services.accounts.MOVED", Rate(2, 3600))
    for _ in range(3):
        make_task(walter, due_at=NOON)
    move(walter, PAGO_PAGO)
    assert days(walter) == ["2026-12-01"] * 3


def test_staff_reads_why_an_account_cannot_move(walter: User, carol: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("users.services.accounts.MOVED", Rate(1, 3600))
    make_task(walter, due_at=NOON)
    move(walter, PAGO_PAGO)
    page = submit(signed_in(carol), f"/admin/users/user/{walter.pk}/change/", timezone=KIRITIMATI)
    assert "try again in an hour" in page.errors + page.messages
    walter.refresh_from_db()
    assert walter.timezone == PAGO_PAGO
