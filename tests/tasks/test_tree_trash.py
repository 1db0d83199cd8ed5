"""Deleting and restoring of trees: what goes along, what comes back, and where to."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import pytest

from tasks import services
from tasks.models import Task
from tasks.projects import services as projects
from tests.client import Api
from tests.factories import head_of, make_project, make_task
from tests.trees import chain, columns, gone, last_operation, plant, violations
from users.models import User
from users.resources.undo import undo

Door = Callable[[Api, Task], Any]

DELETES: dict[str, Door] = {
    "DELETE": lambda api, task: api.delete(f"{api.tasks}/{task.pk}"),
    "DELETE by uid": lambda api, task: api.delete(f"{api.tasks}/by-uid/{task.uid}"),
    "several": lambda api, task: services.delete_tasks(api.user, [task.pk]),  # type: ignore[arg-type]
}
RESTORES: dict[str, Door] = {
    "restore": lambda api, task: api.post(f"{api.tasks}/{task.pk}/restore"),
    "several": lambda api, task: services.restore_tasks(api.user, [task.pk]),  # type: ignore[arg-type]
}
of_every_delete = pytest.mark.parametrize("delete", DELETES.values(), ids=DELETES)
of_every_restore = pytest.mark.parametrize("restore", RESTORES.values(), ids=RESTORES)


@of_every_delete
def test_deleting_takes_all_within_it_along(delete: Door, alice: User, as_alice: Api) -> None:
    tasks = plant(alice, {"a": {"b": {"c": {"d": {}}, "e": {}}}, "f": {}})
    services.complete_task(alice, tasks["e"].pk)
    delete(as_alice, tasks["b"])
    assert gone(tasks) == "bcde"
    assert last_operation(alice) == {("task", tasks[title].pk): "deleted" for title in "bcde"}
    assert alice.feed.live == 2


@of_every_restore
def test_restoring_brings_all_back_that_went_along(restore: Door, alice: User, as_alice: Api) -> None:
    tasks = plant(alice, {"a": {"b": {"c": {}}, "d": {}}})
    before = columns(tasks, "parent_id", "status", "position")
    services.delete_task(alice, tasks["a"].pk)
    restore(as_alice, tasks["a"])
    assert (gone(tasks), columns(tasks, "parent_id", "status", "position")) == ("", before)
    assert last_operation(alice) == {("task", task.pk): "restored" for task in tasks.values()}


@of_every_restore
def test_a_child_that_was_deleted_before_stays_in_the_trash(restore: Door, alice: User, as_alice: Api) -> None:
    tasks = plant(alice, {"a": {"b": {"c": {}}, "d": {}}})
    services.delete_task(alice, tasks["b"].pk)
    services.delete_task(alice, tasks["a"].pk)
    restore(as_alice, tasks["a"])
    assert gone(tasks) == "bc"
    restore(as_alice, tasks["b"])
    assert (gone(tasks), columns(tasks, "parent_id")["b"]) == ("", tasks["a"].pk)


@of_every_restore
def test_a_child_whose_parent_is_gone_comes_back_at_the_root(restore: Door, alice: User, as_alice: Api) -> None:
    tasks = plant(alice, {"a": {"b": {"c": {}}}})
    services.delete_task(alice, tasks["a"].pk)
    restore(as_alice, tasks["b"])
    assert gone(tasks) == "a"
    assert columns(tasks, "parent_id") == {"a": None, "b": None, "c": tasks["b"].pk}
    restore(as_alice, tasks["a"])
    assert (gone(tasks), columns(tasks, "parent_id")["b"]) == ("", None)


@of_every_restore
def test_a_task_whose_project_is_gone_comes_back_in_the_inbox(restore: Door, alice: User, as_alice: Api) -> None:
    project = make_project(alice)
    tasks = plant(alice, {"a": {"b": {}}}, project_id=project.pk)
    services.delete_task(alice, tasks["a"].pk)
    projects.delete_project(alice, project.pk)
    restore(as_alice, tasks["a"])
    assert columns(tasks, "project_id", "deleted_at") == dict.fromkeys("ab", (None, None))


@of_every_restore
def test_a_child_follows_its_parent_to_another_project(restore: Door, alice: User, as_alice: Api) -> None:
    project = make_project(alice)
    tasks = plant(alice, {"a": {"b": {"c": {}}}})
    services.delete_task(alice, tasks["b"].pk)
    services.move_task(alice, tasks["a"].pk, {"project_id": project.pk})
    restore(as_alice, tasks["b"])
    assert columns(tasks, "project_id") == dict.fromkeys("abc", project.pk)
    assert columns(tasks, "parent_id")["b"] == tasks["a"].pk
    assert violations() == {}


@of_every_restore
def test_a_child_that_would_be_too_deep_becomes_a_root(restore: Door, alice: User, as_alice: Api) -> None:
    tasks, line = plant(alice, {"a": {"b": {"c": {}}}}), chain(alice, 3)
    services.delete_task(alice, tasks["b"].pk)
    services.move_task(alice, tasks["a"].pk, {"parent_id": line[2].pk})
    restore(as_alice, tasks["b"])
    assert columns(tasks, "parent_id") == {"a": line[2].pk, "b": None, "c": tasks["b"].pk}
    assert (gone(tasks), violations()) == ("", {})


@of_every_restore
def test_the_501st_child_becomes_a_root(
    restore: Door, alice: User, as_alice: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = plant(alice, {"a": {"b": {}, "c": {}}})
    services.delete_task(alice, tasks["b"].pk)
    monkeypatch.setattr(Task.tree(), "max_children", 1)
    restore(as_alice, tasks["b"])
    assert (gone(tasks), columns(tasks, "parent_id")["b"]) == ("", None)


# --- Several at once --------------------------------------------------------------------------------


@pytest.mark.parametrize("turned", [False, True], ids=["parent is older", "child is older"])
def test_several_that_were_deleted_one_by_one_come_back_as_they_were(turned: bool, alice: User) -> None:
    one, two = make_task(alice), make_task(alice)
    parent, child = (two, one) if turned else (one, two)
    services.move_task(alice, child.pk, {"parent_id": parent.pk})
    grandchild = make_task(alice, parent_id=child.pk)
    for task in (grandchild, child, parent):
        services.delete_task(alice, task.pk)
    head = head_of(alice)
    assert len(services.restore_tasks(alice, [one.pk, two.pk, grandchild.pk])) == 3
    tasks = {"parent": parent, "child": child, "grandchild": grandchild}
    assert columns(tasks, "parent_id", "deleted_at") == {
        "parent": (None, None),
        "child": (parent.pk, None),
        "grandchild": (child.pk, None),
    }
    assert head_of(alice) == head + 3
    undo(alice, head_of(alice))
    assert gone(tasks) != ""


def test_of_several_children_only_so_many_come_back_as_fit(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = plant(alice, {"a": {"b": {}, "c": {}, "d": {}}})
    for title in "bcd":
        services.delete_task(alice, tasks[title].pk)
    monkeypatch.setattr(Task.tree(), "max_children", 2)
    services.restore_tasks(alice, [tasks[title].pk for title in "bcd"])
    parents = columns(tasks, "parent_id")
    assert [parents[title] for title in "bcd"] == [tasks["a"].pk, tasks["a"].pk, None]
    assert gone(tasks) == ""


def test_several_that_together_would_be_too_deep_are_parted(alice: User) -> None:
    tasks = plant(alice, {"a": {"b": {"c": {"d": {"e": {}}}}}})
    line = chain(alice, 2)
    services.delete_task(alice, tasks["c"].pk)  # with d and e
    services.delete_task(alice, tasks["b"].pk)
    services.move_task(alice, tasks["a"].pk, {"parent_id": line[1].pk})
    services.delete_task(alice, tasks["a"].pk)
    services.restore_tasks(alice, [tasks[title].pk for title in "abc"])
    assert (gone(tasks), violations()) == ("", {})
    parents = columns(tasks, "parent_id")
    assert (parents["d"], parents["e"]) == (tasks["c"].pk, tasks["d"].pk)


def test_a_cycle_in_the_trash_is_opened_when_it_comes_back(alice: User) -> None:
    """An undo puts a row back there with the parent that it had, which has come to be within it since."""
    tasks = plant(alice, {"b": {"a": {}}})
    services.delete_task(alice, tasks["a"].pk)
    services.delete_task(alice, tasks["b"].pk)
    restored = services.restore_task(alice, tasks["a"].pk)  # at the root
    services.restore_task(alice, tasks["b"].pk)
    services.move_task(alice, tasks["b"].pk, {"parent_id": tasks["a"].pk})
    services.delete_task(alice, tasks["b"].pk)
    undo(alice, restored.operation)
    assert columns(tasks, "parent_id") == {"a": tasks["b"].pk, "b": tasks["a"].pk}
    services.restore_tasks(alice, [tasks["a"].pk, tasks["b"].pk])
    assert (gone(tasks), violations()) == ("", {})


def test_a_project_with_2_000_tasks_goes_and_comes_back_quickly(alice: User) -> None:
    """Each a tree of two; linear in their number."""
    project = make_project(alice)
    like = make_task(alice, project_id=project.pk)
    fixed = {"user": alice, "title": "A", "search_text": "a", "title_key": "a", "position": "a0", "project": project}
    dates = {"created_at": like.created_at, "updated_at": like.created_at, "version": 2}
    roots = Task.objects.bulk_create(Task(uid=f"r{n}", **fixed, **dates) for n in range(1000))
    Task.objects.bulk_create(Task(uid=f"c{n}", parent=root, **fixed, **dates) for n, root in enumerate(roots))
    started = perf_counter()
    projects.delete_project(alice, project.pk)
    projects.restore_project(alice, project.pk)
    undo(alice, head_of(alice))
    assert perf_counter() - started < 10
    assert Task.objects.filter(deleted_at=None).count() == 0
