"""Deleting of projects with their tasks, or without; restoring, undo and redo; and what is erased or pruned."""

from typing import Any

import pytest
from django.utils import timezone

from tasks import services
from tasks.models import Task
from tasks.projects import services as projects
from tasks.projects.models import Project
from tests.client import Api
from tests.factories import head_of, make_project, make_task
from tests.problems import places_of, problem_of, stored
from tests.replica import Replica
from tests.trees import columns, gone, last_operation, plant, violations
from users.models import User
from users.resources import pruning
from users.resources.undo import undo

PROJECTS = "/api/me/projects"


class Home:
    """A project within another, each with a task that has a subtask; a task in the trash, and one in the inbox."""

    def __init__(self, user: User) -> None:
        self.outer = make_project(user, name="outer")
        self.inner = make_project(user, name="inner", parent_id=self.outer.pk)
        self.tasks = plant(user, {"a": {"b": {}}, "x": {}}, project_id=self.outer.pk)
        self.tasks |= plant(user, {"c": {"d": {}}}, project_id=self.inner.pk)
        self.tasks |= plant(user, {"i": {}})
        services.delete_task(user, self.tasks["x"].pk)

    def state(self) -> Any:
        projects = Project.objects.order_by("pk").values_list("name", "parent_id", "deleted_at")
        return list(projects), columns(self.tasks, "project_id", "parent_id", "deleted_at")

    def gone(self) -> tuple[list[str], str]:
        """The projects and the tasks in the trash."""
        return [*Project.objects.deleted().order_by("pk").values_list("name", flat=True)], gone(self.tasks)


@pytest.fixture
def home(alice: User) -> Home:
    return Home(alice)


def delete(api: Api, project: Project, query: str = "") -> int:
    answer = api.delete(f"{PROJECTS}/{project.pk}{query}")
    assert answer.status_code == 204
    return int(answer["Tickbase-Operation"])


@pytest.mark.parametrize("query", ["", "?tasks=trash"])
def test_all_of_a_project_goes_to_the_trash_and_comes_back_as_one_operation(
    query: str, home: Home, alice: User, as_alice: Api
) -> None:
    before, head = home.state(), head_of(alice)
    assert delete(as_alice, home.outer, query) == head + 6 == head_of(alice)
    assert home.gone() == (["outer", "inner"], "abxcd")
    assert set(last_operation(alice).values()) == {"deleted"}
    assert as_alice.post(f"{PROJECTS}/{home.outer.pk}/restore").status_code == 200
    assert home.state() == before
    assert (head_of(alice), set(last_operation(alice).values())) == (head + 12, {"restored"})


def test_its_tasks_go_to_the_inbox_with_those_of_the_projects_within(home: Home, alice: User, as_alice: Api) -> None:
    delete(as_alice, home.outer, "?tasks=inbox")
    assert home.gone() == (["outer", "inner"], "x")
    assert {title: at for title, at in columns(home.tasks, "project_id").items() if title != "x"} == dict.fromkeys(
        "abcdi"
    )
    assert columns(home.tasks, "parent_id")["d"] == home.tasks["c"].pk
    kinds = last_operation(alice)
    assert {kinds["task", home.tasks[title].pk] for title in "abcd"} == {"moved"}
    assert as_alice.post(f"{PROJECTS}/{home.outer.pk}/restore").status_code == 200
    assert home.gone() == ([], "x")
    assert columns(home.tasks, "project_id")["a"] is None
    assert violations() == {}


@pytest.mark.parametrize("query", ["", "?tasks=inbox"])
def test_each_is_undone_and_redone(query: str, home: Home, alice: User, as_alice: Api) -> None:
    replica, before = Replica(alice, Task, Project), home.state()
    operation = delete(as_alice, home.outer, query)
    after = home.state()
    for _ in range(2):
        undone = as_alice.post("/api/me/undo", {"operation": operation})
        assert (undone.status_code, home.state(), violations()) == (200, before, {})
        operation = undone.json()["operation"]
        redone = as_alice.post("/api/me/undo", {"operation": operation})
        assert redone.status_code == 200
        assert {title: (at is None) for title, (_, _, at) in home.state()[1].items()} == {
            title: (at is None) for title, (_, _, at) in after[1].items()
        }
        operation = redone.json()["operation"]
    replica.check()


def test_a_restore_is_undone(home: Home, alice: User, as_alice: Api) -> None:
    delete(as_alice, home.outer)
    after = home.state()
    restored = as_alice.post(f"{PROJECTS}/{home.outer.pk}/restore")
    undo(alice, int(restored["Tickbase-Operation"]))
    assert home.state() == after


def test_a_project_within_one_that_is_gone_comes_back_as_a_root_with_its_tasks(
    home: Home, alice: User, as_alice: Api
) -> None:
    delete(as_alice, home.outer)
    assert as_alice.post(f"{PROJECTS}/{home.inner.pk}/restore").json()["parent_id"] is None
    assert home.gone() == (["outer"], "abx")
    assert columns(home.tasks, "project_id")["d"] == home.inner.pk
    assert as_alice.post(f"{PROJECTS}/{home.outer.pk}/restore").status_code == 200
    assert (home.gone(), violations()) == (([], "x"), {})


def test_projects_that_would_be_too_deep_become_roots(alice: User, as_alice: Api) -> None:
    inner = make_project(alice, parent_id=make_project(alice).pk)
    within = make_project(alice, parent_id=inner.pk)
    delete(as_alice, inner)
    line = make_project(alice, parent_id=make_project(alice).pk)
    as_alice.post(f"{PROJECTS}/{inner.parent_id}/move", {"parent_id": line.pk})
    assert as_alice.post(f"{PROJECTS}/{inner.pk}/restore").json()["parent_id"] is None
    within.refresh_from_db()
    assert (within.parent_id, within.deleted_at, violations()) == (inner.pk, None, {})


def test_a_subtask_that_left_with_its_project_follows_its_parent_who_came_back_before(alice: User) -> None:
    """The parent was restored alone, into the inbox; then the project is, with all else."""
    project = make_project(alice)
    tasks = plant(alice, {"a": {"b": {}}}, project_id=project.pk)
    projects.delete_project(alice, project.pk)
    services.restore_task(alice, tasks["a"].pk)
    assert columns(tasks, "project_id", "deleted_at") == dict.fromkeys("ab", (None, None))
    projects.restore_project(alice, project.pk)
    assert (columns(tasks, "project_id"), violations()) == (dict.fromkeys("ab"), {})


def test_several_projects_with_all_that_is_theirs_are_one_operation(home: Home, alice: User) -> None:
    before, head = home.state(), head_of(alice)
    projects.delete_projects(alice, [home.outer.pk, home.inner.pk])
    assert head_of(alice) == head + 6
    projects.restore_projects(alice, [home.inner.pk, home.outer.pk])
    assert (home.state(), head_of(alice)) == (before, head + 12)


@pytest.mark.parametrize("query", ["?tasks=", "?tasks=keep", "?tasks=trash&tasks=inbox", "?task=inbox"])
def test_a_wrong_parameter_is_named_and_deletes_nothing(query: str, home: Home, as_alice: Api) -> None:
    before = home.state()
    answer = as_alice.delete(f"{PROJECTS}/{home.outer.pk}{query}")
    assert places_of(answer, "parameter") == [query[1:].split("=")[0]]
    assert home.state() == before


# --- Undo of what others have come to depend on -----------------------------------------------------


def test_a_created_project_with_tasks_since_is_not_taken_back(alice: User, as_alice: Api) -> None:
    created = as_alice.post(PROJECTS, {"name": "A"})
    task = make_task(alice, project_id=created.json()["id"])
    child = make_project(alice, parent_id=created.json()["id"])
    before = stored()
    problem = problem_of(as_alice.post("/api/me/undo", {"operation": int(created["Tickbase-Operation"])}), 409)
    assert problem["code"] == "changed_since"
    assert sorted(problem["changes"], key=lambda change: str(change["type"])) == [
        {"type": "project", "id": child.pk, "members": ["parent_id"]},
        {"type": "task", "id": task.pk, "members": ["project_id"]},
    ]
    assert stored() == before
    services.delete_task(alice, task.pk)
    projects.delete_project(alice, child.pk)
    assert as_alice.post("/api/me/undo", {"operation": int(created["Tickbase-Operation"])}).status_code == 200


def test_a_created_parent_with_subtasks_since_is_not_taken_back(alice: User, as_alice: Api) -> None:
    tasks = plant(alice, {"a": {"b": {}}})
    before = stored()
    problem = problem_of(as_alice.post("/api/me/undo", {"operation": tasks["a"].version}), 409)
    assert problem["changes"] == [{"type": "task", "id": tasks["b"].pk, "members": ["parent_id"]}]
    assert stored() == before


def refused(user: User, api: Api, operation: int) -> list[Any]:
    """The changes that are named, once nothing was done."""
    before = stored()
    problem = problem_of(api.post("/api/me/undo", {"operation": operation}), 409)
    assert (problem["code"], stored(), violations()) == ("changed_since", before, {})
    changes: list[Any] = problem["changes"]
    return changes


def test_a_move_is_not_undone_into_a_cycle(alice: User, as_alice: Api) -> None:
    tasks = plant(alice, {"a": {"b": {}}})
    moved = services.move_task(alice, tasks["b"].pk, {"parent_id": None})
    services.move_task(alice, tasks["a"].pk, {"parent_id": tasks["b"].pk})
    changes = refused(alice, as_alice, moved.operation or 0)
    assert {(change["type"], *change["members"]) for change in changes} == {("task", "parent_id")}


def test_a_move_is_not_undone_into_a_depth_that_is_too_great(alice: User, as_alice: Api) -> None:
    tasks = plant(alice, {"a": {"b": {"c": {}}}, "d": {"e": {"f": {}}}})
    moved = services.move_task(alice, tasks["c"].pk, {"parent_id": None})
    services.move_task(alice, tasks["d"].pk, {"parent_id": tasks["c"].pk})
    assert refused(alice, as_alice, moved.operation or 0)


def test_a_move_is_not_undone_to_a_place_that_is_gone_or_full(
    alice: User, as_alice: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = plant(alice, {"a": {"b": {}}})
    moved = services.move_task(alice, tasks["b"].pk, {"parent_id": None})
    services.delete_task(alice, tasks["a"].pk)
    assert refused(alice, as_alice, moved.operation or 0) == [
        {"type": "task", "id": tasks["b"].pk, "members": ["parent_id"]}
    ]
    services.restore_task(alice, tasks["a"].pk)
    make_task(alice, parent_id=tasks["a"].pk)
    monkeypatch.setattr(Task.tree(), "max_children", 1)
    assert refused(alice, as_alice, moved.operation or 0) == [
        {"type": "task", "id": tasks["b"].pk, "members": ["parent_id"]}
    ]


def test_a_deletion_is_not_undone_into_another_project_than_the_parents(alice: User, as_alice: Api) -> None:
    tasks = plant(alice, {"a": {"b": {}}})
    deleted = services.delete_task(alice, tasks["b"].pk)
    services.move_task(alice, tasks["a"].pk, {"project_id": make_project(alice).pk})
    assert refused(alice, as_alice, deleted.operation or 0) == [
        {"type": "task", "id": tasks["b"].pk, "members": ["project_id"]}
    ]


# --- Erased and pruned ------------------------------------------------------------------------------


def test_tasks_of_an_erased_project_can_still_be_restored(home: Home, alice: User, as_alice: Api) -> None:
    operation = delete(as_alice, home.outer)
    assert as_alice.delete(f"/api/me/trash/project/{home.outer.pk}").status_code == 204
    assert as_alice.post(f"{PROJECTS}/{home.outer.pk}/restore").status_code == 404
    assert as_alice.post("/api/me/undo", {"operation": operation}).status_code == 409
    assert as_alice.post(f"{as_alice.tasks}/{home.tasks['a'].pk}/restore").json()["project_id"] is None
    assert as_alice.post(f"{PROJECTS}/{home.inner.pk}/restore").json()["parent_id"] is None
    assert (home.gone(), violations()) == (([""], "x"), {})  # of which nothing is left


def test_prune_removes_a_tombstone_to_which_a_task_in_the_trash_refers(home: Home, alice: User) -> None:
    projects.delete_project(alice, home.outer.pk)
    sum(pruning.empty_trash(Project, timezone.now()))
    sum(pruning.cut_log(timezone.now()))
    assert sum(pruning.prune_tombstones(Project)) == 2
    assert columns(home.tasks, "project_id") == dict.fromkeys("abxcdi")
    services.restore_task(alice, home.tasks["a"].pk)
    services.restore_task(alice, home.tasks["c"].pk)
    assert (gone(home.tasks), violations()) == ("x", {})


def test_prune_removes_a_parents_tombstone_while_its_child_is_in_the_trash(alice: User) -> None:
    tasks = plant(alice, {"a": {"b": {}}})
    services.delete_task(alice, tasks["a"].pk)
    assert Api(alice).delete(f"/api/me/trash/task/{tasks['a'].pk}").status_code == 204
    sum(pruning.cut_log(timezone.now()))
    assert sum(pruning.prune_tombstones(Task)) == 1
    assert services.restore_task(alice, tasks["b"].pk).parent_id is None
