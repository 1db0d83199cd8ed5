"""Tags: their list, and what changes one on all tasks."""

from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import override_settings

from tasks import services
from tasks.models import MAX_TAG, Task, TaskTag
from tests.client import Api
from tests.factories import head_of, make_task, make_user
from tests.plans import explain, nodes, statements
from tests.problems import places_of, problem_of, stored
from users.models import Change, User
from users.resources import operations, writes
from users.resources.undo import undo

TAGS = "/api/me/tags"


def rename(api: Api, tag: str, to: str, **headers: str) -> Any:
    return api.post(f"{TAGS}/rename", {"from": tag, "to": to}, **headers)


def delete(api: Api, tag: str, **headers: str) -> Any:
    return api.delete(f"{TAGS}/{quote(tag, safe='')}", **headers)


def tags(user: User) -> list[list[str]]:
    """Of each task that is not in the trash."""
    return list(Task.objects.for_user(user).visible().order_by("pk").values_list("tags", flat=True))


def test_the_list_is_in_the_order_of_the_keys(as_alice: Api, alice: User) -> None:
    for status, own in {
        "pending": ["home", "Émile"],
        "in_progress": ["HOME", "Work"],
        "completed": ["home", "Apple"],
        "cancelled": ["home", "zebra"],
    }.items():
        make_task(alice, status=status, tags=own)
    services.delete_task(alice, make_task(alice, tags=["home", "gone"]).pk)
    assert as_alice.get(TAGS).json() == [
        {"tag": "Apple", "open": 0, "completed": 1},
        {"tag": "home", "open": 2, "completed": 1},
        {"tag": "Work", "open": 1, "completed": 0},
        {"tag": "zebra", "open": 0, "completed": 0},
        {"tag": "Émile", "open": 1, "completed": 0},
    ]


def test_an_unchanged_list_is_not_sent_again(as_alice: Api, alice: User) -> None:
    make_task(alice, tags=["home"])
    answer = as_alice.get(TAGS)
    assert answer["ETag"] == f'"{head_of(alice)}"'
    assert as_alice.get(TAGS, if_none_match=answer["ETag"]).status_code == 304
    make_task(alice)
    assert as_alice.get(TAGS, if_none_match=answer["ETag"]).status_code == 200


# --- Rename -----------------------------------------------------------------------------------------


def test_a_tag_is_renamed_on_all_tasks_as_one_operation(as_alice: Api, alice: User, bob: User) -> None:
    for own in (["a", "Shopping", "b"], ["SHOPPING"], ["other"]):
        make_task(alice, tags=own)
    make_task(bob, tags=["shopping"])
    answer = rename(as_alice, " shopping ", " Errands ")
    assert (answer.status_code, answer.json()) == (200, {"changed": 2})
    assert tags(alice) == [["a", "Errands", "b"], ["Errands"], ["other"]]
    assert tags(bob) == [["shopping"]]
    assert answer["Tickbase-Operation"] == str(head_of(alice)) == "5"
    entries = Change.objects.for_user(alice).filter(operation=5).order_by("version")
    assert [(entry.kind, entry.diff) for entry in entries] == [
        ("updated", {"tags": [["a", "Shopping", "b"], ["a", "Errands", "b"]]}),
        ("updated", {"tags": [["SHOPPING"], ["Errands"]]}),
    ]


def test_what_follows_from_tags_follows(as_alice: Api, alice: User) -> None:
    task = make_task(alice, title="Bread", tags=["Shopping"])
    rename(as_alice, "shopping", "Café")
    for query, found in {"tag=caf%C3%A9": 1, "search=cafe": 1, "tag=shopping": 0, "search=shopping": 0}.items():
        assert len(as_alice.get(f"/api/me/tasks?{query}").json()) == found, query
    assert list(TaskTag.objects.filter(task=task).values_list("tag_key", flat=True)) == ["café"]


@pytest.mark.parametrize(
    ("own", "renamed"),
    [
        (["shop", "x", "Errands"], ["errands", "x"]),
        (["ERRANDS", "x", "shop"], ["errands", "x"]),
        (["shop"], ["errands"]),
        (["Errands"], ["Errands"]),
    ],
)
def test_two_tags_are_merged_where_both_are_there(
    as_alice: Api, alice: User, own: list[str], renamed: list[str]
) -> None:
    make_task(alice, tags=["shop"])
    make_task(alice, tags=own)
    assert rename(as_alice, "shop", "errands").status_code == 200
    assert tags(alice) == [["errands"], renamed]


def test_a_tag_is_spelled_otherwise(as_alice: Api, alice: User) -> None:
    for own in ("home", "HOME", "Home"):
        make_task(alice, tags=[own])
    assert rename(as_alice, "home", "Home").json() == {"changed": 2}
    assert tags(alice) == [["Home"]] * 3
    head, again = head_of(alice), rename(as_alice, "home", "Home")
    assert (again.status_code, again.json(), "Tickbase-Operation" in again) == (200, {"changed": 0}, False)
    assert head_of(alice) == head


def test_subtasks_and_closed_tasks_are_renamed_too(as_alice: Api, alice: User) -> None:
    parent = make_task(alice, tags=["a"], status="completed")
    make_task(alice, tags=["a"], parent_id=parent.pk)
    assert rename(as_alice, "a", "b").json() == {"changed": 2}
    assert list(Task.objects.values_list("status", flat=True).order_by("pk")) == ["completed", "pending"]


def test_a_task_in_the_trash_keeps_its_tag(as_alice: Api, alice: User) -> None:
    make_task(alice, tags=["a"])
    trashed = make_task(alice, tags=["a"])
    services.delete_task(alice, trashed.pk)
    assert rename(as_alice, "a", "b").json() == {"changed": 1}
    assert delete(as_alice, "a").status_code == 404
    services.restore_task(alice, trashed.pk)
    assert tags(alice) == [["b"], ["a"]]


def test_a_rename_can_be_undone(as_alice: Api, alice: User) -> None:
    for own in (["a", "b"], ["A"]):
        make_task(alice, tags=own)
    assert rename(as_alice, "a", "b").json() == {"changed": 2}
    assert as_alice.post("/api/me/undo", {}).status_code == 200
    assert tags(alice) == [["a", "b"], ["A"]]


def test_a_rename_that_is_sent_twice_takes_effect_once(as_alice: Api, alice: User) -> None:
    make_task(alice, tags=["a"])
    first, second = (rename(as_alice, "a", "b", idempotency_key="k") for _ in range(2))
    assert second["Idempotency-Replayed"] == "true"
    assert (second.json(), second["Tickbase-Operation"]) == (first.json(), first["Tickbase-Operation"])
    assert rename(as_alice, "a", "b").status_code == 404


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (None, ["/from", "/to"]),
        ([], [""]),
        ({"from": "a"}, ["/to"]),
        ({"to": "a"}, ["/from"]),
        ({"from": "a", "to": ""}, ["/to"]),
        ({"from": "a", "to": " "}, ["/to"]),
        ({"from": "a", "to": "b" * (MAX_TAG + 1)}, ["/to"]),
        ({"from": "a" * (MAX_TAG + 1), "to": "b"}, ["/from"]),
        ({"from": "a\0", "to": "b\0"}, ["/from", "/to"]),
        ({"from": 1, "to": None}, ["/from", "/to"]),
        ({"from": ["a"], "to": {}}, ["/from", "/to"]),
        ({"from": "a", "to": "b", "tag": "c"}, ["/tag"]),
    ],
)
def test_a_bad_rename_is_refused_by_name(as_alice: Api, alice: User, body: Any, pointers: list[str]) -> None:
    make_task(alice, tags=["a"])
    before = stored()
    assert sorted(places_of(as_alice.post(f"{TAGS}/rename", body), "pointer")) == pointers
    assert stored() == before


# --- Delete -----------------------------------------------------------------------------------------


def test_a_tag_is_taken_off_all_tasks_as_one_operation(as_alice: Api, alice: User, bob: User) -> None:
    for own in (["x", "Home", "y"], ["HOME"], ["other"]):
        make_task(alice, tags=own)
    make_task(bob, tags=["home"])
    answer = delete(as_alice, "home")
    assert (answer.status_code, answer.content, answer["Tickbase-Operation"]) == (204, b"", "5")
    assert (tags(alice), tags(bob)) == ([["x", "y"], [], ["other"]], [["home"]])
    assert Change.objects.for_user(alice).filter(operation=5).count() == 2
    assert as_alice.post("/api/me/undo", {"operation": 5}).status_code == 200
    assert tags(alice) == [["x", "Home", "y"], ["HOME"], ["other"]]


@pytest.mark.parametrize(
    "tag", ["a/b", "/", "a/", "工作", "50%", "a b", "a?b#c", "Rename", "%2F", "a\nb", "..a", "x" * MAX_TAG]
)
def test_any_tag_has_an_address(as_alice: Api, alice: User, tag: str) -> None:
    make_task(alice, tags=[tag, "kept"])
    answer = delete(as_alice, tag)
    assert answer.status_code == 204, answer.content
    assert tags(alice) == [["kept"]]


def test_a_tag_is_found_in_any_case_and_unicode_form(as_alice: Api, alice: User) -> None:
    make_task(alice, tags=["caf\u00e9"])
    assert delete(as_alice, "CAFE\u0301").status_code == 204
    assert tags(alice) == [[]]


def test_a_deletion_that_is_sent_twice_is_answered_twice(as_alice: Api, alice: User) -> None:
    make_task(alice, tags=["a"])
    first, second = (delete(as_alice, "a", idempotency_key="k") for _ in range(2))
    assert (first.status_code, second.status_code) == (204, 204)
    assert second["Tickbase-Operation"] == first["Tickbase-Operation"]
    assert delete(as_alice, "a").status_code == 404


# --- What is not there ------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["hers", "none", "\0", "x\0", "x" * (MAX_TAG + 1), "x" * 3000, " "])
def test_a_tag_of_nobodys_and_of_another_user_are_not_found_alike(alice: User, bob: User, tag: str) -> None:
    make_task(alice, tags=["hers"])
    as_bob, before = Api(bob), stored(alice.pk)
    never = problem_of(delete(as_bob, "never"), 404)
    found = problem_of(delete(as_bob, tag), 404)
    assert found["code"] == "tag_not_found"
    assert {**found, "request_id": ""} == {**never, "request_id": ""}
    assert (stored(alice.pk), head_of(bob)) == (before, 0)


def test_an_unknown_tag_is_not_renamed(as_alice: Api, alice: User, bob: User) -> None:
    make_task(bob, tags=["his"])
    make_task(alice, tags=["hers"])
    before = stored()
    for tag in ("his", "unknown"):
        assert problem_of(rename(as_alice, tag, "hers"), 404)["code"] == "tag_not_found"
    assert stored() == before


def test_bytes_that_are_no_text_are_no_tag(as_alice: Api) -> None:
    assert problem_of(as_alice.delete(f"{TAGS}/%ff"), 404)["code"] == "tag_not_found"


def test_unknown_parameters_are_refused(as_alice: Api, alice: User) -> None:
    make_task(alice, tags=["a"])
    assert places_of(as_alice.delete(f"{TAGS}/a?all=true"), "parameter") == ["all"]
    assert places_of(as_alice.post(f"{TAGS}/rename?x=", {"from": "a", "to": "b"}), "parameter") == ["x"]
    assert tags(alice) == [["a"]]


@override_settings(LIMIT_TASKS=0)
def test_more_tasks_than_an_operation_changes_are_refused(
    as_alice: Api, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        make_task(alice, tags=["a"])
    monkeypatch.setattr(operations, "MAX_ROWS", 3)
    before = stored()
    for answer in (delete(as_alice, "a"), rename(as_alice, "a", "b")):
        assert problem_of(answer, 422)["code"] == "operation_too_large"
    assert stored() == before


def test_subtasks_take_no_statement_each(as_alice: Api, alice: User, django_assert_max_num_queries: Any) -> None:
    parent = make_task(alice, tags=["a"])
    for _ in range(20):
        make_task(alice, tags=["a"], parent_id=parent.pk)
    with django_assert_max_num_queries(8):
        assert rename(as_alice, "a", "b").json() == {"changed": 21}


def test_another_user_has_the_same_tag(alice: User) -> None:
    other = make_user()
    for user in (alice, other):
        make_task(user, tags=["a"])
    services.rename_tag(alice, "a", "b")
    assert (tags(alice), tags(other)) == ([["b"]], [["a"]])


def test_no_more_texts_than_a_chunk_has_are_in_memory(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "CHUNK", 2)
    tasks = services.create_tasks(alice, [{"title": "A", "description": "b" * 99, "tags": ["a"]} for _ in range(5)])
    reads = statements(lambda: services.rename_tag(alice, "A", "c"), containing='"description"')
    assert len(reads) == 3
    renamed = list(Task.objects.order_by("version"))
    assert [task.pk for task in renamed] == [task.pk for task in tasks]
    assert {(*task.tags, task.description) for task in renamed} == {("c", "b" * 99)}
    assert [task.version for task in renamed] == [6, 7, 8, 9, 10]
    operation = {entry.operation for entry in Change.objects.filter(version__gt=5)}
    assert operation == {10}
    changed = services.rename_tag(alice, "c", "d")
    assert {(task.operation, task.get_deferred_fields() >= {"description"}) for task in changed} == {(15, True)}
    undo(alice, 15)
    assert {*Task.objects.values_list("search_text", flat=True)} == {f"a\x1f{'b' * 99}\x1fc"}


def test_the_tasks_of_a_tag_are_not_compared_with_all_others(alice: User) -> None:
    """Without statistics, as right after an import, PostgreSQL takes an account to have few tasks."""
    make_task(alice, tags=["a"])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tasks_task, tasks_tasktag")
    rows = [{"title": "A", "tags": ["a"]} for _ in range(operations.MANY)]
    services.create_tasks(alice, rows)
    (reading,) = statements(lambda: services.rename_tag(alice, "a", "b"), containing="tasks_tasktag")
    plan = explain(alice, reading)["Plan"]
    assert "Nested Loop" not in {node["Node Type"] for node in nodes(plan)}


@pytest.mark.parametrize(("count", "expected"), [(operations.MANY - 1, "on"), (operations.MANY, "off")])
def test_a_write_of_many_rows_is_never_planned_as_one_of_few(alice: User, count: int, expected: str) -> None:
    services.create_tasks(alice, [{"title": "A", "tags": ["a"]} for _ in range(count)])
    planned: list[str] = []

    def look(execute: Any, sql: str, *rest: Any) -> Any:
        answer = execute(sql, *rest)
        if "UPDATE" in sql:
            planned.append(connection.connection.execute("SHOW enable_nestloop").fetchone()[0])
        return answer

    with connection.execute_wrapper(look):
        services.rename_tag(alice, "a", "b")
    assert planned[-1] == expected
