"""The list as such: what is in it, its entity tag, its cost, and the parameters that it refuses."""

import pytest
from pytest_django import DjangoAssertNumQueries

from tasks import services
from tasks.models import Task
from tests.client import Api
from tests.factories import make_task
from users.models import User

LIST = "/api/me/tasks"
KNOWN = (
    "status, completed, priority, tag, due_before, due_after, overdue, search, updated_since, "
    "sort, limit, offset, cursor, total"
)


def test_no_tasks_are_an_empty_array(as_alice: Api) -> None:
    answer = as_alice.get(LIST)
    assert (answer.status_code, answer.content, answer["ETag"]) == (200, b"[]", '"0"')
    assert "Link" not in answer
    assert "X-Total-Count" not in answer


def test_the_list_is_a_bare_array_of_whole_tasks_newest_first(as_alice: Api, alice: User) -> None:
    tasks = [make_task(alice, tags=["a"]), make_task(alice, description="b")]
    each = [as_alice.get(f"{LIST}/{task.pk}").json() for task in reversed(tasks)]
    answer = as_alice.get(LIST)
    assert (answer.status_code, answer.json(), answer["ETag"]) == (200, each, '"2"')


def test_deleted_and_foreign_tasks_are_not_listed(as_alice: Api, alice: User, bob: User) -> None:
    mine, deleted = make_task(alice), make_task(alice)
    make_task(bob)
    services.delete_task(alice, deleted.pk)
    answer = as_alice.get(f"{LIST}?total=true")
    assert [task["id"] for task in answer.json()] == [mine.pk]
    assert answer["X-Total-Count"] == "1"
    assert Task.objects.count() == 3


def test_a_hundred_tasks_are_listed_unless_another_limit_is_asked_for(as_alice: Api, alice: User) -> None:
    for _ in range(101):
        make_task(alice)
    assert len(as_alice.get(LIST).json()) == 100
    assert len(as_alice.get(f"{LIST}?limit=200").json()) == 101


@pytest.mark.parametrize("count", [3, 100])
def test_the_list_costs_one_message_however_long(
    as_alice: Api, alice: User, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(count):
        make_task(alice, tags=["a"])
    with django_assert_num_queries(1):  # user with the feed's head, and rows
        tasks = as_alice.get(f"{LIST}?status=pending&sort=title").json()
    with django_assert_num_queries(2):  # what may take long is not read before the caller is known
        assert as_alice.get(f"{LIST}?search=task&tag=a&sort=title").json() == tasks
    with django_assert_num_queries(2):
        as_alice.get(f"{LIST}?total=true")
    assert len(tasks) == count


def test_the_same_tag_is_answered_without_reading_tasks(
    as_alice: Api, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_task(alice)
    tag = as_alice.get(LIST)["ETag"]
    with django_assert_num_queries(1) as queries:
        answer = as_alice.get(LIST, if_none_match=tag)
    assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", '"1"')
    assert not any("tasks_task" in query["sql"] for query in queries)


def test_any_change_of_ones_own_changes_the_tag(as_alice: Api, alice: User, bob: User) -> None:
    task = make_task(alice)
    make_task(bob)
    tag = as_alice.get(LIST)["ETag"]
    assert as_alice.get(LIST, if_none_match=tag).status_code == 304
    services.complete_task(alice, task.pk)
    answer = as_alice.get(LIST, if_none_match=tag)
    assert (answer.status_code, answer["ETag"], answer.json()[0]["completed"]) == (200, '"2"', True)


def test_a_list_that_depends_on_the_clock_has_no_tag(as_alice: Api, alice: User) -> None:
    make_task(alice)
    answer = as_alice.get(f"{LIST}?overdue=false", if_none_match='"1"')
    assert (answer.status_code, len(answer.json())) == (200, 1)
    assert "ETag" not in answer


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
        ("priority=low,high", "priority"),
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
        ("updated_since=2026-12-01", "updated_since"),
        ("updated_since=2026-12-01T00:00:00", "updated_since"),
        ("sort=id", "sort"),
        ("sort=--created", "sort"),
        ("sort=created,title", "sort"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.0", "limit"),
        ("limit=", "limit"),
        ("limit=%D9%A3", "limit"),
        ("offset=-1", "offset"),
        ("offset=10001", "offset"),
        ("total=please", "total"),
    ],
)
def test_a_bad_value_is_refused_by_name(as_alice: Api, query: str, parameter: str) -> None:
    answer = as_alice.get(f"{LIST}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert {error["parameter"] for error in answer.json()["errors"]} == {parameter}


def test_a_query_that_is_not_utf8_is_refused(as_alice: Api) -> None:
    answer = as_alice.get(f"{LIST}?search=caf%E9")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "invalid_utf8")
