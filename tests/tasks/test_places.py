"""Changes of `parent_id`, `project_id` and `position`, by a move or by PATCH and PUT, and the projects of subtasks."""

from typing import Any

import pytest

from tasks.models import Task
from tests.client import Answer, Api
from tests.factories import head_of, make_project, make_task
from tests.problems import places_of, send, stored
from tests.tasks.outlines import Outline, entries, refused
from users.models import User

INVALID: list[Any] = [None, 1, True, [], {}, "", "a", "a00", "9z", "a 0", " a0", "ä0", "a\0", "a\ud800", "V" * 101]
LEVELS = 5

# The requests that change where a task is.
WAYS = ["move", "patch", "put"]


def place(api: Api, way: str, task: Task, body: dict[str, Any]) -> Answer:
    if way == "move":
        return api.post(f"/api/me/tasks/{task.pk}/move", body)
    return getattr(api, way)(f"/api/me/tasks/{task.pk}", {"title": task.title, **body} if way == "put" else body)  # type: ignore[no-any-return]


def make_line(user: User, levels: int = 3, **fields: Any) -> list[Task]:
    """Tasks, each within the one before."""
    line = [make_task(user, **fields)]
    while len(line) < levels:
        line.append(make_task(user, parent_id=line[-1].pk))
    return line


def projects_of(*tasks: Task) -> set[int | None]:
    found: set[int | None] = set(
        Task.objects.filter(pk__in=[task.pk for task in tasks]).values_list("project", flat=True)
    )
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("by", ["id", "uid"])
def test_a_task_goes_to_another_project_with_all_that_is_within_it(
    as_alice: Api, alice: User, way: str, by: str
) -> None:
    project, line, other = make_project(alice), make_line(alice, LEVELS), make_task(alice)
    answer = place(as_alice, way, line[0], {f"project_{by}": project.pk if by == "id" else project.uid})
    assert (answer.status_code, answer.json()["project_id"]) == (200, project.pk)
    assert (projects_of(*line), projects_of(other)) == ({project.pk}, {None})
    told = entries(alice, int(answer["Tickbase-Operation"]))
    assert {entry.object_id for entry in told} == {task.pk for task in line}
    assert [entry.version for entry in told] == [*range(head_of(alice) - LEVELS + 1, head_of(alice) + 1)]
    assert all(entry.kind == "moved" and entry.diff["project_id"] == [None, project.pk] for entry in told)
    assert place(as_alice, way, line[0], {f"project_{by}": None}).status_code == 200
    assert projects_of(*line) == {None}


@pytest.mark.parametrize("way", WAYS)
def test_a_task_that_goes_within_another_takes_its_project(as_alice: Api, alice: User, way: str) -> None:
    project = make_project(alice)
    parent, line = make_task(alice, project_id=project.pk), make_line(alice)
    assert place(as_alice, way, line[0], {"parent_uid": parent.uid}).json()["project_id"] == project.pk
    assert projects_of(*line) == {project.pk}
    assert place(as_alice, way, line[0], {"parent_id": None}).json()["project_id"] == project.pk
    body = {"parent_id": parent.pk, "project_uid": project.uid}
    assert place(as_alice, way, line[0], body).status_code == 200


@pytest.mark.parametrize("way", WAYS)
def test_a_task_leaves_its_parent_and_goes_to_a_project_at_once(as_alice: Api, alice: User, way: str) -> None:
    project, (root, child, grandchild) = make_project(alice), make_line(alice)
    answer = place(as_alice, way, child, {"parent_id": None, "project_id": project.pk})
    assert (answer.json()["parent_id"], answer.json()["project_id"]) == (None, project.pk)
    assert (projects_of(child, grandchild), projects_of(root)) == ({project.pk}, {None})


@pytest.mark.parametrize("way", WAYS)
def test_the_project_of_a_subtask_is_that_of_its_parent(as_alice: Api, alice: User, way: str) -> None:
    home, work = make_project(alice), make_project(alice)
    root, child = make_line(alice, 2, project_id=home.pk)
    other, before = make_task(alice, project_id=home.pk), stored()
    for task, body in ((child, {}), (other, {"parent_id": root.pk}), (child, {"parent_uid": other.uid})):
        for member, key in (("project_id", work.pk), ("project_uid", work.uid), ("project_id", None)):
            answer = place(as_alice, way, task, {**body, member: key})
            assert refused(answer) == ("project_follows_parent", f"/{member}")
    assert stored() == before


@pytest.mark.parametrize("way", WAYS)
def test_only_own_projects_that_are_not_in_the_trash_are_known(as_alice: Api, alice: User, bob: User, way: str) -> None:
    task, foreign, trashed = make_task(alice), make_project(bob), make_project(alice)
    as_alice.delete(f"/api/me/projects/{trashed.pk}")
    before = stored()
    for project in (foreign, trashed):
        assert refused(place(as_alice, way, task, {"project_id": project.pk})) == ("unknown_project", "/project_id")
        assert refused(place(as_alice, way, task, {"project_uid": project.uid})) == ("unknown_project", "/project_uid")
    assert stored() == before


def test_a_sibling_is_in_the_same_project(as_alice: Api, alice: User) -> None:
    project, task = make_project(alice), make_task(alice)
    inside, outside = make_task(alice, project_id=project.pk), make_task(alice)
    for body in ({"after_id": inside.pk}, {"project_id": project.pk, "before_id": outside.pk}):
        code, pointer = refused(place(as_alice, "move", task, body))
        assert (code, pointer) == ("unknown_sibling", f"/{[*body][-1]}")
    answer = place(as_alice, "move", task, {"project_id": project.pk, "before_id": inside.pk})
    assert (answer.status_code, answer.json()["position"] < inside.position) == (200, True)


def test_a_task_goes_to_an_archived_project(as_alice: Api, alice: User) -> None:
    project, task = make_project(alice, is_archived=True), make_task(alice)
    assert place(as_alice, "move", task, {"project_id": project.pk}).status_code == 200
    assert projects_of(task) == {project.pk}


def test_a_move_between_projects_is_undone_with_all_that_is_within(as_alice: Api, alice: User) -> None:
    project, line = make_project(alice), make_line(alice)
    place(as_alice, "move", line[0], {"project_id": project.pk})
    for expected in (None, project.pk):
        assert as_alice.post("/api/me/undo", {"operation": head_of(alice)}).status_code == 200
        assert projects_of(*line) == {expected}


@pytest.mark.parametrize("method", ["patch", "put"])
def test_a_position_is_kept_as_it_is_sent(outline: Outline, as_alice: Api, alice: User, method: str) -> None:
    row, other = outline.row(alice, 1), outline.row(alice, 2)
    body = {outline.label: getattr(row, outline.label), "position": "a3"}
    answer = getattr(as_alice, method)(f"/api/me/{outline.plural}/{row.pk}", body)
    assert (answer.status_code, answer.json()["position"]) == (200, "a3")
    assert outline.order(alice) == [other.pk, row.pk]
    (entry,) = entries(alice, head_of(alice))
    assert (entry.kind, entry.diff) == ("moved", {"position": ["a1", "a3"]})


@pytest.mark.parametrize("position", INVALID, ids=lambda position: ascii(position)[:20])
def test_an_invalid_position_is_refused_by_name(outline: Outline, as_alice: Api, alice: User, position: Any) -> None:
    row, before = outline.row(alice, 1), stored()
    path, body = f"/api/me/{outline.plural}", {outline.label: "A", "position": position}
    for method, address in (("POST", path), ("PATCH", f"{path}/{row.pk}"), ("PUT", f"{path}/{row.pk}")):
        assert places_of(send(as_alice, method, address, body), "pointer") == ["/position"]
    assert stored() == before


def test_a_new_row_is_the_last_and_rows_of_the_same_position_are_in_the_order_of_their_ids(
    outline: Outline, as_alice: Api, alice: User
) -> None:
    bodies = [{}, {"position": "h00000000V"}, {"position": "a0"}, {"position": "a0"}]
    path = f"/api/me/{outline.plural}"
    made = [as_alice.post(path, {outline.label: "A", **body}).json()["id"] for body in bodies]
    assert outline.order(alice) == [made[2], made[3], made[1], made[0]]


@pytest.mark.parametrize("by", ["id", "uid"])
def test_reopening_a_task_that_goes_elsewhere_reopens_what_it_is_within_then(
    as_alice: Api, alice: User, by: str
) -> None:
    old, child = make_line(alice, 2)
    new, within = make_line(alice, 2)
    for task in (old, new):
        as_alice.patch(f"/api/me/tasks/{task.pk}/complete", {"completed": True})
    body = {"status": "in_progress", f"parent_{by}": within.pk if by == "id" else within.uid}
    answer = as_alice.patch(f"/api/me/tasks/{child.pk}", body)
    assert (answer.status_code, answer.json()["parent_id"]) == (200, within.pk)
    statuses = dict(Task.objects.values_list("pk", "status"))
    assert statuses == {old.pk: "completed", child.pk: "in_progress", new.pk: "pending", within.pk: "pending"}
    told = entries(alice, int(answer["Tickbase-Operation"]))
    assert {entry.object_id for entry in told} == {child.pk, new.pk, within.pk}


def test_reopening_a_task_that_leaves_its_parent_reopens_no_other(as_alice: Api, alice: User) -> None:
    parent, child = make_line(alice, 2)
    as_alice.patch(f"/api/me/tasks/{parent.pk}/complete", {"completed": True})
    as_alice.patch(f"/api/me/tasks/{child.pk}", {"completed": False, "parent_id": None})
    assert dict(Task.objects.values_list("pk", "status")) == {parent.pk: "completed", child.pk: "pending"}


def test_a_move_changes_no_status(as_alice: Api, alice: User) -> None:
    above, task, below = (make_task(alice, status=status) for status in ("completed", "pending", "completed"))
    place(as_alice, "move", task, {"parent_id": above.pk})
    place(as_alice, "move", below, {"parent_id": task.pk})
    statuses = dict(Task.objects.values_list("pk", "status"))
    assert statuses == {above.pk: "completed", task.pk: "pending", below.pk: "completed"}
