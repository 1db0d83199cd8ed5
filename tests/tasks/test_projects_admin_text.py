"""Names of projects in the admin: shown to staff with the permission alone, and recorded."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from tasks.projects import services as projects
from tests.audited import events
from tests.factories import make_project, make_task, make_user
from tests.pages import first_column, signed_in
from users.audit import Action
from users.models import User

LIST, TASKS = "/admin/projects/project/", "/admin/tasks/task/"
EVERY = ("view", "add", "change", "delete")
SECRET = "Divorce"
OTHERS = tuple(f"{may}_{model}" for may in EVERY for model in ("task", "project"))
PAGES = [
    LIST,
    f"{LIST}?user__id__exact={{alice}}",
    f"{LIST}?o=1",
    f"{LIST}?parent={{project}}",
    f"{LIST}?deleted=yes",
    f"{LIST}{{project}}/change/",
    f"{LIST}{{child}}/change/",
    f"{LIST}{{project}}/history/",
    f"{LIST}{{project}}/delete/",
    TASKS,
    f"{TASKS}?user__id__exact={{alice}}",
    f"{TASKS}?project={{project}}",
    f"{TASKS}?deleted=yes",
    f"{TASKS}{{task}}/change/",
    f"{TASKS}{{task}}/history/",
    f"{TASKS}{{task}}/delete/",
    "/admin/",
]


def staff_who(*codenames: str) -> Client:
    user = make_user(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return signed_in(user)


@pytest.fixture
def secrets(alice: User) -> dict[str, int]:
    """Names, by which nothing shall be known."""
    project = make_project(alice, SECRET, description=SECRET, extra={"a": SECRET})
    child = make_project(alice, f"{SECRET} lawyer", parent_id=project.pk)
    gone = make_project(alice, f"{SECRET} gone", parent_id=project.pk)
    make_task(alice, title="Trash", project_id=gone.pk)
    projects.delete_project(alice, gone.pk)
    task = make_task(alice, title="Call", project_id=child.pk)
    return {"alice": alice.pk, "project": project.pk, "child": child.pk, "task": task.pk}


@pytest.mark.thorough
@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("held", [("view_task", "view_project"), OTHERS, (*OTHERS, "view_task_text")])
def test_no_page_shows_a_name_to_whom_it_is_not_granted(
    secrets: dict[str, int], path: str, held: tuple[str, ...]
) -> None:
    answer = staff_who(*held).get(path.format(**secrets))
    assert (answer.status_code, SECRET in answer.content.decode()) == (403 if _refused(path, held) else 200, False)
    assert not [event for event in events(action=Action.STAFF_READ) if event.object_type == "projects.project"]


def _refused(path: str, held: tuple[str, ...]) -> bool:
    return "delete/" in path and "delete_task" not in held


def test_the_tree_is_readable_by_ids(alice: User, secrets: dict[str, int]) -> None:
    project, child = secrets["project"], secrets["child"]
    paths = [f"Project {project}", f"Project {project} / Project {child}"]
    assert first_column(staff_who("view_project"), f"{LIST}?user__id__exact={alice.pk}") == paths


def test_who_may_not_see_projects_has_no_links_to_them(secrets: dict[str, int]) -> None:
    client = staff_who("view_task")
    for path in (TASKS, f"{TASKS}{secrets['task']}/change/"):
        text = client.get(path).content.decode()
        assert (f"Project {secrets['child']}" in text, LIST in text) == (True, False)
    assert client.get(LIST).status_code == 403


def test_choices_of_moves_are_ids_without_the_permission(secrets: dict[str, int]) -> None:
    form = {"action": "move_to_project", "_selected_action": [str(secrets["task"])], "index": "0"}
    text = staff_who(*OTHERS).post(TASKS, form).content.decode()
    assert (f"Project {secrets['child']}</option>" in text, SECRET in text) == (True, False)
    text = staff_who(*OTHERS, "view_project_text").post(TASKS, form).content.decode()
    assert f"{SECRET} / {SECRET} lawyer</option>" in text


@pytest.mark.parametrize(
    "guess", ["name__startswith={}", "name={}", "name_key__gte={}", "parent__name={}", "extra__a={}", "q={}"]
)
def test_nobody_guesses_a_name_by_what_is_found(secrets: dict[str, int], guess: str) -> None:
    client = staff_who("view_project", "view_task", "view_task_text")
    prefix = "" if guess == "q={}" else "project__"
    for path in (f"{LIST}?{guess}", f"{TASKS}?{prefix}{guess}"):
        right, wrong = (client.get(path.format(word), follow=True) for word in (SECRET, "No such"))
        assert right.status_code == wrong.status_code
        if path.startswith(LIST) and right.status_code == 200:
            assert right.context["cl"].result_count == wrong.context["cl"].result_count


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (TASKS, ["child"]),
        (f"{TASKS}?project={{child}}", ["child"]),
        (f"{TASKS}?user__id__exact={{alice}}", ["project", "child"]),
        (f"{TASKS}{{task}}/change/", ["project", "child"]),
        (f"{LIST}{{child}}/change/", ["project", "child"]),
    ],
)
def test_names_that_staff_reads_are_recorded(secrets: dict[str, int], path: str, shown: list[str]) -> None:
    client = staff_who("view_task", "view_project", "view_project_text")
    assert SECRET in client.get(path.format(**secrets)).content.decode()
    read: set[int] = set()
    for event in events(action=Action.STAFF_READ):
        read |= {*event.details.get("projects", [])}
        read |= {int(event.object_id)} if event.object_type == "projects.project" else set()
    assert read == {secrets[each] for each in shown}
