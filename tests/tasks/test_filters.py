"""Filters of the list, against what Python says of the same tasks."""

import datetime as dt
import random
from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
from time_machine import TimeMachineFixture

from tasks import services
from tasks.choices import Priority, Status
from tasks.models import Task
from tests.client import Api
from tests.factories import make_task, make_user
from users.models import User

NOW = dt.datetime(2026, 12, 1, 20, 0, tzinfo=dt.UTC)
TODAY = dt.date(2026, 12, 2)  # where the user lives
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
TAGS = ["home", "work", "工作", "du lịch", "a&b=c", "50%"]


def is_overdue(task: Task) -> bool:
    if task.status not in ("pending", "in_progress") or task.due_date is None:
        return False
    return task.due_at < NOW if task.due_at else task.due_date < TODAY


Holds = Callable[[Task], bool]
CASES: dict[str, Holds] = {
    "status=pending": lambda task: task.status == "pending",
    "status=completed&status=pending": lambda task: task.status in ("pending", "completed"),
    "status=cancelled,in_progress": lambda task: task.status in ("cancelled", "in_progress"),
    "completed=true": lambda task: task.status == "completed",
    "completed=false": lambda task: task.status != "completed",
    "priority=low": lambda task: task.priority == "low",
    "priority=high": lambda task: task.priority == "high",
    "priority=high,medium": lambda task: task.priority in ("high", "medium"),
    "priority=low&priority=high": lambda task: task.priority in ("low", "high"),
    "tag=home": lambda task: "home" in task.tags,
    "tag=%E5%B7%A5%E4%BD%9C": lambda task: "工作" in task.tags,
    "tag=a%26b%3Dc": lambda task: "a&b=c" in task.tags,
    "tag=work&tag=home": lambda task: {"work", "home"} <= set(task.tags),
    "due_on=2026-12-02": lambda task: task.due_date == TODAY,
    "due_before=2026-12-02": lambda task: task.due_date is not None and task.due_date < TODAY,
    "due_after=2026-12-02": lambda task: task.due_date is not None and task.due_date > TODAY,
    "overdue=true": is_overdue,
    "overdue=false": lambda task: not is_overdue(task),
    "updated_since=2026-12-01T10:00:00Z": lambda task: task.updated_at >= NOW - 10 * HOUR,
    "updated_since=2026-12-01T22:30:00%2B05:30": lambda task: task.updated_at >= NOW - 3 * HOUR,
    "search=milk": lambda task: "milk" in task.title,
}


@pytest.fixture
def walter(db: None, time_machine: TimeMachineFixture) -> User:
    """Has forty varied tasks, lives five hours east of UTC, and it is NOW."""
    user, dice = make_user("walter", timezone="Asia/Karachi"), random.Random(42)
    for number in range(40):
        time_machine.move_to(NOW - dice.randrange(20) * HOUR, tick=False)
        due: dict[str, Any] = dice.choice(
            [{}, {"due_date": TODAY + dice.randint(-2, 2) * DAY}, {"due_at": NOW + number % 5 * HOUR - DAY}]
        )
        make_task(
            user,
            title=dice.choice(["Buy milk", "Sell eggs"]),
            status=dice.choice(Status.values),
            priority=dice.choice(Priority.values),
            tags=dice.sample(TAGS, dice.randint(0, 4)),
            **due,
        )
    time_machine.move_to(NOW, tick=False)
    return user


def listed(user: User, query: str) -> set[int]:
    answer = Api(user).get(f"/api/me/tasks?limit=200&{query}")
    assert answer.status_code == 200, answer.content
    return {task["id"] for task in answer.json()}


@pytest.mark.parametrize("query", CASES)
def test_each_filter_lists_what_it_says(walter: User, query: str) -> None:
    tasks = list(Task.objects.all())
    expected = {task.pk for task in tasks if CASES[query](task)}
    assert 0 < len(expected) < len(tasks), "the tasks do not put the filter to the test"
    assert listed(walter, query) == expected


def test_two_filters_list_what_both_allow(walter: User) -> None:
    tasks = list(Task.objects.all())
    for (one, holds), (other, also_holds) in combinations(CASES.items(), 2):
        if one.partition("=")[0] == other.partition("=")[0] != "tag":
            continue  # only tags narrow each other
        expected = {task.pk for task in tasks if holds(task) and also_holds(task)}
        assert listed(walter, f"{one}&{other}") == expected, f"{one}&{other}"


def test_many_filters_list_what_all_allow(walter: User) -> None:
    wanted = make_task(walter, title="Oat milk", tags=["50%", "home", "work"], due_date=TODAY - DAY, priority="high")
    query = (
        "status=pending,in_progress&completed=false&priority=high&tag=home&tag=50%25&due_before=2026-12-02"
        "&due_after=2026-11-30&overdue=true&updated_since=2026-12-01T20:00:00Z&search=oat"
    )
    assert listed(walter, query) == {wanted.pk}


@pytest.mark.parametrize("tag", ["work", "WORK", "Caf%C3%A9", "cafe%CC%81", "CAFE%CC%81"])
def test_a_tag_is_found_in_any_case_and_unicode_form(alice: User, tag: str) -> None:
    task = make_task(alice, tags=["Work", "caf\u00e9"])
    make_task(alice, tags=["worker", "cafe"])
    assert listed(alice, f"tag={tag}&tag=wORK") == {task.pk}


def test_a_tag_is_found_as_it_is_by_now(alice: User) -> None:
    task = make_task(alice, tags=["Old"])
    services.update_task(alice, task.pk, {"tags": ["New"]})
    assert (listed(alice, "tag=new"), listed(alice, "tag=old")) == ({task.pk}, set())


def test_status_all_lists_every_status(walter: User) -> None:
    assert listed(walter, "status=all") == listed(walter, "") == set(Task.objects.values_list("pk", flat=True))


@pytest.mark.parametrize(
    ("query", "statuses"),
    [
        ("status=pending&status=completed", "pending completed"),
        ("status=pending&status=pending", "pending"),
        ("status=pending,cancelled&status=in_progress", "pending cancelled in_progress"),
        ("status=pending&priority=&status=cancelled", "pending cancelled"),
        ("status=&status=pending", "pending"),
    ],
)
def test_a_repeated_status_lists_each_of_them(walter: User, query: str, statuses: str) -> None:
    expected = Task.objects.filter(status__in=statuses.split())
    assert listed(walter, query) == set(expected.values_list("pk", flat=True)) != set()


def test_an_empty_filter_is_none(walter: User) -> None:
    names = [name for name, _, _ in (case.partition("=") for case in CASES)]
    for query in [f"{name}=" for name in names] + ["tag=&tag=", "&".join(f"{name}=" for name in set(names))]:
        answer = Api(walter).get(f"/api/me/tasks?{query}&limit=200")
        assert (answer.status_code, len(answer.json())) == (200, 40), query
        assert answer["ETag"] == Api(walter).get("/api/me/tasks")["ETag"], query


def test_an_empty_filter_leaves_the_others_alone(walter: User) -> None:
    query = "status=&completed=&priority=high&tag=&tag=home&due_before=&due_after=&overdue=&search=&updated_since="
    assert listed(walter, query) == listed(walter, "priority=high&tag=home") != set()


def test_contradicting_filters_list_nothing(walter: User) -> None:
    assert listed(walter, "status=pending&completed=true") == set()


def test_priority_all_lists_every_priority(walter: User) -> None:
    assert listed(walter, "priority=all") == listed(walter, "") != set()


@pytest.mark.parametrize(("timezone", "day"), [("UTC", "2026-12-01"), ("Asia/Karachi", "2026-12-02")])
def test_a_time_is_due_on_the_day_where_the_user_lives(db: None, timezone: str, day: str) -> None:
    user = make_user(timezone=timezone)
    task = make_task(user, due_at=NOW)
    assert [listed(user, f"due_on={each}") for each in ("2026-12-01", "2026-12-02")] == [
        {task.pk} if each == day else set() for each in ("2026-12-01", "2026-12-02")
    ]


@pytest.mark.parametrize(
    ("fields", "overdue"),
    [
        ({"due_date": TODAY - DAY}, True),
        ({"due_date": TODAY}, False),
        ({"due_at": NOW - dt.timedelta(microseconds=1)}, True),
        ({"due_at": NOW}, False),
        ({"due_date": TODAY - DAY, "status": "in_progress"}, True),
        ({"due_date": TODAY - DAY, "status": "completed"}, False),
        ({"due_at": NOW - DAY, "status": "cancelled"}, False),
        ({}, False),
    ],
)
def test_overdue_is_open_and_past_its_instant_or_its_whole_day(
    time_machine: TimeMachineFixture, db: None, fields: dict[str, Any], overdue: bool
) -> None:
    time_machine.move_to(NOW, tick=False)
    user = make_user(timezone="Asia/Karachi")
    task = make_task(user, **fields)
    assert (listed(user, "overdue=true") == {task.pk}) is overdue
    assert (listed(user, "overdue=false") == {task.pk}) is not overdue


@pytest.mark.parametrize(("timezone", "overdue"), [("UTC", False), ("Asia/Karachi", True), ("America/New_York", False)])
def test_the_day_is_over_where_the_user_lives(
    time_machine: TimeMachineFixture, db: None, timezone: str, overdue: bool
) -> None:
    time_machine.move_to(NOW, tick=False)
    user = make_user(timezone=timezone)
    make_task(user, due_date=dt.date(2026, 12, 1))
    assert bool(listed(user, "overdue=true")) is overdue


def test_updated_since_counts_the_update_and_its_very_instant(time_machine: TimeMachineFixture, db: None) -> None:
    time_machine.move_to(NOW - DAY, tick=False)
    user = make_user()
    changed, _ = make_task(user), make_task(user)
    time_machine.move_to(NOW, tick=False)
    services.update_task(user, changed.pk, {"title": "New"})
    assert listed(user, "updated_since=2026-12-01T20:00:00Z") == {changed.pk}
    assert listed(user, "updated_since=2026-12-01T20:00:00.000001Z") == set()
