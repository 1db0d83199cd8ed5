"""Pages of tasks in their own orders, with ties and nulls, and with their filters."""

import datetime as dt
import random
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from time_machine import TimeMachineFixture

from tasks.choices import Priority, Sort
from tasks.models import Task
from tasks.resource import TASKS
from tests.client import Api, next_page
from tests.factories import make_task, make_user
from tests.resources.addresses import forged
from tests.resources.walk import check_all_pages_together_are_the_list, check_rows_that_stay_are_seen_once, pages
from users.models import User

LIST = "/api/me/tasks"
NOW = dt.datetime(2026, 12, 1, 12, 0, tzinfo=dt.UTC)
HOUR, TOMORROW = dt.timedelta(hours=1), NOW.date() + dt.timedelta(days=1)
SORTS = [direction + sort for sort in Sort.values for direction in ("", "-")]


def make_varied_task(user: User, dice: random.Random) -> Task:
    """Shares its title, priority and due date with others, or has no due date."""
    dues: list[dict[str, Any]] = [
        {},
        {"due_date": NOW.date()},
        {"due_date": TOMORROW},
        {"due_at": NOW},
        {"due_at": NOW + HOUR},
    ]
    return make_task(
        user,
        title=dice.choice(["pear", "Pear", "éclair", "報告", "🐛"]),
        priority=dice.choice(Priority.values),
        **dice.choice(dues),
    )


@pytest.fixture
def walter(db: None, time_machine: TimeMachineFixture) -> User:
    """Has 23 tasks that were made three at an instant."""
    user, dice = make_user("walter"), random.Random(7)
    for number in range(23):
        time_machine.move_to(NOW + number // 3 * dt.timedelta(microseconds=1), tick=False)
        make_varied_task(user, dice)
    return user


@pytest.mark.parametrize("limit", [1, 7, 200])
@pytest.mark.parametrize("sort", SORTS)
def test_all_pages_together_are_the_list(walter: User, sort: str, limit: int) -> None:
    check_all_pages_together_are_the_list(TASKS, walter, sort, limit)


@pytest.mark.parametrize("sort", SORTS)
def test_tasks_that_stay_are_seen_once_while_others_come_and_go(walter: User, sort: str) -> None:
    check_rows_that_stay_are_seen_once(TASKS, walter, sort, lambda dice: make_varied_task(walter, dice))


def test_the_link_keeps_every_parameter_as_it_was_meant(as_alice: Api, alice: User) -> None:
    for _ in range(3):
        make_task(alice, title="季度报告 50% & più", tags=["a&b=c", "工作"])
    make_task(alice, title="季度报告 50% & più")
    query = [("search", "报告 50% & piu"), ("tag", "工作"), ("tag", "a&b=c"), ("sort", "title"), ("limit", "2")]
    answer = as_alice.get(f"{LIST}?{urlencode(query)}")
    url = next_page(answer)
    assert url
    *kept, (name, _) = parse_qsl(urlsplit(url).query)
    assert (kept, name) == (query, "cursor")
    last = as_alice.get(url)
    assert (len(last.json()), next_page(last)) == (1, None)


def test_the_total_counts_what_the_filters_allow_on_every_page(walter: User) -> None:
    api = Api(walter)
    expected = Task.objects.filter(priority="low").count()
    first = api.get(f"{LIST}?priority=low&total=true&limit=1&offset=2")
    assert (first["X-Total-Count"], len(first.json())) == (str(expected), 1)
    url = next_page(first)
    assert url
    assert api.get(url)["X-Total-Count"] == str(expected) != "23"
    assert "X-Total-Count" not in api.get(f"{LIST}?total=false")


@pytest.mark.parametrize(
    ("sort", "key", "status"),
    [
        ("priority", "99999999999999999999", 200),
        ("priority", "high", 400),
        ("priority", None, 400),
        ("due_date", None, 200),
        ("due_date", "0001-01-01/", 200),
        ("due_date", "2026-12-01/9999-12-31T23:59:59+00:00", 200),
        ("due_date", "2026-12-01", 400),  # of a version that listed a day by id
        ("due_date", "/2026-12-01T00:00:00+00:00", 400),
        ("due_date", "2026-12-01/2026-12-01T00:00:00", 400),
        ("due_date", "2026-12-01/2026-12-01", 400),
        ("due_date", "2026-12-01/x", 400),
        ("due_date", "2026-12-01T00:00:00/", 400),
        ("title", "", 200),
        ("title", None, 400),
    ],
)
def test_a_forged_key_never_breaks_the_list(
    as_alice: Api, alice: User, sort: str, key: str | None, status: int
) -> None:
    make_task(alice)
    answer = as_alice.get(f"{LIST}?sort={sort}&cursor={forged(sort, key, 1)}")
    assert answer.status_code == status
    assert status == 200 or answer.json()["errors"][0]["parameter"] == "cursor"


def test_the_longest_title_still_has_a_next_page(as_alice: Api, alice: User) -> None:
    for _ in range(2):
        make_task(alice, title="\U0001f41b" * 200)
    assert [len(page) for page in pages(as_alice, TASKS, sort="title", limit=1, search="\U0001f41b" * 200)] == [1, 1]
