from django.db import migrations
from django.db.models import F, Func, Index, Q

from tasks.migrations._indexes import ReplaceIndex

NO_DATE = "(CASE WHEN %(expressions)s IS NULL THEN DATE '9999-12-31' ELSE %(expressions)s END)"
NO_TIME = "(CASE WHEN %(expressions)s IS NULL THEN TIMESTAMPTZ '9999-12-31 00:00:00+00:00' ELSE %(expressions)s END)"


class Migration(migrations.Migration):
    """What the staff's dashboard counts of projects comes out of the index, too."""

    atomic = False

    dependencies = [("tasks", "0023_validate_references")]

    operations = [
        ReplaceIndex(
            "task",
            Index(
                F("user"),
                Func(F("due_date"), template=NO_DATE),
                Func(F("due_at"), template=NO_TIME),
                F("id"),
                name="tasks_task_open",
                include=("priority", "due_date", "due_at", "created_at", "project"),
                condition=Q(("deleted_at", None), ("status__in", ("pending", "in_progress"))),
            ),
        )
    ]
