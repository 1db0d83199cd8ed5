"""Parents of tasks and projects: how deep, how many, no cycle, and that a child's project is its root's."""

from typing import Any

import pytest

from tasks.models import Task
from tasks.projects.models import Project
from tests.client import Answer, Api
from tests.factories import head_of, make_project, make_task
from tests.problems import problem_of, stored
from tests.trees import chain, columns, last_operation, plant, violations
from users.models import User
from users.resources import log

DOORS = ["PATCH", "PUT", "move"]


def put(api: Api, row: Any, door: str, place: dict[str, Any]) -> Answer:
    """A task or project within another, by each door that a client has."""
    path = f"/api/me/{row._meta.verbose_name_plural}/{row.pk}"
    if door == "move":
        return api.post(f"{path}/move", place)
    return api.patch(path, place) if door == "PATCH" else api.put(path, {"title": "A", **place})


def refused(answer: Answer, code: str, pointer: str) -> bool:
    (error,) = problem_of(answer, 400)["errors"]
    return (error["code"], error["pointer"]) == (code, pointer)


@pytest.mark.parametrize("door", DOORS)
def test_a_cycle_is_refused(door: str, alice: User, as_alice: Api) -> None:
    tasks = chain(alice, 3)
    before = stored()
    for target in tasks:
        for member in ("parent_id", "parent_uid"):
            place = {member: target.pk if member == "parent_id" else target.uid}
            assert refused(put(as_alice, tasks[0], door, place), "cycle", f"/{member}")
    assert stored() == before


@pytest.mark.parametrize("door", DOORS)
def test_five_levels_of_tasks_are_the_most(door: str, alice: User, as_alice: Api) -> None:
    tall, low = chain(alice, 4), chain(alice, 2)
    before = stored()
    assert refused(put(as_alice, low[0], door, {"parent_id": tall[3].pk}), "too_deep", "/parent_id")
    assert refused(put(as_alice, tall[0], door, {"parent_id": low[1].pk}), "too_deep", "/parent_id")
    assert stored() == before
    assert put(as_alice, low[0], door, {"parent_id": tall[2].pk}).status_code == 200
    answer = as_alice.post(as_alice.tasks, {"title": "A", "parent_id": low[1].pk})
    assert refused(answer, "too_deep", "/parent_id")
    assert violations() == {}


def test_four_levels_of_projects_are_the_most(alice: User, as_alice: Api) -> None:
    line: list[Project] = []
    for _ in range(4):
        line.append(make_project(alice, parent_id=line[-1].pk if line else None))
    answer = as_alice.post("/api/me/projects", {"name": "A", "parent_uid": line[3].uid})
    assert refused(answer, "too_deep", "/parent_uid")
    assert refused(put(as_alice, line[0], "PATCH", {"parent_id": line[3].pk}), "cycle", "/parent_id")
    other = make_project(alice)
    assert refused(put(as_alice, line[0], "move", {"parent_id": other.pk}), "too_deep", "/parent_id")
    assert put(as_alice, line[1], "move", {"parent_id": other.pk}).status_code == 200
    assert violations() == {}


def test_a_task_has_500_children_at_most(alice: User, as_alice: Api) -> None:
    parent = make_task(alice)
    children = Task.objects.bulk_create(
        Task(user=alice, uid=f"c{number}", title="A", parent=parent, position="a0", version=number + 2,
             created_at=parent.created_at, updated_at=parent.created_at, search_text="a", title_key="a")
        for number in range(500)
    )  # fmt: skip
    lone = make_task(alice)
    before = stored()
    answers = [
        as_alice.post(as_alice.tasks, {"title": "A", "parent_id": parent.pk}),
        *(put(as_alice, lone, door, {"parent_id": parent.pk}) for door in DOORS),
    ]
    for answer in answers:
        problem = problem_of(answer, 409)
        assert (problem["code"], problem["limit"]) == ("limit_reached", 500)
    assert stored() == before
    assert put(as_alice, children[0], "PATCH", {"parent_id": parent.pk, "title": "B"}).status_code == 200
    assert put(as_alice, children[0], "PATCH", {"parent_id": None}).status_code == 200
    assert put(as_alice, lone, "PATCH", {"parent_id": parent.pk}).status_code == 200


# --- The project of a subtask -----------------------------------------------------------------------


def test_a_new_subtask_has_the_project_of_its_root(alice: User, as_alice: Api) -> None:
    project, other = make_project(alice), make_project(alice)
    root = make_task(alice, project_id=project.pk)
    body = {"title": "A", "parent_id": root.pk}
    assert as_alice.post(as_alice.tasks, body).json()["project_id"] == project.pk
    assert as_alice.post(as_alice.tasks, {**body, "project_uid": project.uid}).json()["project_id"] == project.pk
    before = stored()
    for sent in ({"project_id": other.pk}, {"project_uid": other.uid}, {"project_id": None}):
        place = f"/{next(iter(sent))}"
        assert refused(as_alice.post(as_alice.tasks, {**body, **sent}), "project_follows_parent", place)
    assert stored() == before


@pytest.mark.parametrize("door", DOORS)
def test_a_subtask_stays_in_the_project_of_its_parent(door: str, alice: User, as_alice: Api) -> None:
    project, other = make_project(alice), make_project(alice)
    tasks = plant(alice, {"a": {"b": {}}}, project_id=project.pk)
    before = stored()
    for sent in ({"project_id": other.pk}, {"project_uid": other.uid}, {"project_id": None}):
        place = f"/{next(iter(sent))}"
        assert refused(put(as_alice, tasks["b"], door, sent), "project_follows_parent", place)
    assert stored() == before
    assert put(as_alice, tasks["b"], door, {"parent_id": None, "project_id": other.pk}).status_code == 200
    assert columns(tasks, "parent_id", "project_id")["b"] == (None, other.pk)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("to_inbox", [False, True])
def test_a_root_takes_all_within_it_to_another_project(door: str, to_inbox: bool, alice: User, as_alice: Api) -> None:
    old, new = make_project(alice), make_project(alice)
    tasks = plant(alice, {"a": {"b": {"c": {}}, "d": {}}}, project_id=old.pk)
    target, head = None if to_inbox else new.pk, head_of(alice)
    answer = put(as_alice, tasks["a"], door, {"project_id": target})
    assert (answer.status_code, answer.json()["project_id"]) == (200, target)
    assert set(columns(tasks, "project_id").values()) == {target}
    assert head_of(alice) == head + 4 == int(answer["Tickbase-Operation"])
    kinds = last_operation(alice)
    assert kinds.keys() == {("task", task.pk) for task in tasks.values()}
    assert {kinds["task", tasks[title].pk] for title in "bcd"} == {"moved"}


@pytest.mark.parametrize("door", DOORS)
def test_a_task_that_moves_within_another_takes_its_project(door: str, alice: User, as_alice: Api) -> None:
    project = make_project(alice)
    root, tasks = make_task(alice, project_id=project.pk), plant(alice, {"a": {"b": {}}})
    answer = put(as_alice, tasks["a"], door, {"parent_uid": root.uid})
    assert (answer.status_code, answer.json()["parent_id"]) == (200, root.pk)
    assert columns(tasks, "project_id") == {"a": project.pk, "b": project.pk}
    assert (violations(), log.entries(alice, 0, 1000)[-1].operation) == ({}, head_of(alice))
