"""The list by project, parent and root, and in the order that people choose."""

from typing import NamedTuple

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tasks import services
from tasks.fields import MAX_PROJECTS
from tasks.filters import TaskListQuery
from tasks.projects import services as projects
from tasks.projects.models import Project
from tasks.resource import TASKS
from tests.client import Api
from tests.factories import make_project, make_task, make_user
from tests.problems import places_of
from tests.resources.walk import pages
from users.models import User


class Home(NamedTuple):
    """A tree of three levels in the kitchen, a task in the garden, one in the inbox, and one in an archived project."""

    kitchen: Project
    garden: Project
    attic: Project
    paint: int
    brush: int
    shop: int
    weed: int
    call: int
    sort: int


@pytest.fixture
def home(alice: User) -> Home:
    kitchen, garden, attic = (make_project(alice, name=name) for name in ("Kitchen", "Garden", "Attic"))
    paint = make_task(alice, title="Paint the kitchen", project_id=kitchen.pk).pk
    brush = make_task(alice, title="Get a brush", parent_id=paint).pk
    shop = make_task(alice, title="Find a shop", parent_id=brush).pk
    weed = make_task(alice, title="Weed", project_id=garden.pk).pk
    call = make_task(alice, title="Call").pk
    sort = make_task(alice, title="Sort", project_id=attic.pk).pk
    projects.update_project(alice, attic.pk, {"is_archived": True})
    return Home(kitchen, garden, attic, paint, brush, shop, weed, call, sort)


def listed(api: Api, query: str) -> list[int]:
    answer = api.get(f"/api/me/tasks?sort=created&{query}")
    assert answer.status_code == 200, answer.content
    return [task["id"] for task in answer.json()]


def test_each_filter_lists_what_it_says(home: Home, as_alice: Api) -> None:
    expected: dict[str, list[int]] = {
        "project=inbox": [home.call],
        f"project={home.kitchen.pk}": [home.paint, home.brush, home.shop],
        f"project={home.attic.pk}": [home.sort],
        f"project={home.garden.pk}&project={home.attic.pk}": [home.weed, home.sort],
        f"project={home.garden.pk}&project={home.garden.pk}&project=": [home.weed],
        f"project={home.garden.pk},{home.attic.pk}": [home.weed, home.sort],
        "project=active": [home.paint, home.brush, home.shop, home.weed, home.call],
        "parent=none": [home.paint, home.weed, home.call, home.sort],
        f"parent={home.paint}": [home.brush],
        f"parent={home.shop}": [],
        f"root={home.paint}": [home.paint, home.brush, home.shop],
        f"root={home.brush}": [home.brush, home.shop],
        f"project={home.kitchen.pk}&parent=none": [home.paint],
        f"root={home.paint}&parent={home.brush}": [home.shop],
        f"root={home.paint}&project=inbox": [],
        "project=active&search=shop": [home.shop],
        "project=&parent=&root=": [home.paint, home.brush, home.shop, home.weed, home.call, home.sort],
    }
    assert {query: listed(as_alice, query) for query in expected} == expected


def test_the_total_counts_what_is_listed(home: Home, as_alice: Api) -> None:
    for query, total in {
        "project=active": "5",
        f"project={home.kitchen.pk}": "3",
        f"project={home.kitchen.pk}&project={home.garden.pk}": "4",
        f"root={home.brush}": "2",
        f"parent={home.paint}": "1",
    }.items():
        assert as_alice.get(f"/api/me/tasks?total=true&limit=1&{query}")["X-Total-Count"] == total, query


def test_search_finds_subtasks(home: Home, as_alice: Api) -> None:
    assert listed(as_alice, "search=shop") == [home.shop]
    assert listed(as_alice, f"search=a&root={home.brush}") == [home.brush, home.shop]


def test_what_is_in_the_trash_is_within_nothing(home: Home, as_alice: Api, alice: User) -> None:
    services.delete_task(alice, home.brush)
    assert listed(as_alice, f"root={home.paint}") == [home.paint]
    assert listed(as_alice, f"root={home.brush}") == listed(as_alice, f"parent={home.paint}") == []


def test_a_project_that_is_brought_back_is_active(home: Home, as_alice: Api, alice: User) -> None:
    before = as_alice.get("/api/me/tasks?project=active")["ETag"]
    projects.update_project(alice, home.attic.pk, {"is_archived": False})
    answer = as_alice.get("/api/me/tasks?project=active", if_none_match=before)
    assert (answer.status_code, len(answer.json())) == (200, 6)


def test_an_unchanged_list_of_a_project_is_not_sent_again(home: Home, as_alice: Api) -> None:
    path = f"/api/me/tasks?project={home.kitchen.pk}"
    assert as_alice.get(path, if_none_match=as_alice.get(path)["ETag"]).status_code == 304


@pytest.mark.parametrize("name", ["project", "parent", "root"])
def test_what_is_another_users_lists_nothing(home: Home, bob: User, name: str) -> None:
    own = make_task(bob)
    as_bob = Api(bob)
    for theirs in (*(project.pk for project in (home.kitchen, home.attic)), home.paint, home.brush, 2**62):
        assert listed(as_bob, f"{name}={theirs}") == []
        assert as_bob.get(f"/api/me/tasks?total=true&{name}={theirs}")["X-Total-Count"] == "0"
    assert listed(as_bob, f"project={home.kitchen.pk}&project={home.garden.pk}") == []
    assert listed(as_bob, "project=active") == listed(as_bob, "project=inbox") == [own.pk]


@pytest.mark.parametrize("name", ["project", "parent", "root"])
def test_the_filter_alone_isolates(home: Home, bob: User, name: str) -> None:
    """Without the second wall, row level security."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with checks that are still due cannot be altered
        for table in ("tasks_task", "projects_project"):
            cursor.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    make_task(bob)
    for theirs in (home.kitchen.pk, home.paint, home.brush):
        assert listed(Api(bob), f"{name}={theirs}") == []


BAD = ["%20", "x", "0", "-1", "01", "1.5", "1e1", "%2B1", "٣", "%00", "1%0A", str(2**63), "9" * 400, "1,", "None"]
BAD_QUERIES = [
    *(f"{name}={value}" for name in ("project", "parent", "root") for value in BAD),
    "parent=1,2",
    "root=1,2",
    "project=none",
    "project=INBOX",
    "project=inbox&project=active",
    "project=inbox&project=inbox",
    "project=1&project=active",
    "project=1,active",
    ",".join(["project=1", *map(str, range(2, MAX_PROJECTS + 2))]),
    "project=1&project=x",
    "&".join(f"project={number}" for number in range(1, MAX_PROJECTS + 2)),
    "parent=inbox",
    "parent=1&parent=2",
    "root=none",
    "root=1&root=1",
]


@pytest.mark.parametrize("query", BAD_QUERIES)
def test_a_bad_value_is_refused_by_name(as_alice: Api, query: str) -> None:
    answer = as_alice.get(f"/api/me/tasks?{query}")
    assert places_of(answer, "parameter") == [query.partition("=")[0]]


def test_a_refusal_says_what_is_allowed(as_alice: Api) -> None:
    answer = as_alice.get("/api/me/tasks?project=x&parent=x&root=x")
    assert {error["parameter"]: error["detail"] for error in answer.json()["errors"]} == {
        "project": "Use inbox or active, alone, or up to 20 ids of projects.",
        "parent": "Use none or the id of a task.",
        "root": "Use the id of a task.",
    }


def test_as_many_projects_as_allowed_are_listed(home: Home, as_alice: Api) -> None:
    query = "&".join(f"project={number}" for number in range(10**6, 10**6 + MAX_PROJECTS - 1))
    assert listed(as_alice, f"{query}&project={home.garden.pk}") == [home.weed]


# --- Order and pages --------------------------------------------------------------------------------


@pytest.fixture
def walter(db: None) -> tuple[User, dict[str, object]]:
    """Has 23 tasks with ties of positions within a task of a project, and others elsewhere."""
    user = make_user("walter")
    project = make_project(user)
    root = make_task(user, project_id=project.pk, position="a0")
    for number in range(23):
        make_task(user, parent_id=root.pk, position=f"a{number * 7 % 5}")
        make_task(user, position="a1")
    return user, {"project": project.pk, "parent": root.pk, "root": root.pk}


@pytest.mark.parametrize("sort", ["position", "-position"])
def test_positions_order_a_list_and_ties_go_by_id(walter: tuple[User, dict[str, object]], sort: str) -> None:
    user, place = walter
    shown = Api(user).get(f"/api/me/tasks?sort={sort}&parent={place['parent']}").json()
    keys = [(task["position"], task["id"]) for task in shown]
    assert len(keys) == 23
    assert keys == sorted(keys, reverse=sort.startswith("-"))


@pytest.mark.parametrize("sort", ["position", "-position", "-created", "title"])
@pytest.mark.parametrize("name", ["project", "parent", "root"])
def test_all_pages_together_are_the_list(walter: tuple[User, dict[str, object]], name: str, sort: str) -> None:
    user, place = walter
    query = {name: place[name], "sort": sort}
    [whole] = pages(Api(user), TASKS, limit=200, **query)
    found = pages(Api(user), TASKS, limit=7, **query)
    assert sum(found, []) == whole
    assert len(whole) == len(set(whole)) == 23 + (name != "parent")


@pytest.mark.parametrize("query", ["project=active", "project={project}", "parent={parent}", "root={root}"])
def test_a_list_takes_as_many_queries_however_long_it_is(walter: tuple[User, dict[str, object]], query: str) -> None:
    user, place = walter
    counts = []
    for limit in (1, 200):
        api = Api(user)
        with CaptureQueriesContext(connection) as captured:
            api.get(f"/api/me/tasks?limit={limit}&{query.format(**place)}")
        counts.append(len(captured))
    assert counts == [1, 1]


def test_lists_of_all_projects_share_a_compiled_query(home: Home, as_alice: Api) -> None:
    TaskListQuery._compiled.cache_clear()
    for project in (home.kitchen, home.garden, home.attic):
        listed(as_alice, f"project={project.pk}&parent={project.pk}&root={project.pk}")
    assert TaskListQuery._compiled.cache_info().currsize == 1
