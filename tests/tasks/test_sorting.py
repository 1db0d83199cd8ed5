"""The order of the list: five sorts, both directions, ties by id, nulls last."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from time_machine import TimeMachineFixture

from tasks import services
from tasks.models import Task
from tests.client import Api
from tests.factories import make_task, make_user
from users.models import User

NOW = dt.datetime(2026, 12, 1, 12, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
DUE: list[dict[str, Any]] = [
    {},
    {"due_date": dt.date(2026, 12, 3)},
    {"due_date": dt.date(2026, 12, 1)},
    {"due_at": NOW},
    {"due_at": NOW - HOUR},
    {"due_at": NOW - HOUR},
    {},
]
TITLES = ["pear", "Apple", "apple", "Zoo", "éclair", "PEAR", "eclair"]

KEYS: dict[str, Callable[[Task], Any]] = {
    "created": lambda task: task.created_at,
    "updated": lambda task: task.updated_at,
    "due_date": lambda task: task.due_date and (task.due_date, task.due_at or dt.datetime.max.replace(tzinfo=dt.UTC)),
    "priority": lambda task: ["low", "medium", "high"].index(task.priority),
    "title": lambda task: task.title.lower().replace("é", "e"),
}
SORTS = [direction + name for name in KEYS for direction in ("", "-")]


@pytest.fixture
def walter(db: None, time_machine: TimeMachineFixture) -> User:
    """Has tasks with ties in every order, and nulls."""
    user = make_user("walter")
    for number in range(24):
        time_machine.move_to(NOW + number // 3 * HOUR, tick=False)
        priority = ["high", "low", "medium", "low"][number % 4]
        make_task(user, title=TITLES[number % 7], priority=priority, **DUE[number % 7])
    for task in Task.objects.filter(priority="high"):
        services.update_task(user, task.pk, {"description": "later"})
    return user


def expected_order(sort: str) -> list[int]:
    key, descending = KEYS[sort.removeprefix("-")], sort.startswith("-")
    tasks = list(Task.objects.all())
    with_key = [task for task in tasks if key(task) is not None]
    without = [task for task in tasks if key(task) is None]
    with_key.sort(key=lambda task: (key(task), task.pk), reverse=descending)
    without.sort(key=lambda task: task.pk, reverse=descending)
    return [task.pk for task in [*with_key, *without]]


def titles(user: User, sort: str) -> list[str]:
    return [task["title"] for task in Api(user).get(f"/api/me/tasks?sort={sort}").json()]


@pytest.mark.parametrize("sort", SORTS)
def test_sorted_by_key_then_id_with_nulls_last(walter: User, sort: str) -> None:
    answer = Api(walter).get(f"/api/me/tasks?sort={sort}")
    assert answer.status_code == 200
    assert [task["id"] for task in answer.json()] == expected_order(sort)


def test_titles_are_sorted_without_case_and_accents(alice: User) -> None:
    for title in ["Zebra", "apple", "Öl", "cherry", "Banana", "östlich", "Nase", "Éclair", "zu"]:
        make_task(alice, title=title)
    expected = ["apple", "Banana", "cherry", "Éclair", "Nase", "Öl", "östlich", "Zebra", "zu"]
    assert titles(alice, "title") == expected
    assert titles(alice, "-title") == expected[::-1]


def test_titles_are_sorted_by_code_point_like_no_language(alice: User) -> None:
    # Collations of a language skip spaces and punctuation, and put digits and scripts elsewhere.
    expected = ["a b", "a-c", "a_a", "aa", "b", "яма", "かき", "がき", "報告", "🐛"]
    for title in sorted(expected, reverse=True):
        make_task(alice, title=title)
    assert titles(alice, "title") == expected


def test_the_database_sorts_titles_without_its_own_collation(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT collation_name FROM information_schema.columns"
            " WHERE table_name = 'tasks_task' AND column_name = 'title_key'"
        )
        assert cursor.fetchall() == [("C",)]


def test_within_a_day_timed_tasks_come_by_time_and_whole_days_after_them(alice: User) -> None:
    dues: dict[str, dict[str, Any]] = {
        "all day": {"due_date": NOW.date()},
        "noon": {"due_at": NOW},
        "the day after": {"due_date": NOW.date() + dt.timedelta(days=1)},
        "never": {},
        "a microsecond to noon": {"due_at": NOW - dt.timedelta(microseconds=1)},
        "nine": {"due_at": NOW - 3 * HOUR},
    }
    for title, due in dues.items():
        make_task(alice, title=title, **due)
    expected = ["nine", "a microsecond to noon", "noon", "all day", "the day after"]
    assert titles(alice, "due_date") == [*expected, "never"]
    assert titles(alice, "-due_date") == [*reversed(expected), "never"]


def test_a_timed_due_is_sorted_by_its_day_where_the_user_lives(db: None) -> None:
    user = make_user(timezone="Asia/Karachi")
    make_task(user, title="third", due_at=dt.datetime(2026, 12, 1, 20, 0, tzinfo=dt.UTC))  # the 2nd there
    make_task(user, title="second", due_date=dt.date(2026, 12, 1))
    make_task(user, title="first", due_at=dt.datetime(2026, 11, 30, 18, 0, tzinfo=dt.UTC))
    make_task(user, title="last")
    assert titles(user, "due_date") == ["first", "second", "third", "last"]
    assert titles(user, "-due_date") == ["third", "second", "first", "last"]
