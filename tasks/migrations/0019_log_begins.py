from typing import Any

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations, models

from tasks.migrations._indexes import AddIndexAnew

FEW = 1000  # feeds, whose writers wait for a statement
RAISE = """
    UPDATE tasks_feed SET floor = head WHERE floor < head AND user_id > %s AND user_id <= %s
"""


def raise_floors(apps: Any, schema_editor: Any) -> None:
    """What was changed before is not in the log, so a cursor from before is too old."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(user_id), 0) FROM tasks_feed")
        ((last,),) = cursor.fetchall()
        for after in range(0, last, FEW):
            cursor.execute(RAISE, [after, after + FEW])


class Migration(migrations.Migration):
    """Outside of a transaction, while the service reads and writes; can be interrupted and run again."""

    atomic = False

    dependencies = [("tasks", "0018_log")]

    operations = [
        ValidateConstraint("task", "tasks_task_valid"),
        AddIndexAnew(
            "task",
            models.Index(
                models.F("user"),
                models.OrderBy(models.F("deleted_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("deleted_at__isnull", False)),
                name="tasks_task_trash",
            ),
        ),
        migrations.RunPython(raise_floors, migrations.RunPython.noop),
    ]
