"""What the list of tasks has beyond that of every resource: its parameters, and what they cost."""

import pytest
from pytest_django import DjangoAssertNumQueries

from tasks import services
from tests.client import Api
from tests.factories import make_task
from tests.problems import places_of
from users.models import User

LIST = "/api/me/tasks"
KNOWN = (
    "status, completed, priority, tag, project, parent, root, due_on, due_before, due_after, overdue, search, "
    "updated_since, sort, limit, offset, cursor, total"
)


@pytest.mark.parametrize("count", [3, 100])
def test_the_list_costs_one_message_however_long(
    as_alice: Api, alice: User, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(count):
        make_task(alice, tags=["a"])
    with django_assert_num_queries(1):  # the change counter, if the caller may act, and the rows
        tasks = as_alice.get(f"{LIST}?status=pending&sort=title").json()
    with django_assert_num_queries(1):
        assert as_alice.get(f"{LIST}?search=task&tag=a&sort=title").json() == tasks
    with django_assert_num_queries(2):
        as_alice.get(f"{LIST}?total=true")
    assert len(tasks) == count


def test_a_list_that_depends_on_the_clock_has_no_tag(as_alice: Api, alice: User) -> None:
    make_task(alice)
    for query, tag, count in (("overdue=false", '"1"', 1), ("overdue=true", "*", 0)):
        answer = as_alice.get(f"{LIST}?{query}", if_none_match=tag)
        assert (answer.status_code, len(answer.json()), "ETag" in answer) == (200, count, False)


def test_an_unchanged_list_is_304_until_anything_changes(as_alice: Api, alice: User, bob: User) -> None:
    task = make_task(alice)
    tag = as_alice.get(f"{LIST}?status=pending")["ETag"]
    make_task(bob)
    unchanged = as_alice.get(f"{LIST}?status=pending", if_none_match=tag)
    assert (unchanged.status_code, unchanged.content, unchanged["ETag"]) == (304, b"", tag)
    services.delete_task(alice, task.pk)
    changed = as_alice.get(f"{LIST}?status=pending", if_none_match=tag)
    assert (changed.status_code, changed.json()) == (200, [])
    assert changed["ETag"] != tag


@pytest.mark.parametrize("query", ["", "?overdue=true"])
def test_what_is_no_list_of_tags_is_refused_whether_or_not_one_could_match(as_alice: Api, query: str) -> None:
    assert places_of(as_alice.get(f"{LIST}{query}", if_none_match="5"), "header") == ["If-None-Match"]


@pytest.mark.parametrize("name", ["state", "Status", "page", "tags", ""])
def test_an_unknown_parameter_is_refused_and_the_known_ones_are_named(as_alice: Api, name: str) -> None:
    answer = as_alice.get(f"{LIST}?{name}=1")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    error = {"parameter": name, "code": "unknown", "detail": f"Unknown parameter; known are {KNOWN}."}
    assert answer.json()["errors"] == [error]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("status=done", "status"),
        ("status=%20", "status"),
        ("status=pending,", "status"),
        ("status=pending,all", "status"),
        ("status=pending&status=done", "status"),
        ("completed=yes", "completed"),
        ("completed=1", "completed"),
        ("priority=urgent", "priority"),
        ("priority=low,", "priority"),
        ("priority=low,all", "priority"),
        ("priority=low&priority=urgent", "priority"),
        ("due_on=today", "due_on"),
        ("tag=%20", "tag"),
        ("tag=" + "x" * 51, "tag"),
        ("&".join(["tag=a"] * 21), "tag"),
        ("due_before=tomorrow", "due_before"),
        ("due_before=2026-02-30", "due_before"),
        ("due_after=20261201", "due_after"),
        ("due_after=2026-12-01T00:00:00Z", "due_after"),
        ("overdue=maybe", "overdue"),
        ("search=" + "x" * 201, "search"),
        ("search=%00", "search"),
        ("sort=created,title", "sort"),
    ],
)
def test_a_bad_value_is_refused_by_name(as_alice: Api, query: str, parameter: str) -> None:
    answer = as_alice.get(f"{LIST}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert {error["parameter"] for error in answer.json()["errors"]} == {parameter}


def test_a_query_that_is_not_utf8_is_refused(as_alice: Api) -> None:
    answer = as_alice.get(f"{LIST}?search=caf%E9")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "invalid_utf8")
