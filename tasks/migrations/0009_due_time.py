from typing import Any

from django.db import migrations
from django.db.models import F, Func, Index, Q

from tasks.migrations._indexes import ReplaceIndex


def otherwise(column: str, absent: str) -> Func:
    return Func(F(column), template=f"(CASE WHEN %(expressions)s IS NULL THEN {absent} ELSE %(expressions)s END)")


def due(name: str, never: str, **options: Any) -> ReplaceIndex:
    day, time = otherwise("due_date", f"DATE '{never}'"), otherwise("due_at", "TIMESTAMPTZ '9999-12-31 00:00:00+00:00'")
    return ReplaceIndex("task", Index(F("user"), day, time, F("id"), name=f"tasks_task_{name}", **options))


class Migration(migrations.Migration):
    """Within a day, tasks are listed by time."""

    atomic = False

    dependencies = [("tasks", "0008_validate_descriptions")]

    operations = [
        due("due", "9999-12-31"),
        due("due_desc", "0001-01-01", condition=Q(deleted_at=None)),
        due(
            "open",
            "9999-12-31",
            include=("priority", "due_date", "due_at", "created_at"),
            condition=Q(deleted_at=None, status__in=("pending", "in_progress")),
        ),
    ]
