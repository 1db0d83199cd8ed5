"""Pages: limit, offset, total and the Link to the next page, also while the list changes."""

import datetime as dt
import json
import random
from base64 import urlsafe_b64encode
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import pytest
from time_machine import TimeMachineFixture

from tasks import services
from tasks.choices import Priority, Sort
from tasks.models import Task
from tests.client import Api, next_page
from tests.factories import make_task, make_user
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


def pages(api: Api, **query: Any) -> list[list[int]]:
    """The ids on each page, from the first to the one without a Link."""
    found = []
    url: str | None = f"{LIST}?{urlencode(query, doseq=True)}"
    while url:
        answer = api.get(url)
        assert answer.status_code == 200, answer.content
        found.append([task["id"] for task in answer.json()])
        url = next_page(answer)
    return found


@pytest.mark.parametrize("limit", [1, 7, 200])
@pytest.mark.parametrize("sort", SORTS)
def test_all_pages_together_are_the_list(walter: User, sort: str, limit: int) -> None:
    api = Api(walter)
    whole = [task["id"] for task in api.get(f"{LIST}?sort={sort}&limit=200").json()]
    found = pages(api, sort=sort, limit=limit)
    assert sum(found, []) == whole
    assert len(whole) == len(set(whole)) == 23
    assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
    assert 1 <= len(found[-1]) <= limit


@pytest.mark.parametrize("sort", ["created", "-created", "updated", "-updated"])
def test_a_cursor_serves_under_both_names_of_its_order(walter: User, sort: str) -> None:
    api = Api(walter)
    whole = [task["id"] for task in api.get(f"{LIST}?sort={sort}").json()]
    assert sum(pages(api, sort=f"{sort}_at", limit=5), []) == whole
    for first, second in ((sort, f"{sort}_at"), (f"{sort}_at", sort)):
        link = next_page(api.get(f"{LIST}?sort={first}&limit=5"))
        assert link is not None and f"sort={first}&" in link
        answer = api.get(link.replace(f"sort={first}&", f"sort={second}&"))
        assert [task["id"] for task in answer.json()] == whole[5:10]


@pytest.mark.parametrize("sort", SORTS)
def test_tasks_that_stay_are_seen_once_while_others_come_and_go(walter: User, sort: str) -> None:
    api, dice = Api(walter), random.Random(sort)
    staying = set(Task.objects.values_list("pk", flat=True))
    seen: Counter[int] = Counter()
    url: str | None = f"{LIST}?sort={sort}&limit=3"
    while url:
        answer = api.get(url)
        seen.update(task["id"] for task in answer.json())
        url = next_page(answer)
        leaving = dice.choice(answer.json())["id"] if dice.random() < 0.5 else dice.choice(sorted(staying))
        if leaving in staying:
            services.delete_task(walter, leaving)
            staying.remove(leaving)
        if len(seen) < 60:
            make_varied_task(walter, dice)
    assert staying and staying <= set(seen)
    assert set(seen.values()) == {1}


def test_a_page_continues_behind_a_task_that_is_gone(as_alice: Api, alice: User) -> None:
    first, second, third = [make_task(alice).pk for _ in range(3)]
    url = next_page(as_alice.get(f"{LIST}?sort=created&limit=2"))
    services.delete_task(alice, second)
    assert url
    assert [task["id"] for task in as_alice.get(url).json()] == [third]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_last_page_has_no_link_also_when_it_is_full(as_alice: Api, alice: User, count: int) -> None:
    for _ in range(count):
        make_task(alice)
    answer = as_alice.get(f"{LIST}?limit=2")
    assert (answer.status_code, len(answer.json()), "Link" in answer) == (200, count, False)


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


def test_the_link_keeps_the_path_of_the_request(as_alice: Api, alice: User) -> None:
    for _ in range(2):
        make_task(alice)
    url = next_page(as_alice.get(f"/api/{alice.public_id}/tasks?limit=1"))
    assert url and url.startswith(f"/api/{alice.public_id}/tasks?limit=1&cursor=")


@pytest.mark.parametrize("asked", ["https://example.com/tick/api/me/tasks?limit=1", "http://testserver/api/me/tasks"])
def test_the_link_leads_on_wherever_a_proxy_has_put_the_list(as_alice: Api, alice: User, asked: str) -> None:
    second, _ = [make_task(alice).pk for _ in range(2)]
    link = as_alice.get(f"{LIST}?limit=1", host="localhost")["Link"]
    url = urlsplit(urljoin(asked, link[1 : link.index(">")]))
    assert f"{url.scheme}://{url.netloc}{url.path}" == asked.partition("?")[0]
    assert [task["id"] for task in as_alice.get(f"{LIST}?{url.query}").json()] == [second]


def test_an_offset_skips_and_then_continues_by_cursor(walter: User) -> None:
    api = Api(walter)
    whole = sum(pages(api), [])
    assert pages(api, offset=5, limit=10) == [whole[5:15], whole[15:]]
    assert pages(api, offset=23) == pages(api, offset=10_000) == [[]]


def test_the_total_counts_what_the_filters_allow_on_every_page(walter: User) -> None:
    api = Api(walter)
    expected = Task.objects.filter(priority="low").count()
    first = api.get(f"{LIST}?priority=low&total=true&limit=1&offset=2")
    assert (first["X-Total-Count"], len(first.json())) == (str(expected), 1)
    url = next_page(first)
    assert url
    assert api.get(url)["X-Total-Count"] == str(expected) != "23"
    assert "X-Total-Count" not in api.get(f"{LIST}?total=false")


@pytest.mark.parametrize("other", [sort for sort in SORTS if sort != "due_date"])
def test_a_cursor_of_another_order_is_refused(walter: User, other: str) -> None:
    url = next_page(Api(walter).get(f"{LIST}?sort=due_date&limit=2"))
    assert url
    answer = Api(walter).get(url.replace("sort=due_date", f"sort={other}"))
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (400, "cursor")


def test_a_cursor_and_an_offset_contradict_each_other(walter: User) -> None:
    url = next_page(Api(walter).get(f"{LIST}?limit=2"))
    answer = Api(walter).get(f"{url}&offset=1")
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (400, "offset")


def forged(*members: Any) -> str:
    return urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "WyJ",
        "bnVsbA",
        forged(),
        forged("created"),
        forged("created", "2026-12-01T12:00:00+00:00", 0),
        forged("created", "2026-12-01T12:00:00+00:00", -1),
        forged("created", "2026-12-01T12:00:00+00:00", 2**63),
        forged("created", "2026-12-01T12:00:00+00:00", "1"),
        forged("created", "2026-12-01T12:00:00+00:00", 1.5),
        forged("created", "2026-12-01T12:00:00+00:00", True),
        forged("created", "2026-12-01T12:00:00+00:00", 1, 1),
        forged("created", "2026-12-01T12:00:00", 1),
        forged("created", "2026-12-01", 1),
        forged("created", "yesterday", 1),
        forged("created", None, 1),
        forged("created", 5, 1),
        forged("created", "\0", 1),
        forged("created", "\ud800", 1),
        "x" * 4097,
    ],
)
def test_a_cursor_that_no_link_carried_is_refused(as_alice: Api, alice: User, cursor: str) -> None:
    make_task(alice)
    answer = as_alice.get(f"{LIST}?{urlencode({'sort': 'created', 'cursor': cursor})}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert answer.json()["errors"][0]["parameter"] == "cursor"


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
        ("updated", "0001-01-01T00:00:00+00:00", 200),
        ("updated", "9999-12-31T23:59:59.999999+00:00", 200),
        ("updated", "0001-01-01T00:00:00+23:59", 400),
        ("updated", "9999-12-31T23:59:59-23:59", 400),
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
    assert [len(page) for page in pages(as_alice, sort="title", limit=1, search="\U0001f41b" * 200)] == [1, 1]
