"""Trees of tasks, as tests write them down, and what must hold of every tree."""

from typing import Any

from django.db import connection

from tasks.models import Task
from tests.factories import head_of, make_task
from users.models import Change, User

Shape = dict[str, Any]  # by title, what is within it


def plant(user: User, shape: Shape, **fields: Any) -> dict[str, Task]:
    """The tasks by their titles; `fields` are those of the roots."""
    tasks: dict[str, Task] = {}
    for title, within in shape.items():
        tasks[title] = make_task(user, title=title, **fields)
        tasks |= plant(user, within, parent_id=tasks[title].pk)
    return tasks


def chain(user: User, levels: int, **fields: Any) -> list[Task]:
    """Each within the one before."""
    tasks: list[Task] = []
    for _ in range(levels):
        tasks.append(make_task(user, **(fields if not tasks else {"parent_id": tasks[-1].pk})))
    return tasks


def columns(tasks: dict[str, Task], *names: str) -> dict[str, Any]:
    """As stored, by title; of one column its value, else a tuple."""
    rows: Any = Task.objects.in_bulk([task.pk for task in tasks.values()])
    found = {title: tuple(getattr(rows[task.pk], name) for name in names) for title, task in tasks.items()}
    return {title: values[0] if len(names) == 1 else values for title, values in found.items()}


def statuses(tasks: dict[str, Task]) -> dict[str, str]:
    return columns(tasks, "status")


def gone(tasks: dict[str, Task]) -> str:
    """The titles of those in the trash."""
    return "".join(title for title, at in columns(tasks, "deleted_at").items() if at is not None)


def last_operation(user: User) -> dict[tuple[str, int], str]:
    """The kinds of its entries by object; one of each."""
    entries = list(Change.objects.filter(user=user, operation=head_of(user)))
    assert len(entries) == len({(entry.type, entry.object_id) for entry in entries})
    return {(entry.type, entry.object_id): entry.kind for entry in entries}


# What must never be: of each, a query of rows.
_FORBIDDEN = {
    "a cycle, or too deep": """
        WITH RECURSIVE below AS (
            SELECT id, 1 AS level FROM {table} WHERE deleted_at IS NULL
            UNION ALL SELECT child.id, level + 1 FROM below JOIN {table} AS child ON parent_id = below.id
                AND deleted_at IS NULL WHERE level <= {most}
        ) SELECT id FROM below WHERE level > {most}
    """,
    "an orphan": """
        SELECT row.id FROM {table} AS row JOIN {table} AS parent ON parent.id = row.parent_id
        WHERE row.deleted_at IS NULL AND parent.deleted_at IS NOT NULL
    """,
    "another's parent": """
        SELECT row.id FROM {table} AS row JOIN {table} AS parent ON parent.id = row.parent_id
        WHERE row.user_id <> parent.user_id
    """,
}
_OF_TASKS = {
    "another project than its parent's": """
        SELECT row.id FROM tasks_task AS row JOIN tasks_task AS parent ON parent.id = row.parent_id
        WHERE row.deleted_at IS NULL AND row.project_id IS DISTINCT FROM parent.project_id
    """,
    "in a project in the trash": """
        SELECT row.id FROM tasks_task AS row JOIN projects_project AS project ON project.id = row.project_id
        WHERE row.deleted_at IS NULL AND (project.deleted_at IS NOT NULL OR project.user_id <> row.user_id)
    """,
}


def violations() -> dict[str, list[int]]:
    """Of all that is stored, what breaks a rule of trees; none."""
    queries = {
        **{f"task: {name}": sql.format(table="tasks_task", most=5) for name, sql in _FORBIDDEN.items()},
        **{f"project: {name}": sql.format(table="projects_project", most=4) for name, sql in _FORBIDDEN.items()},
        **_OF_TASKS,
    }
    found = {}
    with connection.cursor() as cursor:
        for name, sql in queries.items():
            cursor.execute(sql)
            if rows := [pk for (pk,) in cursor.fetchall()]:
                found[name] = sorted(set(rows))
    return found
