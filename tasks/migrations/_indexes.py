"""What several migrations do with indexes."""

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db.migrations import AddConstraint


class AddIndexAnew(AddIndexConcurrently):
    """Writes go on meanwhile. What an interrupted run left, which may be invalid, is built again."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._ensure_not_in_transaction(schema_editor)
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.index.name}")
        super().database_forwards(app_label, schema_editor, from_state, to_state)


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


class AddUniqueAnew(AddConstraint):
    """A unique constraint, on an index that is built while writes go on."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        table, name = model._meta.db_table, self.constraint.name
        columns = ", ".join(model._meta.get_field(field).column for field in self.constraint.fields)  # type: ignore[attr-defined]
        schema_editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        schema_editor.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} ({columns})")
        schema_editor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}")
