from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class AddIndexAgain(AddIndexConcurrently):
    """Takes away first what an earlier attempt, cut off, has left behind."""

    def database_forwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        self._ensure_not_in_transaction(schema_editor)
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.index.name}")
        super().database_forwards(app_label, schema_editor, *states)


class Migration(migrations.Migration):
    """Sign-ups and active users come out of the indexes alone, and the staff's lists in their order."""

    atomic = False

    dependencies = [("users", "0010_second_factor")]

    operations = [
        AddIndexAgain("user", models.Index(fields=["created_at", "id"], name="users_user_created")),
        AddIndexAgain(
            "session",
            models.Index(fields=["last_used_at", "id"], include=["user"], name="users_session_last_used"),
        ),
    ]
