from typing import Any

from django.db import migrations
from django.db.models import F, Func, Index, OrderBy, Q

from tasks.migrations._indexes import ReplaceIndex


def live(name: str, *columns: Any, include: tuple[str, ...], **only: Any) -> ReplaceIndex:
    condition = Q(("deleted_at", None), *only.items())
    index = Index(F("user"), *columns, name=f"tasks_task_{name}", include=include, condition=condition)
    return ReplaceIndex("task", index)


NO_DATE = "(CASE WHEN %(expressions)s IS NULL THEN DATE '9999-12-31' ELSE %(expressions)s END)"


class Migration(migrations.Migration):
    """What the staff's dashboard counts comes out of the indexes alone: PostgreSQL need not read the tasks."""

    atomic = False

    dependencies = [("tasks", "0005_roles")]

    operations = [
        live(
            "status",
            F("status"),
            OrderBy(F("created_at"), descending=True),
            OrderBy(F("id"), descending=True),
            include=("completed_at",),
        ),
        live(
            "open",
            Func(F("due_date"), template=NO_DATE),
            F("id"),
            include=("priority", "due_date", "due_at", "created_at"),
            status__in=("pending", "in_progress"),
        ),
    ]
