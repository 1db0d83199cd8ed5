from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Sign-ups and active users come out of the indexes alone, and the staff's lists in their order."""

    atomic = False

    dependencies = [("users", "0010_second_factor")]

    operations = [
        AddIndexConcurrently("user", models.Index(fields=["created_at", "id"], name="users_user_created")),
        AddIndexConcurrently(
            "session",
            models.Index(fields=["last_used_at", "id"], include=["user"], name="users_session_last_used"),
        ),
    ]
