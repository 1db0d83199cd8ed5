"""Each index of tasks earns its place: PostgreSQL takes it for what is named here, behind row level security."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from tasks.choices import Sort
from tasks.models import Task
from tasks.querysets import MAX_LOOKED_UP
from tests.client import Api
from tests.factories import make_project
from tests.plans import explain, indexes, nodes, statements
from tests.tasks.conftest import COMMON_TAG, RARE_TAG
from users.models import User

pytestmark = pytest.mark.thorough

# Without those of positions, which are an order among siblings: those of a place have an index, below.
SORTS = [direction + sort for sort in Sort.values for direction in ("", "-") if sort != Sort.POSITION]

LISTS = [
    ("tasks_task_list", ""),
    ("tasks_task_list", "sort=created"),
    ("tasks_task_status", "status=pending"),
    ("tasks_task_status", "status=cancelled"),
    ("tasks_task_updated", "sort=updated"),
    ("tasks_task_updated", "sort=-updated"),
    ("tasks_task_updated", "updated_since=2026-11-01T23:45:00Z"),
    ("tasks_task_due", "sort=due_date"),
    ("tasks_task_due", "due_before=2025-01-02"),
    ("tasks_task_due", "due_on=2025-01-02"),
    ("tasks_task_due", "due_after=2026-01-01&due_before=2026-01-03"),
    ("tasks_task_due_desc", "sort=-due_date"),
    ("tasks_task_priority", "sort=priority"),
    ("tasks_task_priority", "sort=-priority"),
    ("tasks_task_title", "sort=title"),
    ("tasks_task_title", "sort=-title"),
    ("tasks_task_open", "status=pending,in_progress&sort=due_date"),
    ("tasks_task_open", "overdue=true&sort=due_date"),
]
# With the ids of `places`.
PLACES = [
    ("tasks_task_inbox", "project=inbox"),
    ("tasks_task_inbox_place", "project=inbox&sort=position"),
    ("tasks_task_inbox_place", "project=inbox&parent=none&sort=-position"),
    ("tasks_task_list", "project=active"),
    ("tasks_task_project", "project={project}"),
    ("tasks_task_project", "project={project}&parent=none"),
    ("tasks_task_place", "project={project}&sort=position"),
    ("tasks_task_place", "project={project}&sort=-position"),
    ("tasks_task_parent", "parent={parent}&sort=position"),
]
OTHERS: list[tuple[str, Callable[[User, Task], Any]]] = [
    ("tasks_task_pkey", lambda walter, task: Api(walter).get(f"/api/me/tasks/{task.pk}")),
    ("tasks_task_uid", lambda walter, task: Api(walter).get(f"/api/me/tasks/by-uid/{task.uid}")),
    ("tasks_task_uid", lambda walter, task: Api(walter).post("/api/me/tasks", {"title": "A", "uid": task.uid})),
    ("tasks_task_trash", lambda walter, task: list(Task.objects.for_user(walter).deleted().order_by("-deleted_at"))),
]


def statement(user: User, query: str) -> str:
    (sql,) = statements(lambda: Api(user).get(f"/api/me/tasks?limit=20&{query}"))
    return sql


@pytest.mark.parametrize(("index", "query"), LISTS)
def test_a_list_is_read_with_its_index(walter: User, index: str, query: str) -> None:
    assert indexes(walter, statement(walter, query)) == {index}


@pytest.fixture
def places(walter: User) -> dict[str, int]:
    """Of walter's 3,000 tasks a tenth is in a project, and 20 are within one; most others are in a second project."""
    project, other = (make_project(walter).pk for _ in range(2))
    tasks = Task.objects.for_user(walter).order_by("pk")
    parent = tasks[100].pk
    with connection.cursor() as cursor:
        # By their places among walter's: their ids are all odd, or all even.
        cursor.execute(
            "UPDATE tasks_task SET project_id = CASE WHEN place %% 10 = 0 THEN %s ELSE %s END,"
            " position = 'a' || place %% 97"
            " FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM tasks_task WHERE user_id = %s) AS own"
            " WHERE own.id = tasks_task.id AND place %% 20 <> 1",
            [project, other, walter.pk],
        )
        children = [task.pk for task in tasks[200:220]]
        cursor.execute("UPDATE tasks_task SET parent_id = %s WHERE id = ANY(%s)", [parent, children])
        cursor.execute("ANALYZE tasks_task, projects_project")
    return {"project": project, "parent": parent}


def test_a_list_of_a_place_is_read_with_its_index(walter: User, places: dict[str, int]) -> None:
    """One test, as each that fills the table anew leaves larger indexes to the next."""
    for index, query in PLACES:
        found = indexes(walter, statement(walter, query.format(**places)))
        assert {name for name in found if name.startswith("tasks_")} == {index}, query


def test_a_page_of_a_place_begins_where_the_last_one_ended(walter: User, places: dict[str, int]) -> None:
    for _, place in PLACES:
        if "project=active" in place:
            continue  # the order of all tasks
        query = place.format(**places)
        cursor = re.search(r"cursor=([^&>]+)", Api(walter).get(f"/api/me/tasks?limit=10&{query}")["Link"])
        assert cursor
        found = list(nodes(explain(walter, statement(walter, f"{query}&cursor={cursor[1]}"))["Plan"]))
        assert [node["Node Type"] for node in found if "Sort" in node["Node Type"]] == []
        assert ["ROW(" in node["Index Cond"] for node in found if "Index Cond" in node] == [True], query


def test_a_tree_is_looked_up_from_its_root(walter: User, places: dict[str, int]) -> None:
    found = list(nodes(explain(walter, statement(walter, f"root={places['parent']}&sort=position"))["Plan"]))
    names = {node["Index Name"] for node in found if "Index Name" in node}
    assert (
        {"tasks_task_own", "tasks_task_parent"} <= names <= {"tasks_task_own", "tasks_task_parent", "tasks_task_pkey"}
    )
    assert [node for node in found if node["Node Type"] == "Seq Scan"] == []


@pytest.mark.django_db(transaction=True)
def test_counts_come_out_of_the_indexes_alone(walter: User) -> None:
    """But for the spelling of tags, which is that of a few tasks."""
    with connection.cursor() as cursor:
        for table in ("tasks_task", "tasks_tasktag"):
            cursor.execute(f"VACUUM (ANALYZE) {table}")  # only then an index knows which rows are visible to all
    used = [
        {
            (node["Node Type"], node["Index Name"])
            for node in nodes(explain(walter, sql)["Plan"])
            if "Index Name" in node
        }
        for sql in statements(lambda: Api(walter).get("/api/me/counts"))
    ]
    by_project, due, by_tag = used
    assert by_project == {("Index Only Scan", "tasks_task_status")}
    assert due == {("Index Only Scan", "tasks_task_open")}
    assert ("Index Only Scan", "tasks_tasktag_pkey") in by_tag
    assert {name for kind, name in by_tag if kind != "Index Only Scan"} <= {"tasks_task_pkey", "tasks_task_own"}


BY_ID = {"tasks_task_pkey", "tasks_task_own"}  # both unique: they cost the same


@pytest.mark.parametrize(("index", "call"), OTHERS)
def test_other_reads_are_looked_up_in_an_index(walter: User, index: str, call: Callable[[User, Task], Any]) -> None:
    task = Task.objects.for_user(walter)[100]
    (sql,) = statements(lambda: call(walter, task))
    (used,) = {name for name in indexes(walter, sql) if name.startswith("tasks_")}
    assert used == index or {used, index} == BY_ID


@pytest.mark.parametrize("sort", SORTS)
def test_a_page_begins_where_the_last_one_ended(walter: User, sort: str) -> None:
    """The index is entered at the cursor, not read up to it; nothing is sorted."""
    link = Api(walter).get(f"/api/me/tasks?limit=20&sort={sort}")["Link"]
    cursor = re.search(r"cursor=([^&>]+)", link)
    assert cursor
    found = list(nodes(explain(walter, statement(walter, f"sort={sort}&cursor={cursor[1]}"))["Plan"]))
    assert [node["Node Type"] for node in found if node["Node Type"] in ("Sort", "Incremental Sort")] == []
    assert ["ROW(" in node["Index Cond"] for node in found if "Index Cond" in node] == [True]


@pytest.fixture
def busy_walter(walter: User) -> User:
    """With 12,000 tasks: of fewer than 6,000, PostgreSQL rather sorts all that have a common tag."""
    columns = (
        "title, description, status, completed_at, priority, tags, tag_keys, created_at, updated_at, version,"
        " search_text, title_key"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO tasks_task (user_id, uid, {columns})"
            f" SELECT {walter.pk}, time || ' ' || id, {columns} FROM tasks_task, generate_series(1, 3) AS time"
            f" WHERE user_id = {walter.pk}"
        )
        cursor.execute("ANALYZE tasks_task, tasks_tasktag")
    return walter


def test_tags_are_read_with_their_index_in_the_default_order(busy_walter: User) -> None:
    """However rare they are: neither all tasks of the user are read, nor all of the tag. Nothing is sorted."""
    for tags in ([COMMON_TAG], [RARE_TAG], [RARE_TAG, COMMON_TAG]):
        for sort in ("created", "-created"):
            query = "&".join([f"sort={sort}", *(f"tag={tag}" for tag in tags)])
            found = list(nodes(explain(busy_walter, statement(busy_walter, query))["Plan"]))
            kinds = {node["Node Type"] for node in found}
            assert [kind for kind in kinds if "Sort" in kind or "Gather" in kind] == [], query
            first = next(node for node in found if "Index Name" in node)
            assert first["Index Name"] == "tasks_tasktag_pkey"
            assert "tag_key = " in first["Index Cond"]


def test_many_tags_take_no_longer_to_plan_than_a_few(walter: User) -> None:
    """All must match, and a few are looked up: PostgreSQL plans twenty joins for a twentieth of a second."""
    tags = [COMMON_TAG, *(f"no-{number}" for number in range(19))]
    sql = statement(walter, "&".join(f"tag={tag}" for tag in tags))
    assert sql.count(" JOIN ") == MAX_LOOKED_UP
    assert all(tag in sql for tag in tags)


def test_a_page_of_a_tag_begins_where_the_last_one_ended(busy_walter: User) -> None:
    for sort in ("created", "-created"):
        query = f"tag={COMMON_TAG}&sort={sort}"
        cursor = re.search(r"cursor=([^&>]+)", Api(busy_walter).get(f"/api/me/tasks?limit=20&{query}")["Link"])
        assert cursor
        found = nodes(explain(busy_walter, statement(busy_walter, f"{query}&cursor={cursor[1]}"))["Plan"])
        assert next("ROW(" in node["Index Cond"] for node in found if "Index Name" in node), sort


def test_what_is_due_later_is_not_read_to_find_what_is_overdue(walter: User) -> None:
    found = nodes(explain(walter, statement(walter, "overdue=true&sort=due_date"))["Plan"])
    assert [" < '" in node["Index Cond"] for node in found if "Index Cond" in node] == [True]


def test_the_trash_is_read_with_its_index(walter: User) -> None:
    """In its order, from the place where the last page ended; nothing is sorted."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tasks_task SET deleted_at = now() - interval '1 minute' * id WHERE id % 3 = 0")
        cursor.execute("ANALYZE tasks_task")
    api, path = Api(walter), "/api/me/trash?limit=20"
    cursor_of_first = re.search(r"cursor=([^&>]+)", api.get(path)["Link"])
    assert cursor_of_first
    for query in ("", f"&cursor={cursor_of_first[1]}"):
        (sql,) = statements(lambda query=query: api.get(path + query))  # type: ignore[misc]
        found = list(nodes(explain(walter, sql)["Plan"]))
        assert [node["Node Type"] for node in found if "Sort" in node["Node Type"]] == []
        (index,) = [node for node in found if "Index Name" in node]
        assert index["Index Name"] == "tasks_task_trash"
        assert ("ROW(" in index["Index Cond"]) == bool(query)


def test_no_index_is_there_for_nothing(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexname FROM pg_indexes WHERE tablename IN ('tasks_task', 'tasks_tasktag')")
        names = {name for (name,) in cursor.fetchall()}
    # `own` also makes references possible, and no tree is found without it.
    assert names == {
        "tasks_tasktag_pkey",
        "tasks_task_trash",
        "tasks_task_own",
        *(index for index, _ in (*LISTS, *PLACES, *OTHERS)),
    }
