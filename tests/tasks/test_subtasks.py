"""Completing and reopening of trees: the same by every door, one operation, and the right kinds in the log."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tasks import services
from tasks.models import Task
from tests.client import Answer, Api
from tests.factories import head_of, make_project, make_task
from tests.problems import places_of
from tests.trees import chain, last_operation, plant, statuses
from users.models import User
from users.resources import writes
from users.resources.references import Family
from users.resources.undo import undo

Door = Callable[[Api, Any, bool], Any]


def complete(api: Api, task: Any, completed: bool) -> Answer:
    return api.patch(f"{api.tasks}/{task.pk}/complete", {"completed": completed})


def status_of(completed: bool) -> str:
    return "completed" if completed else "pending"


DOORS: dict[str, Door] = {
    "toggle": lambda api, task, completed: api.patch(f"{api.tasks}/{task.pk}/complete"),
    "complete": complete,
    "complete with subtasks": lambda api, task, completed: api.patch(
        f"{api.tasks}/{task.pk}/complete", {"completed": completed, "subtasks": "complete"}
    ),
    "PATCH completed": lambda api, task, completed: api.patch(f"{api.tasks}/{task.pk}", {"completed": completed}),
    "PATCH status": lambda api, task, completed: api.patch(f"{api.tasks}/{task.pk}", {"status": status_of(completed)}),
    "PUT completed": lambda api, task, completed: api.put(
        f"{api.tasks}/{task.pk}", {"title": task.title, "completed": completed}
    ),
    "PUT status by uid": lambda api, task, completed: api.put(
        f"{api.tasks}/by-uid/{task.uid}", {"title": task.title, "status": status_of(completed)}
    ),
    "several": lambda api, task, completed: services.complete_tasks(api.user, [task.pk], completed),  # type: ignore[arg-type]
}
of_every_door = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)


@of_every_door
def test_completing_a_parent_completes_the_open_ones_within_it(door: Door, alice: User, as_alice: Api) -> None:
    tasks = plant(alice, {"a": {"b": {"c": {}, "d": {"e": {}}}, "f": {"g": {}}}})
    services.update_task(alice, tasks["c"].pk, {"status": "in_progress"})
    services.update_task(alice, tasks["d"].pk, {"status": "cancelled"})
    services.complete_task(alice, tasks["f"].pk, with_subtasks=False)
    door(as_alice, tasks["b"], True)
    assert statuses(tasks) == {
        **dict.fromkeys("bcef", "completed"),
        "a": "pending",
        "d": "cancelled",
        "g": "pending",
    }
    assert last_operation(alice) == {("task", tasks[title].pk): "completed" for title in "bce"}


@of_every_door
def test_reopening_opens_the_closed_ancestors(door: Door, alice: User, as_alice: Api) -> None:
    tasks = plant(alice, {"a": {"b": {"c": {"d": {}}, "e": {}}}})
    services.complete_task(alice, tasks["a"].pk)
    services.update_task(alice, tasks["b"].pk, {"status": "cancelled"})
    door(as_alice, tasks["c"], False)
    assert statuses(tasks) == {**dict.fromkeys("abc", "pending"), **dict.fromkeys("de", "completed")}
    kinds = last_operation(alice)
    assert kinds.keys() == {("task", tasks[title].pk) for title in "abc"}
    assert (kinds["task", tasks["a"].pk], kinds["task", tasks["c"].pk]) == ("reopened", "reopened")


@of_every_door
def test_completing_the_last_child_does_nothing_to_the_parent(door: Door, alice: User, as_alice: Api) -> None:
    tasks = plant(alice, {"a": {"b": {}}})
    door(as_alice, tasks["b"], True)
    assert statuses(tasks) == {"a": "pending", "b": "completed"}
    assert last_operation(alice) == {("task", tasks["b"].pk): "completed"}


@of_every_door
def test_the_consequences_are_undone_and_redone_with_it(door: Door, alice: User, as_alice: Api) -> None:
    tasks = plant(alice, {"a": {"b": {"c": {}}, "d": {}}})
    services.complete_task(alice, tasks["d"].pk)
    door(as_alice, tasks["a"], True)
    undo(alice, head_of(alice))
    assert statuses(tasks) == {**dict.fromkeys("abc", "pending"), "d": "completed"}
    undo(alice, head_of(alice))
    assert statuses(tasks) == dict.fromkeys("abcd", "completed")


def test_subtasks_can_be_left_open(alice: User, as_alice: Api) -> None:
    tasks = plant(alice, {"a": {"b": {}}})
    path = f"{as_alice.tasks}/{tasks['a'].pk}/complete"
    assert as_alice.patch(path, {"completed": True, "subtasks": "leave"}).json()["completed"] is True
    assert statuses(tasks) == {"a": "completed", "b": "pending"}
    assert as_alice.patch(path, {"subtasks": "leave"}).json()["completed"] is False
    assert as_alice.patch(path, {"subtasks": "leave"}).json()["completed"] is True
    assert statuses(tasks) == {"a": "completed", "b": "pending"}
    for wrong in ("all", None, True):
        assert places_of(as_alice.patch(path, {"subtasks": wrong}), "pointer") == ["/subtasks"]
    assert statuses(tasks)["a"] == "completed"


def test_completing_what_is_completed_changes_nothing(alice: User, as_alice: Api) -> None:
    tasks = plant(alice, {"a": {"b": {}}})
    services.complete_task(alice, tasks["a"].pk, with_subtasks=False)
    head = head_of(alice)
    assert "Tickbase-Operation" not in complete(as_alice, tasks["a"], True)
    assert (head_of(alice), statuses(tasks)["b"]) == (head, "pending")


def test_cancelling_does_not_cascade(alice: User, as_alice: Api) -> None:
    tasks = plant(alice, {"a": {"b": {}}})
    as_alice.patch(f"{as_alice.tasks}/{tasks['a'].pk}", {"status": "cancelled"})
    assert statuses(tasks) == {"a": "cancelled", "b": "pending"}
    complete(as_alice, tasks["a"], True)
    assert statuses(tasks) == dict.fromkeys("ab", "completed")


def test_several_of_one_tree_are_one_operation(alice: User) -> None:
    tasks = plant(alice, {"a": {"b": {"c": {}}}, "d": {}})
    head = head_of(alice)
    changed = services.complete_tasks(alice, [task.pk for task in tasks.values()], True)
    assert (len(changed), head_of(alice)) == (4, head + 4)
    services.complete_tasks(alice, [tasks["c"].pk, tasks["a"].pk], False)
    assert statuses(tasks) == {**dict.fromkeys("abc", "pending"), "d": "completed"}
    assert head_of(alice) == head + 7


def test_several_take_no_statement_each(alice: User, django_assert_max_num_queries: Any) -> None:
    project = make_project(alice)
    tasks = [task.pk for n in range(8) for task in plant(alice, {f"a{n}": {"b": {}, "c": {}}}).values()]
    with django_assert_max_num_queries(8):
        assert len(services.complete_tasks(alice, tasks, True)) == 24
    with django_assert_max_num_queries(8):
        assert len(services.move_tasks(alice, tasks, project.pk)) == 24
    assert Task.objects.completed().in_project(project.pk).count() == 24


def test_whoever_reopens_and_moves_a_task_opens_those_that_it_is_within_then(alice: User, as_alice: Api) -> None:
    tasks = plant(alice, {"a": {"b": {}}, "c": {"d": {}}})
    services.complete_tasks(alice, [tasks["a"].pk, tasks["c"].pk], True)
    as_alice.patch(f"{as_alice.tasks}/{tasks['b'].pk}", {"completed": False, "parent_id": tasks["d"].pk})
    assert statuses(tasks) == {"a": "completed", "b": "pending", "c": "pending", "d": "pending"}
    services.complete_task(alice, tasks["c"].pk)
    as_alice.patch(f"{as_alice.tasks}/{tasks['b'].pk}", {"completed": False, "parent_id": None})
    assert statuses(tasks) == {**dict.fromkeys("acd", "completed"), "b": "pending"}


def test_a_stale_version_changes_none_of_them(alice: User, as_alice: Api) -> None:
    tasks = chain(alice, 3)
    head = head_of(alice)
    path = f"{as_alice.tasks}/{tasks[0].pk}"
    assert as_alice.patch(f"{path}/complete", {"completed": True}, if_match='"99"').status_code == 412
    assert as_alice.patch(path, {"completed": True}, if_match='"99"').status_code == 412
    assert as_alice.delete(path, if_match='"99"').status_code == 412
    make_task(alice)
    assert head_of(alice) == head + 1


def test_of_relatives_no_long_texts_are_read(alice: User) -> None:
    """To complete the root of 3,200 tasks of 20,000 characters took 250 MB, and an account may have 100,000 tasks."""
    root = make_task(alice, description="long")
    make_task(alice, description="long", extra={"a": 1}, parent_id=root.pk)
    read: list[set[str]] = []

    def look(_: Any, family: Family[Task], __: Any) -> None:
        assert family.row is not None
        read.extend(each.get_deferred_fields() for each in (family.row, *family.below))

    writes.change_family(alice, Task, root.pk, {"title": "new"}, consequences=look)
    assert read == [set(), {"description", "extra", "search_text"}]


def test_relatives_keep_their_texts_beside_one_that_gets_others(alice: User, as_alice: Api) -> None:
    root = make_task(alice, title="Root", description="of the root")
    child = make_task(alice, title="Child", description="of the child", extra={"a": 1}, parent_id=root.pk)
    for each in (root, child):
        each.refresh_from_db()
    before = child.description, child.extra, child.search_text
    path = f"{as_alice.tasks}/{root.pk}"
    changed = as_alice.patch(path, {"description": "new", "extra": {"b": 2}, "completed": True})
    assert (changed.status_code, changed.json()["description"], changed.json()["extra"]) == (200, "new", {"b": 2})
    for each in (root, child):
        each.refresh_from_db()
    assert (child.status, child.description, child.extra, child.search_text) == ("completed", *before)
    assert (root.status, root.description, "new" in root.search_text) == ("completed", "new", True)
    assert as_alice.delete(path, if_match='"1"').json()["current"]["description"] == "new"


def test_a_change_of_long_texts_costs_the_same_with_any_number_of_relatives(alice: User, as_alice: Api) -> None:
    costs = []
    for children in (1, 4):
        tasks = plant(alice, {"root": {str(number): {} for number in range(children)}})
        with CaptureQueriesContext(connection) as queries:
            as_alice.patch(f"{as_alice.tasks}/{tasks['root'].pk}", {"description": "new", "completed": True})
        costs.append(len(queries))
        assert {*statuses(tasks).values()} == {"completed"}
    assert costs[0] == costs[1]
