from typing import Any

from django.db import migrations, models

from config.database.isolation import all_users
from config.database.transactions import retried_transaction
from tasks.migrations._indexes import AddIndexAnew, AddUniqueAnew, ReplaceIndex

BATCH = 2_000  # ids; whoever writes one of these tasks waits
# No change that a client would have to know of: nothing depends on positions yet.
FILL = """
UPDATE tasks_task SET position = tasks_position(created_at) WHERE id > %s AND id <= %s AND position = 'a0'
"""


@all_users()
def fill(apps: Any, schema_editor: Any) -> None:
    """In the order of creation; the service may go on meanwhile, and an interrupted run begins again."""
    last = apps.get_model("tasks", "Task").objects.order_by("pk").values_list("pk", flat=True).last() or 0
    for after in range(0, last, BATCH):
        fill_batch(schema_editor.connection, after)


@retried_transaction
def fill_batch(connection: Any, after: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(FILL, [after, after + BATCH])


def newest_first(name: str, *columns: Any, **condition: Any) -> AddIndexAnew:
    order = [models.OrderBy(models.F("created_at"), descending=True), models.OrderBy(models.F("id"), descending=True)]
    return AddIndexAnew(
        "task", models.Index(*map(models.F, columns), *order, name=name, condition=models.Q(*condition.items()))
    )


def in_order(name: str, column: str) -> AddIndexAnew:
    columns = [models.F(each) for each in ("user", column, "position", "id")]
    condition = models.Q((f"{column}__isnull", False))
    return AddIndexAnew("task", models.Index(*columns, name=name, condition=condition))


def counted(name: str, *columns: Any, include: tuple[str, ...], **only: Any) -> ReplaceIndex:
    """With the project, so that what is counted by project comes out of the index alone."""
    condition = models.Q(deleted_at=None, **only)
    return ReplaceIndex(
        "task",
        models.Index(models.F("user"), *columns, name=f"tasks_task_{name}", include=include, condition=condition),
    )


def otherwise(column: str, absent: str) -> models.Func:
    template = f"(CASE WHEN %(expressions)s IS NULL THEN {absent} ELSE %(expressions)s END)"
    return models.Func(models.F(column), template=template)


class Migration(migrations.Migration):
    """Before the indexes on positions, which the filling would write. A transaction for each batch."""

    atomic = False

    dependencies = [("tasks", "0020_places")]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
        newest_first("tasks_task_inbox", "user", deleted_at=None, project=None),
        AddIndexAnew(
            "task",
            models.Index(
                *map(models.F, ("user", "position", "id")),
                name="tasks_task_inbox_place",
                condition=models.Q(deleted_at=None, project=None),
            ),
        ),
        newest_first("tasks_task_project", "user", "project", project__isnull=False),
        in_order("tasks_task_place", "project"),
        in_order("tasks_task_parent", "parent"),
        counted(
            "status",
            models.F("status"),
            models.OrderBy(models.F("created_at"), descending=True),
            models.OrderBy(models.F("id"), descending=True),
            include=("completed_at", "project"),
        ),
        counted(
            "open",
            otherwise("due_date", "DATE '9999-12-31'"),
            otherwise("due_at", "TIMESTAMPTZ '9999-12-31 00:00:00+00:00'"),
            models.F("id"),
            include=("priority", "due_date", "due_at", "created_at", "project"),
            status__in=("pending", "in_progress"),
        ),
        AddUniqueAnew("task", models.UniqueConstraint(fields=("user", "id"), name="tasks_task_own")),
    ]
