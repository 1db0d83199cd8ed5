"""Projects in the admin: their list and page, and where tasks show and change the project that they are in."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from config.errors import Invalid
from tasks import services
from tasks.models import Task
from tasks.projects import services as projects
from tasks.projects.models import Project
from tests.audited import events, staff_changes
from tests.factories import head_of, make_project, make_task, make_user
from tests.pages import Page, first_column, send, signed_in, submit
from users.audit import Action
from users.models import Change, User
from users.resources import undo

pytestmark = pytest.mark.thorough

LIST, TASKS = "/admin/projects/project/", "/admin/tasks/task/"


@pytest.fixture
def staff(carol: User) -> Client:
    return signed_in(carol)


def act(client: Client, path: str, action: str, *rows: Any, **more: Any) -> Page:
    return send(client, path, {"action": action, "_selected_action": [str(row.pk) for row in rows], **more})


def listed(client: Client, path: str) -> list[int]:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return sorted(row.pk for row in answer.context["cl"].result_list)


@pytest.fixture
def tree(alice: User) -> list[Project]:
    """Home / Kitchen / Cupboards, made from the bottom up, and Work."""
    cupboards = make_project(alice, "Cupboards")
    kitchen, work = make_project(alice, "Kitchen", color="#ff9933"), make_project(alice, "Work")
    home = make_project(alice, "Home")
    projects.update_project(alice, kitchen.pk, {"parent_id": home.pk})
    projects.update_project(alice, cupboards.pk, {"parent_id": kitchen.pk})
    return [home, kitchen, cupboards, work]


# --- The list ---------------------------------------------------------------------------------------


def test_the_list_of_one_owner_is_in_the_order_of_the_tree(staff: Client, alice: User, tree: list[Project]) -> None:
    make_project(make_user(), "Other")
    paths = ["Work", "Home", "Home / Kitchen", "Home / Kitchen / Cupboards"]
    assert first_column(staff, f"{LIST}?user__id__exact={alice.pk}") == paths
    projects.move_project(alice, tree[0].pk, {"before_id": tree[3].pk})
    assert first_column(staff, f"{LIST}?user__id__exact={alice.pk}") == [*paths[1:], "Work"]
    assert first_column(staff, LIST) == ["Other", "Home", "Work", "Home / Kitchen", "Home / Kitchen / Cupboards"]
    assert 'fill="#ff9933"' in staff.get(LIST).content.decode()


def test_it_counts_open_and_completed_tasks_and_links_them(staff: Client, alice: User) -> None:
    project, empty = make_project(alice), make_project(alice, "Empty")
    for status in ("pending", "in_progress", "completed", "cancelled"):
        make_task(alice, project_id=project.pk, status=status)
    services.delete_task(alice, make_task(alice, project_id=project.pk).pk)
    make_task(alice)
    page = staff.get(LIST)
    rows = {row.pk: (row.open_count, row.completed_count) for row in page.context["cl"].result_list}
    assert rows == {project.pk: (2, 1), empty.pk: (0, 0)}
    links = re.findall(rf'href="({TASKS}\?project=[^"]+)"', page.content.decode())
    assert [len(listed(staff, link.replace("&amp;", "&"))) for link in links] == [2, 1]


@pytest.mark.parametrize("query", ["", "?o=1", "?user__id__exact={alice}", "?parent=none", "?deleted=yes"])
def test_it_takes_as_many_queries_for_30_projects_as_for_3(staff: Client, alice: User, query: str) -> None:
    counts, path = [], f"{LIST}{query.format(alice=alice.pk)}"
    for more in (1, 9):
        for number in range(more):
            home = make_project(alice, f"Home {number}")
            child = make_project(alice, "Kitchen", parent_id=home.pk)
            make_task(alice, project_id=make_project(alice, "Cupboards", parent_id=child.pk).pk)
            if "deleted" in query:
                projects.delete_project(alice, home.pk)
        with CaptureQueriesContext(connection) as queries:
            assert staff.get(path).status_code == 200
        counts.append(len(queries))
    assert counts == [counts[0]] * 2


def test_filters(staff: Client, alice: User, tree: list[Project]) -> None:
    home, kitchen, cupboards, work = tree
    projects.update_project(alice, work.pk, {"is_archived": True})
    gone = make_project(alice, "Gone")
    projects.delete_project(alice, gone.pk)
    for query, found in {
        "": tree,
        "archived=yes": [work],
        "archived=no": [home, kitchen, cupboards],
        "deleted=yes": [gone],
        "parent=none": [home, work],
        "parent=any": [kitchen, cupboards],
        f"parent={home.pk}": [kitchen],
        f"parent={home.pk}&user__id__exact={alice.pk}": [kitchen],
        "parent=0": [],
        "parent=abc": [],
        f"parent={'9' * 30}": [],
        "parent=%00": [],
        "user__id__exact=abc": None,
        "q=KITCH": [kitchen],
    }.items():
        if found is not None:
            assert listed(staff, f"{LIST}?{query}") == sorted(row.pk for row in found), query
        assert staff.get(f"{LIST}?{query}").status_code in (200, 302), query


# --- The page ---------------------------------------------------------------------------------------


def test_a_project_is_made_and_changed_like_by_its_owner(staff: Client, alice: User, tree: list[Project]) -> None:
    home, kitchen, *_ = tree
    typed = {"name": " Garden ", "color": "#AABBCC", "parent_id": str(home.pk), "user": str(alice.pk)}
    assert "was added successfully" in submit(staff, f"{LIST}add/", **typed).messages
    garden = Project.objects.get(name="Garden")
    assert (garden.color, garden.parent_id, garden.is_archived, garden.user) == ("#aabbcc", home.pk, False, alice)
    head = head_of(alice)
    submit(staff, f"{LIST}{garden.pk}/change/", color="", parent_id=str(kitchen.pk), is_archived="on")
    garden.refresh_from_db()
    assert (garden.color, garden.parent_id, garden.is_archived, head_of(alice)) == (None, kitchen.pk, True, head + 1)
    submit(staff, f"{LIST}{garden.pk}/change/")
    assert head_of(alice) == head + 1


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"name": " "}, "This field is required."),
        ({"name": "x" * 121}, "at most 120 characters"),
        ({"color": "red"}, "Write a color as #rrggbb."),
        ({"parent_id": "{others}"}, "{refused}"),
        ({"parent_id": "{cupboards}"}, "within itself"),
    ],
)
def test_bad_input_is_a_form_error(
    staff: Client, alice: User, bob: User, tree: list[Project], typed: dict[str, str], message: str
) -> None:
    known = {"others": make_project(bob).pk, "cupboards": tree[2].pk, "refused": "is not one of the available choices"}
    typed = {name: value.format(**known) for name, value in typed.items()}
    head = head_of(alice)
    page = submit(staff, f"{LIST}{tree[0].pk}/change/", **typed)
    assert message.format(**known) in page.errors
    assert (head_of(alice), staff_changes()) == (head, 0)


def test_a_new_project_is_within_none_of_another_owner(staff: Client, alice: User, bob: User) -> None:
    typed = {"name": "New", "parent_id": str(make_project(bob).pk), "user": str(alice.pk)}
    assert "You have no project with this id." in submit(staff, f"{LIST}add/", **typed).errors
    assert Project.objects.count() == 1


def test_the_page_links_what_is_around_it(staff: Client, alice: User, tree: list[Project]) -> None:
    home, kitchen, cupboards, _ = tree
    for number in range(22):
        make_task(alice, title=f"Task {number}", project_id=kitchen.pk)
    text = staff.get(f"{LIST}{kitchen.pk}/change/").content.decode()
    for row in (home, cupboards):
        assert f'href="{LIST}{row.pk}/change/" class="tickbase-link tickbase-name">{row.name}</a>' in text
    assert ("Tasks (22)" in text, "Task 19<" in text, "Task 20<" in text) == (True, True, False)
    assert len(listed(staff, f"{TASKS}?project={kitchen.pk}")) == 22


# --- Actions ----------------------------------------------------------------------------------------


def test_archiving_is_one_operation_for_each_owner(staff: Client, alice: User, bob: User) -> None:
    chosen = [make_project(owner) for owner in (alice, bob, alice)]
    projects.update_project(alice, chosen[2].pk, {"is_archived": True})
    assert "Archived: 2 projects." in act(staff, LIST, "archive", *chosen, index="0").messages
    assert Project.objects.archived().count() == 3
    assert (head_of(alice), head_of(bob)) == (4, 2)
    undo.undo(bob, 2)
    assert "Unarchived: 2 projects." in act(staff, LIST, "unarchive", *chosen, index="0").messages
    assert not Project.objects.archived().exists()
    [one, other] = Change.objects.for_user(alice).order_by("-version")[:2]
    assert (one.operation, other.operation) == (6, 6)


def test_deleting_says_what_goes_along(staff: Client, alice: User, bob: User, tree: list[Project]) -> None:
    home, kitchen, cupboards, work = tree
    parent = make_task(alice, project_id=cupboards.pk)
    make_task(alice, parent_id=parent.pk)
    services.delete_task(alice, make_task(alice, project_id=home.pk).pk)
    make_task(alice, project_id=work.pk), make_task(bob, project_id=make_project(bob).pk)
    page = staff.get(f"{LIST}{home.pk}/delete/").content.decode()
    assert ("Projects: 3" in page, "Tasks: 2" in page) == (True, True)
    page = staff.get(f"{TASKS}{parent.pk}/delete/").content.decode()
    assert ("Tasks: 2" in page, "Projects:" in page) == (True, False)
    send(staff, f"{LIST}{home.pk}/delete/", {"post": "yes"})
    assert (Project.objects.visible().count(), Task.objects.visible().count()) == (2, 2)


def test_counting_what_goes_along_takes_as_many_queries_for_30_as_for_3(staff: Client, alice: User) -> None:
    counts = []
    for number in (3, 30):
        chosen = [make_project(alice, f"Project {each}") for each in range(number)]
        for project in chosen:
            make_task(alice, project_id=project.pk), make_task(alice, project_id=project.pk)
        with CaptureQueriesContext(connection) as queries:
            form = {"action": "delete_selected", "_selected_action": [str(each.pk) for each in chosen]}
            page = staff.post(LIST, form).content.decode()
        counts.append(len(queries))
        assert (f"Projects: {number}" in page, f"Tasks: {2 * number}" in page) == (True, True)
    assert counts == [counts[0]] * 2


def test_who_may_not_delete_tasks_deletes_no_project_with_tasks(alice: User) -> None:
    user = make_user(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_project", "delete_project"]))
    client = signed_in(user)
    full, empty = make_project(alice), make_project(alice)
    make_task(alice, project_id=full.pk)
    assert "permission to delete the following types" in client.get(f"{LIST}{full.pk}/delete/").content.decode()
    chosen = {"action": "delete_selected", "_selected_action": [str(full.pk)], "post": "yes"}
    for path, form in ((f"{LIST}{full.pk}/delete/", {"post": "yes"}), (LIST, chosen)):
        assert client.post(path, form).status_code == 403
    send(client, f"{LIST}{empty.pk}/delete/", {"post": "yes"})
    assert list(Project.objects.visible()) == [full]


# --- Tasks ------------------------------------------------------------------------------------------


def test_tasks_are_found_by_project_and_by_parent(staff: Client, alice: User, bob: User) -> None:
    home = make_project(alice)
    root, inbox, other = make_task(alice, project_id=home.pk), make_task(alice), make_task(bob)
    step = make_task(alice, parent_id=root.pk)
    for query, found in {
        f"project={home.pk}": [root, step],
        "project=none": [inbox, other],
        "project=any": [root, step],
        f"project={home.pk}&user__id__exact={bob.pk}": [],
        f"parent={root.pk}": [step],
        "parent=none": [root, inbox, other],
        "project=abc": [],
        f"project={'9' * 25}": [],
    }.items():
        assert listed(staff, f"{TASKS}?{query}") == sorted(row.pk for row in found), query
    page = staff.get(f"{TASKS}?user__id__exact={alice.pk}&_facets=True").content.decode()
    assert (f"{home.name} (2)" in page, "Inbox (1)" in page) == (True, True)


def test_the_list_of_tasks_in_projects_takes_constant_queries(staff: Client, alice: User) -> None:
    counts = []
    for more in (3, 27):
        for _ in range(more):
            make_task(alice, project_id=make_project(alice).pk)
        with CaptureQueriesContext(connection) as queries:
            assert staff.get(TASKS).content.decode().count("tickbase-name") == Task.objects.count()
        counts.append(len(queries))
    assert counts == [counts[0]] * 2


def test_the_page_of_a_task_moves_it_within_what_its_owner_has(staff: Client, alice: User, bob: User) -> None:
    home, others = make_project(alice), make_project(bob)
    task, parent, foreign = make_task(alice), make_task(alice), make_task(bob)
    path = f"{TASKS}{task.pk}/change/"
    submit(staff, path, project_id=str(home.pk))
    task.refresh_from_db()
    assert (task.project_id, task.version) == (home.pk, head_of(alice))
    head = head_of(alice)
    assert "is not one of the available choices" in submit(staff, path, project_id=str(others.pk)).errors
    assert "You have no task with this id." in submit(staff, path, parent_id=str(foreign.pk)).errors
    assert "cannot be within itself" in submit(staff, path, parent_id=str(task.pk)).errors
    assert head_of(alice) == head
    submit(staff, path, parent_id=str(parent.pk))
    task.refresh_from_db()
    assert (task.parent_id, task.project_id) == (parent.pk, None)
    assert "that of its parent" in submit(staff, path, project_id=str(home.pk)).errors
    assert "Tasks within it (1)" in staff.get(f"{TASKS}{parent.pk}/change/").content.decode()


def test_a_new_task_is_in_no_project_of_another_owner(staff: Client, alice: User, bob: User) -> None:
    typed = {"title": "New", "user": str(alice.pk), "project_id": str(make_project(bob).pk)}
    assert "You have no project with this id." in submit(staff, f"{TASKS}add/", **typed).errors
    submit(staff, f"{TASKS}add/", **{**typed, "project_id": str(make_project(alice).pk)})
    assert Task.objects.filter(project__user=alice).count() == 1


def test_moving_takes_subtasks_along_in_one_operation(staff: Client, alice: User, carol: User) -> None:
    home, old = make_project(alice), make_project(alice)
    root = make_task(alice, project_id=old.pk)
    step, there = make_task(alice, parent_id=root.pk), make_task(alice, project_id=home.pk)
    single, head = make_task(alice), head_of(alice)
    asked = act(staff, TASKS, "move_to_project", step, root, single, there, index="0")
    assert asked.fields["project_id"] == [""]
    assert head_of(alice) == head
    page = act(staff, TASKS, "move_to_project", step, root, single, there, project_id=str(home.pk))
    assert "Moved: 3 tasks." in page.messages
    assert {*Task.objects.values_list("project", flat=True)} == {home.pk}
    step.refresh_from_db()
    assert step.parent_id == root.pk
    moved = Change.objects.for_user(alice).filter(actor=f"staff:{carol.pk}")
    assert {(entry.operation, entry.kind) for entry in moved} == {(head + 3, "moved")}
    assert sorted(event.object_id for event in events(action=Action.STAFF_RAN)) == sorted(
        str(task.pk) for task in (root, step, single)
    )
    undo.undo(alice, head + 3)
    assert listed(staff, f"{TASKS}?project={old.pk}") == [root.pk, step.pk]


def test_rows_of_several_owners_and_projects_of_others_are_refused(staff: Client, alice: User, bob: User) -> None:
    mine, other, others = make_task(alice), make_task(bob), make_project(bob)
    heads = head_of(alice), head_of(bob)
    assert "choose tasks of one owner" in act(staff, TASKS, "move_to_project", mine, other, index="0").messages
    for project in (others.pk, "abc", 0):
        page = act(staff, TASKS, "move_to_project", mine, project_id=str(project))
        assert "is not one of the available choices" in page.errors
    assert (head_of(alice), head_of(bob), staff_changes()) == (*heads, 0)


def test_a_subtask_that_is_moved_alone_leaves_its_parent(alice: User) -> None:
    home, root = make_project(alice), make_task(alice)
    step = make_task(alice, parent_id=root.pk)
    below = make_task(alice, parent_id=step.pk)
    assert [task.pk for task in services.move_tasks(alice, [step.pk], home.pk)] == [step.pk]
    stored = {task.pk: (task.project_id, task.parent_id) for task in Task.objects.all()}
    assert stored == {root.pk: (None, None), step.pk: (home.pk, None), below.pk: (home.pk, step.pk)}
    assert services.move_tasks(alice, [step.pk, below.pk], home.pk) == []
    assert {task.pk for task in services.move_tasks(alice, [step.pk, below.pk, root.pk], None)} == {step.pk, below.pk}


def test_an_older_task_within_a_younger_one_goes_along_with_it(alice: User) -> None:
    home, step, root = make_project(alice), make_task(alice), make_task(alice)
    services.update_task(alice, step.pk, {"parent_id": root.pk})
    services.move_tasks(alice, [step.pk, root.pk], home.pk)
    step.refresh_from_db()
    assert (step.parent_id, step.project_id) == (root.pk, home.pk)


def test_tasks_move_to_no_project_of_another_user_and_none_in_the_trash(alice: User, bob: User) -> None:
    task, others, gone = make_task(alice), make_project(bob), make_project(alice)
    projects.delete_project(alice, gone.pk)
    head = head_of(alice)
    for project in (others, gone):
        with pytest.raises(Invalid, match="You have no project with this id"):
            services.move_tasks(alice, [task.pk], project.pk)
    assert head_of(alice) == head


def test_completing_selected_tasks_takes_subtasks_along(staff: Client, alice: User) -> None:
    root = make_task(alice)
    step = make_task(alice, parent_id=root.pk)
    assert "Completed: 1 task." in act(staff, TASKS, "complete", root, index="0").messages
    step.refresh_from_db()
    assert (step.status, head_of(alice)) == ("completed", 4)
