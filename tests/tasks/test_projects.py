"""Projects: their fields and bounds, archiving, and how many an account may have."""

from typing import Any

import pytest
from pytest_django import Settings

from tasks.models import Task
from tasks.projects import services
from tasks.projects.models import Project
from tests.client import Api
from tests.factories import head_of, make_project, make_task
from tests.problems import cases, places_of, problem_of
from tests.races import short_and_full
from users.models import Feed, User
from users.resources.undo import undo

PROJECTS = "/api/me/projects"


def live(user: User) -> int:
    count: int = Project.objects.for_user(user).visible().count()
    return count


# --- Fields -----------------------------------------------------------------------------------------


def test_a_project_has_these_members(as_alice: Api, alice: User) -> None:
    body = as_alice.post(PROJECTS, {"name": "  Kitchen \n"}).json()
    fixed: dict[str, Any] = {
        "description": "",
        "color": None,
        "parent_id": None,
        "archived": False,
        "archived_at": None,
        "extra": {},
    }
    assert {name: body[name] for name in fixed} == fixed
    own = {"id", "uid", "user_id", "name", "position", "created_at", "updated_at", "version"}
    assert body.keys() == fixed.keys() | own
    assert (body["name"], body["version"], Project.objects.get().name) == ("Kitchen", 1, "Kitchen")


def test_two_projects_may_have_the_same_name(as_alice: Api, alice: User) -> None:
    assert [as_alice.post(PROJECTS, {"name": "Home"}).status_code for _ in range(2)] == [201, 201]
    assert live(alice) == 2


@pytest.mark.parametrize(
    "body",
    cases(
        {
            "120 characters": {"name": "報" * 120},
            "10,000 characters": {"description": "é" * 10_000},
            "color": {"color": "#00ff7f"},
            "no color": {"color": None},
            "description is kept": {"description": "  a\n"},
        }
    ),
)
def test_what_fits_is_kept(as_alice: Api, alice: User, body: dict[str, Any]) -> None:
    answer = as_alice.post(PROJECTS, {"name": "A", **body})
    assert (answer.status_code, {**answer.json(), **body}) == (201, answer.json())
    assert as_alice.get(f"{PROJECTS}/{answer.json()['id']}").json() == answer.json()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "x" * 121}, "/name"),
        ({"name": " \t"}, "/name"),
        ({"description": "x" * 10_001}, "/description"),
        ({"color": "#FFFFFF"}, "/color"),
        ({"color": "#fffffff"}, "/color"),
        ({"color": "#00000\n"}, "/color"),
    ],
)
def test_what_does_not_fit_is_named(as_alice: Api, alice: User, body: dict[str, Any], pointer: str) -> None:
    project = make_project(alice, name="As it was")
    assert places_of(as_alice.patch(f"{PROJECTS}/{project.pk}", body), "pointer") == [pointer]
    assert places_of(as_alice.post(PROJECTS, {"name": "A", **body}), "pointer") == [pointer]
    assert (Project.objects.get().name, head_of(alice)) == ("As it was", 1)


# --- Archived ---------------------------------------------------------------------------------------


def test_archived_is_a_view_on_archived_at(as_alice: Api, alice: User) -> None:
    path = f"{PROJECTS}/{make_project(alice).pk}"
    archived = as_alice.patch(path, {"archived": True}).json()
    assert (archived["archived"], archived["archived_at"]) == (True, archived["updated_at"])
    again = as_alice.patch(path, {"archived": True}).json()
    assert (again["archived_at"], again["version"]) == (archived["archived_at"], 2)
    assert as_alice.put(path, {"name": "B", "archived": False}).json()["archived_at"] is None
    assert Project.objects.get().archived_at is None
    created = as_alice.post(PROJECTS, {"name": "C", "archived": True}).json()
    assert created["archived_at"] == created["created_at"]


def test_an_archived_project_is_listed_apart(as_alice: Api, alice: User) -> None:
    shown, hidden = make_project(alice), make_project(alice, is_archived=True)
    found = {
        query: [each["id"] for each in as_alice.get(f"{PROJECTS}{query}").json()]
        for query in ("", "?archived=false", "?archived=true", "?archived=all")
    }
    assert found == {
        "": [shown.pk],
        "?archived=false": [shown.pk],
        "?archived=true": [hidden.pk],
        "?archived=all": [shown.pk, hidden.pk],
    }
    assert places_of(as_alice.get(f"{PROJECTS}?archived=1"), "parameter") == ["archived"]


def test_an_archived_project_stays_writable(as_alice: Api, alice: User) -> None:
    project = make_project(alice, is_archived=True)
    task = as_alice.post(as_alice.tasks, {"title": "A", "project_id": project.pk})
    path = f"{as_alice.tasks}/{task.json()['id']}"
    assert task.status_code == 201
    assert as_alice.patch(f"{path}/complete").json()["completed"] is True
    assert as_alice.post(as_alice.tasks, {"title": "B", "parent_id": task.json()["id"]}).status_code == 201
    assert as_alice.patch(f"{PROJECTS}/{project.pk}", {"name": "B"}).json()["archived"] is True
    assert as_alice.post(PROJECTS, {"name": "C", "parent_id": project.pk}).status_code == 201
    assert as_alice.delete(path).status_code == 204
    assert Task.objects.for_user(alice).visible().count() == 0


# --- The limit --------------------------------------------------------------------------------------


@pytest.fixture
def two(settings: Settings) -> None:
    settings.LIMIT_PROJECTS = 2


@pytest.mark.usefixtures("two")
def test_past_the_limit_no_project_is_created_restored_or_brought_back(as_alice: Api, alice: User) -> None:
    gone = make_project(alice)
    deleted = services.delete_project(alice, gone.pk)
    make_project(alice), make_project(alice)
    before = (live(alice), head_of(alice))
    for path, body in {
        PROJECTS: {"name": "A"},
        f"{PROJECTS}/{gone.pk}/restore": {},
        "/api/me/undo": {"operation": deleted.operation},
    }.items():
        problem = problem_of(as_alice.post(path, body), 409)
        assert (problem["code"], problem["limit"]) == ("limit_reached", 2)
        assert problem["detail"] == "You have 2 projects, and may have 2; delete some first."
    assert (live(alice), head_of(alice)) == before


@pytest.mark.usefixtures("two")
def test_a_restore_of_several_fits_as_a_whole(as_alice: Api, alice: User) -> None:
    parent = make_project(alice)
    make_project(alice, parent_id=parent.pk)
    services.delete_project(alice, parent.pk)
    other = make_project(alice)
    assert problem_of(as_alice.post(f"{PROJECTS}/{parent.pk}/restore"), 409)["code"] == "limit_reached"
    assert live(alice) == 1
    services.delete_project(alice, other.pk)
    assert as_alice.post(f"{PROJECTS}/{parent.pk}/restore").status_code == 200
    assert live(alice) == 2


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("times", short_and_full(40, 2000))
def test_tombstones_make_room(alice: User, times: int) -> None:
    """As many projects come and go as someone likes; tasks in the trash that were theirs stay there."""
    task = make_task(alice, project_id=make_project(alice).pk)
    services.delete_projects(alice, [task.project_id or 0])
    for _ in range(times):
        services.delete_project(alice, make_project(alice).pk)
    assert (live(alice), Project.objects.count()) == (0, 4)
    task.refresh_from_db()
    assert (task.project_id, task.deleted_at is None) == (None, False)
    assert Feed.objects.get().floor > 0


def test_the_limit_is_one_of_each_account_and_can_be_off(alice: User, bob: User, settings: Settings) -> None:
    settings.LIMIT_PROJECTS = 1
    make_project(alice), make_project(bob)
    settings.LIMIT_PROJECTS = 0
    undo(alice, services.delete_project(alice, make_project(alice).pk).operation)
    assert (live(alice), live(bob)) == (2, 1)
