from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations
from django.db.models import F, Func, Index, OrderBy, Q


class ReplaceIndex(AddIndexConcurrently):
    """Built beside the old one of its name, whose place it then takes: no list is without an index meanwhile."""

    def state_forwards(self, app_label: str, state: Any) -> None:
        state.remove_index(app_label, self.model_name_lower, self.index.name)
        super().state_forwards(app_label, state)

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._ensure_not_in_transaction(schema_editor)
        model = to_state.apps.get_model(app_label, self.model_name)
        (index,) = [each for each in model._meta.indexes if each.name == self.index.name]
        building = index.clone()
        building.name = f"{index.name}_new"
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {building.name}")
        schema_editor.add_index(model, building, concurrently=True)
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}")
        schema_editor.execute(f"ALTER INDEX {building.name} RENAME TO {index.name}")

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self.database_forwards(app_label, schema_editor, from_state, to_state)


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
