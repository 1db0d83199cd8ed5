"""Pages: limit, offset, total and the Link to the next page, also while the list changes."""

import datetime as dt
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import pytest
from time_machine import TimeMachineFixture

from tests.client import Api, next_page
from tests.factories import make_user
from tests.resources.addresses import forged
from tests.resources.declared import address, each, make
from tests.resources.walk import check_all_pages_together_are_the_list, check_rows_that_stay_are_seen_once, pages
from users.models import User
from users.resources.resource import Resource

pytestmark = pytest.mark.thorough

NOW = dt.datetime(2026, 12, 1, 12, 0, tzinfo=dt.UTC)


def sorts(resource: Resource) -> dict[str, str]:
    """Every order of its list, in both directions."""
    orders: Any = resource.list_query().fields["sort"]
    return {order: order for order in orders.choices if not order.endswith("_at")}


@pytest.fixture
def walter(resource: Resource, db: None, time_machine: TimeMachineFixture) -> User:
    """Has 23 rows that were made three at an instant."""
    user = make_user("walter")
    for number in range(23):
        time_machine.move_to(NOW + number // 3 * dt.timedelta(microseconds=1), tick=False)
        make(resource, user)
    return user


def parameters_of(answer: Any) -> list[str]:
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    return [error["parameter"] for error in answer.json()["errors"]]


@pytest.mark.parametrize("limit", [1, 7, 200])
@each(sorts)
def test_all_pages_together_are_the_list(resource: Resource, walter: User, case: str, limit: int) -> None:
    check_all_pages_together_are_the_list(resource, walter, case, limit)


@pytest.mark.parametrize("sort", ["created", "-created", "updated", "-updated"])
def test_a_cursor_serves_under_both_names_of_its_order(resource: Resource, walter: User, sort: str) -> None:
    api, path = Api(walter), address(resource)
    whole = [shown["id"] for shown in api.get(f"{path}?sort={sort}").json()]
    assert sum(pages(api, resource, sort=f"{sort}_at", limit=5), []) == whole
    for first, second in ((sort, f"{sort}_at"), (f"{sort}_at", sort)):
        link = next_page(api.get(f"{path}?sort={first}&limit=5"))
        assert link is not None and f"sort={first}&" in link
        answer = api.get(link.replace(f"sort={first}&", f"sort={second}&"))
        assert [shown["id"] for shown in answer.json()] == whole[5:10]


@each(sorts)
def test_rows_that_stay_are_seen_once_while_others_come_and_go(resource: Resource, walter: User, case: str) -> None:
    check_rows_that_stay_are_seen_once(resource, walter, case, lambda dice: make(resource, walter))


def test_a_page_continues_behind_a_row_that_is_gone(resource: Resource, as_alice: Api, alice: User) -> None:
    _, second, third = [make(resource, alice).pk for _ in range(3)]
    url = next_page(as_alice.get(f"{address(resource)}?sort=created&limit=2"))
    resource.delete(alice, second)
    assert url
    assert [shown["id"] for shown in as_alice.get(url).json()] == [third]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_last_page_has_no_link_also_when_it_is_full(
    resource: Resource, as_alice: Api, alice: User, count: int
) -> None:
    for _ in range(count):
        make(resource, alice)
    answer = as_alice.get(f"{address(resource)}?limit=2")
    assert (answer.status_code, len(answer.json()), "Link" in answer) == (200, count, False)


def test_the_link_keeps_the_path_of_the_request(resource: Resource, as_alice: Api, alice: User) -> None:
    for _ in range(2):
        make(resource, alice)
    path = address(resource, user_id=alice.public_id)
    url = next_page(as_alice.get(f"{path}?limit=1"))
    assert url and url.startswith(f"{path}?limit=1&cursor=")


@pytest.mark.parametrize("asked", ["https://example.com/tick{}?limit=1", "http://testserver{}"])
def test_the_link_leads_on_wherever_a_proxy_has_put_the_list(
    resource: Resource, as_alice: Api, alice: User, asked: str
) -> None:
    made = [make(resource, alice).pk for _ in range(2)]
    path = address(resource)
    (first,) = [shown["id"] for shown in as_alice.get(f"{path}?limit=1").json()]
    (second,) = {*made} - {first}
    link = as_alice.get(f"{path}?limit=1", host="localhost")["Link"]
    url = urlsplit(urljoin(asked.format(path), link[1 : link.index(">")]))
    assert f"{url.scheme}://{url.netloc}{url.path}" == asked.format(path).partition("?")[0]
    assert [shown["id"] for shown in as_alice.get(f"{path}?{url.query}").json()] == [second]


def test_an_offset_skips_and_then_continues_by_cursor(resource: Resource, walter: User) -> None:
    api = Api(walter)
    whole = sum(pages(api, resource), [])
    assert pages(api, resource, offset=5, limit=10) == [whole[5:15], whole[15:]]
    assert pages(api, resource, offset=23) == pages(api, resource, offset=10_000) == [[]]


def test_the_total_counts_all_pages_on_every_page(resource: Resource, walter: User) -> None:
    api, path = Api(walter), address(resource)
    first = api.get(f"{path}?total=true&limit=1&offset=2")
    assert (first["X-Total-Count"], len(first.json())) == ("23", 1)
    url = next_page(first)
    assert url
    assert api.get(url)["X-Total-Count"] == "23"
    assert "X-Total-Count" not in api.get(f"{path}?total=false")


@each(lambda resource: {name: name for name in sorts(resource) if name != "updated"})
def test_a_cursor_of_another_order_is_refused(resource: Resource, walter: User, case: str) -> None:
    url = next_page(Api(walter).get(f"{address(resource)}?sort=updated&limit=2"))
    assert url
    assert parameters_of(Api(walter).get(url.replace("sort=updated", f"sort={case}"))) == ["cursor"]


def test_a_cursor_and_an_offset_contradict_each_other(resource: Resource, walter: User) -> None:
    url = next_page(Api(walter).get(f"{address(resource)}?limit=2"))
    assert parameters_of(Api(walter).get(f"{url}&offset=1")) == ["offset"]


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
def test_a_cursor_that_no_link_carried_is_refused(resource: Resource, as_alice: Api, alice: User, cursor: str) -> None:
    make(resource, alice)
    assert parameters_of(as_alice.get(f"{address(resource)}?sort=created&cursor={quote(cursor)}")) == ["cursor"]


@pytest.mark.parametrize(
    ("key", "status"),
    [
        ("0001-01-01T00:00:00+00:00", 200),
        ("9999-12-31T23:59:59.999999+00:00", 200),
        ("0001-01-01T00:00:00+23:59", 400),
        ("9999-12-31T23:59:59-23:59", 400),
        ("9999-12-31T23:59:59-16:00", 400),
    ],
)
def test_a_forged_key_never_breaks_the_list(
    resource: Resource, as_alice: Api, alice: User, key: str, status: int
) -> None:
    make(resource, alice)
    for sort in ("created", "updated"):
        answer = as_alice.get(f"{address(resource)}?sort={sort}&cursor={forged(sort, key, 1)}")
        assert answer.status_code == status
        assert status == 200 or parameters_of(answer) == ["cursor"]
