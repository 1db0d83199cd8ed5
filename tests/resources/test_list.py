"""The list as such: what is in it and in which order, its entity tag, and its cost."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries
from time_machine import TimeMachineFixture

from tests.client import Api
from tests.factories import make_user
from tests.resources.declared import address, example, make, rename
from users.models import User
from users.resources.models import OwnedModel
from users.resources.resource import Resource

NOW = dt.datetime(2026, 12, 1, 12, 0, tzinfo=dt.UTC)
KEYS: dict[str, Callable[[Any], Any]] = {
    "created": lambda row: (row.created_at, row.pk),
    "updated": lambda row: (row.updated_at, row.pk),
    "position": lambda row: (row.position, row.pk),
}


@pytest.fixture
def walter(resource: Resource, db: None, time_machine: TimeMachineFixture) -> User:
    """Has 24 rows, three of an instant, of which every fourth was changed at one other."""
    user = make_user("walter")
    for number in range(24):
        time_machine.move_to(NOW + number // 3 * dt.timedelta(hours=1), tick=False)
        make(resource, user)
    for row in list(resource.model.objects.order_by("pk"))[::4]:
        rename(resource, row)
    return user


def ids(answer: Any) -> list[int]:
    assert answer.status_code == 200, answer.content
    return [shown["id"] for shown in answer.json()]


def default_sort(resource: Resource) -> str:
    return str(resource.list_query().fields["sort"].default)


def in_order(resource: Resource, sort: str) -> list[int]:
    rows, name, descending = resource.model.objects.all(), sort.removeprefix("-"), sort.startswith("-")
    if name not in KEYS:  # which the tests of the resource hold
        return [row.pk for row in rows.sorted_by(name, descending=descending)]
    return [row.pk for row in sorted(rows, key=KEYS[name], reverse=descending)]


# --- What is in it ----------------------------------------------------------------------------------


def test_no_rows_are_an_empty_array(resource: Resource, as_alice: Api) -> None:
    answer = as_alice.get(address(resource))
    assert (answer.status_code, answer.content, answer["ETag"]) == (200, b"[]", '"0"')
    assert "Link" not in answer
    assert "X-Total-Count" not in answer


def test_the_list_is_a_bare_array_of_whole_rows(resource: Resource, as_alice: Api, alice: User) -> None:
    for sent in (example(resource), {}):
        make(resource, alice, **sent)
    each = [as_alice.get(address(resource, pk)).json() for pk in in_order(resource, default_sort(resource))]
    answer = as_alice.get(address(resource))
    assert (answer.status_code, answer.json(), answer["ETag"]) == (200, each, '"2"')


def test_deleted_and_foreign_rows_are_not_listed(resource: Resource, as_alice: Api, alice: User, bob: User) -> None:
    mine, deleted = make(resource, alice), make(resource, alice)
    make(resource, bob)
    resource.delete(alice, deleted.pk)
    answer = as_alice.get(f"{address(resource)}?total=true")
    assert ids(answer) == [mine.pk]
    assert answer["X-Total-Count"] == "1"
    assert resource.model.objects.count() == 3


def test_a_hundred_rows_are_listed_unless_another_limit_is_asked_for(
    resource: Resource, as_alice: Api, alice: User
) -> None:
    for _ in range(101):
        make(resource, alice)
    assert len(as_alice.get(address(resource)).json()) == 100
    assert len(as_alice.get(f"{address(resource)}?limit=200").json()) == 101


def test_updated_since_holds_what_changed_at_that_moment_or_later(resource: Resource, walter: User) -> None:
    changed = set(ids(Api(walter).get(f"{address(resource)}?updated_since=2026-12-01T19:00:00Z")))
    assert changed == {row.pk for row in resource.model.objects.all() if row.updated_at >= NOW.replace(hour=19)}
    assert 0 < len(changed) < 24


# --- In which order ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", ["created", "updated", "-created", "-updated"])
def test_sorted_by_key_then_id_under_both_names_of_the_order(resource: Resource, walter: User, sort: str) -> None:
    for name in (sort, f"{sort}_at"):
        assert ids(Api(walter).get(f"{address(resource)}?sort={name}")) == in_order(resource, sort)


def test_the_newest_come_first_unless_the_resource_has_another_default(resource: Resource, walter: User) -> None:
    assert ids(Api(walter).get(address(resource))) == in_order(resource, default_sort(resource))
    assert {"project": "position", "task": "-created"}.get(resource.name) in (None, default_sort(resource))


# --- What it costs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [3, 100])
def test_the_list_costs_one_message_however_long(
    resource: Resource, as_alice: Api, alice: User, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(count):
        make(resource, alice)
    with django_assert_num_queries(1):  # user with the feed's head, and rows
        assert len(as_alice.get(f"{address(resource)}?sort=updated").json()) == count
    with django_assert_num_queries(2):
        as_alice.get(f"{address(resource)}?total=true")


def test_a_row_costs_one_message(
    resource: Resource, as_alice: Api, row: OwnedModel, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        assert as_alice.get(address(resource, row.pk)).status_code == 200


def test_the_same_tag_is_answered_without_reading_rows(
    resource: Resource, as_alice: Api, row: OwnedModel, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    tag = as_alice.get(address(resource))["ETag"]
    with django_assert_num_queries(1) as queries:
        answer = as_alice.get(address(resource), if_none_match=tag)
    assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", '"1"')
    assert not any(resource.model._meta.db_table in query["sql"] for query in queries)


def test_any_change_of_ones_own_changes_the_tag(resource: Resource, as_alice: Api, row: OwnedModel, bob: User) -> None:
    make(resource, bob)
    tag = as_alice.get(address(resource))["ETag"]
    assert as_alice.get(address(resource), if_none_match=tag).status_code == 304
    rename(resource, row)
    answer = as_alice.get(address(resource), if_none_match=tag)
    assert (answer.status_code, answer["ETag"], answer.json()[0]["version"]) == (200, '"2"', 2)
