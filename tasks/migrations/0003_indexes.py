from typing import Any

from django.db import migrations
from django.db.models import F, Func, Index, IntegerField, OrderBy, Q

from tasks.migrations._indexes import AddIndexAnew


def live(name: str, *columns: Any, **only: Any) -> AddIndexAnew:
    condition = Q(("deleted_at", None), *only.items())
    return AddIndexAnew("task", Index(F("user"), *columns, name=f"tasks_task_{name}", condition=condition))


def due(absent: str) -> Func:
    template = f"(CASE WHEN %(expressions)s IS NULL THEN DATE '{absent}' ELSE %(expressions)s END)"
    return Func(F("due_date"), template=template)


RANK = "(CASE %(expressions)s WHEN 'low' THEN 0 WHEN 'medium' THEN 1 WHEN 'high' THEN 2 END)"


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("tasks", "0002_isolation")]

    operations = [
        live("status", F("status"), OrderBy(F("created_at"), descending=True), OrderBy(F("id"), descending=True)),
        live("updated", F("updated_at"), F("id")),
        AddIndexAnew("task", Index(F("user"), due("9999-12-31"), F("id"), name="tasks_task_due")),
        live("due_desc", due("0001-01-01"), F("id")),
        live("priority", Func(F("priority"), output_field=IntegerField(), template=RANK), F("id")),
        live("title", F("title_key"), F("id")),
        live("open", due("9999-12-31"), F("id"), status__in=("pending", "in_progress")),
    ]
