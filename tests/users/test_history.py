"""The history of all that a user has, and what undo costs beside a PATCH."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tasks import services
from tasks.models import Task
from tasks.projects.services import create_project, delete_project
from tests.client import Api, next_page
from tests.factories import fill_log, make_task, make_user
from tests.plans import explain, nodes, statements
from tests.problems import places_of
from users.models import Change, User
from users.resources import undo
from users.resources.statements import MOST_CHANGED

TASKS = """
    INSERT INTO tasks_task (user_id, uid, title, description, status, priority, tags, tag_keys, search_text, title_key,
        created_at, updated_at, version, project_id)
    SELECT %s, number, 'A', 'long', 'pending', 'medium', '{}', '{}', '', 'a', now(), now(), 1, %s
    FROM generate_series(1, %s::bigint) AS number
"""


def versions(api: Api, query: str = "") -> list[int]:
    answer = api.get(f"/api/me/history{query}")
    assert answer.status_code == 200, answer.content
    return [entry["version"] for entry in answer.json()]


@pytest.fixture
def four(alice: User, as_alice: Api) -> list[int]:
    """The versions 1 and 2 by a command, then 3 by a request, then 4 and 5 as one operation."""
    tasks = [make_task(alice).pk for _ in range(2)]
    as_alice.patch(f"/api/me/tasks/{tasks[0]}", {"title": "New"})
    services.delete_tasks(alice, tasks)
    return tasks


@pytest.mark.usefixtures("four")
def test_everything_is_told_the_newest_first_and_of_nobody_else(as_alice: Api, bob: User) -> None:
    assert versions(as_alice) == [5, 4, 3, 2, 1]
    assert versions(Api(bob)) == []


@pytest.mark.usefixtures("four")
def test_it_is_filtered_by_actor_operation_and_type(as_alice: Api) -> None:
    session = as_alice.get("/api/me/history?operation=3").json()[0]["actor"]
    assert session.startswith("session:")
    expected: dict[str, list[int]] = {
        "?actor=command": [5, 4, 2, 1],
        f"?actor={session}": [3],
        "?actor=nobody": [],
        "?operation=5": [5, 4],
        "?operation=4": [],
        "?operation=99": [],
        "?operation=5&actor=worker": [],
        "?type=task": [5, 4, 3, 2, 1],
        "?type=&actor=&operation=": [5, 4, 3, 2, 1],
    }
    assert {query: versions(as_alice, query) for query in expected} == expected


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize("query", ["limit=2", "limit=1&actor=command", "limit=1&operation=5", "limit=3&type=task"])
def test_all_pages_together_are_the_whole(as_alice: Api, query: str) -> None:
    whole, found = versions(as_alice, "?" + query.partition("&")[2]), []
    url: str | None = f"/api/me/history?{query}"
    while url:
        answer = as_alice.get(url)
        found += [entry["version"] for entry in answer.json()]
        url = next_page(answer)
    assert found == whole


@pytest.mark.parametrize(
    "query",
    [
        "type=nothing", "type=Task", "type=" + "x" * 61, "operation=0", "operation=-1", "operation=x", "operation=1.0",
        f"operation={2**63}", "operation=" + "9" * 30, "operation=٣", "actor=" + "x" * 201, "actor=%00", "limit=201",
        "since=1",
    ],
)  # fmt: skip
def test_a_bad_parameter_is_named(as_alice: Api, query: str) -> None:
    assert places_of(as_alice.get(f"/api/me/history?{query}"), "parameter") == [query.partition("=")[0]]


@pytest.mark.parametrize("query", ["", "?actor=command", "?operation=1", "?type=task", "?limit=1"])
def test_it_costs_as_many_statements_whatever_its_length(as_alice: Api, alice: User, query: str) -> None:
    make_task(alice)
    for _ in range(2):
        assert (
            len(statements(lambda: versions(as_alice, query), containing="")) <= 3
        )  # with that of the epoch, where a page follows
        fill_log(alice, 60)


def test_the_log_is_never_read_from_end_to_end(alice: User, as_alice: Api) -> None:
    """Neither for an object with 20 entries among 100,000, nor for a page, nor for an operation."""
    task = make_task(alice)
    for number in range(20):
        fill_log(alice, 5_000)
        services.update_task(alice, task.pk, {"title": f"Title {number}"})
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE users_change")
    paths = [f"/api/me/tasks/{task.pk}/history", "/api/me/history", f"/api/me/history?operation={task.version}"]
    for path, count in zip(paths, [21, 50, 1], strict=True):
        (sql,) = statements(lambda path=path: as_alice.get(path), containing="users_change")  # type: ignore[misc]
        found = explain(alice, sql, "ANALYZE")
        read = [node for node in nodes(found["Plan"]) if node.get("Relation Name") == "users_change"]
        assert {node["Node Type"] for node in read} == {"Index Scan"}
        assert sum(node["Actual Rows"] * node["Actual Loops"] for node in read) <= 3 * 21
        assert len(as_alice.get(path).json()) == count
    assert Change.objects.count() == 100_021


def test_an_undo_takes_as_many_messages_as_a_patch(transactional_db: None) -> None:
    """Whatever the number of rows; without a number, one more finds the last operation. Where rows appear or disappear,
    one more looks at what refers to them."""
    user = make_user()
    api, tasks, wrapper = Api(user), [make_task(user) for _ in range(30)], connection

    def messages(call: Any) -> int:
        before: int = wrapper.messages  # type: ignore[attr-defined]  # of our backend
        assert call().status_code == 200
        return int(wrapper.messages - before)  # type: ignore[attr-defined]

    path = f"/api/me/tasks/{tasks[0].pk}"
    assert messages(lambda: api.patch(path, {"title": "New"})) == 2
    assert messages(lambda: api.post("/api/me/undo", {"operation": 31})) == 2
    api.patch(path, {"title": "New"})
    assert messages(lambda: api.post("/api/me/undo", {})) == 3
    services.delete_tasks(user, [task.pk for task in tasks])
    assert messages(lambda: api.post("/api/me/undo", {"operation": 64})) == 3


def test_an_undo_of_many_rows_reads_no_text(alice: User) -> None:
    """A hundred thousand tasks may have gigabytes of it."""
    project = create_project(alice, name="Home")
    with connection.cursor() as cursor:
        cursor.execute(TASKS, [alice.pk, project.pk, MOST_CHANGED + 1])
    operation = delete_project(alice, project.pk).operation
    with CaptureQueriesContext(connection) as queries:
        assert len(undo.undo(alice, operation)) == MOST_CHANGED + 2
    whole, light = [each["sql"] for each in queries if 'FROM "tasks_task"' in each["sql"]]
    assert f"LIMIT {MOST_CHANGED + 1}" in whole
    assert "description" not in light and "LIMIT" not in light.rpartition("FOR UPDATE")[0].rpartition("ORDER BY")[2]
    assert Task.objects.visible().filter(project=project, description="long").count() == MOST_CHANGED + 1
