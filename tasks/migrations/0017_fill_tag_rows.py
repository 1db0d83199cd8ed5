from typing import Any

from django.db import migrations

from config.database.isolation import all_users
from config.database.transactions import retried_transaction

BATCH = 10_000  # ids
# Locked, so that no tag is taken away meanwhile. What is written from now on, the trigger has entered already.
FILL = """
INSERT INTO tasks_tasktag (user_id, tag_key, created_at, task_id)
SELECT DISTINCT user_id, unnest(tag_keys), created_at, id FROM (
    SELECT user_id, tag_keys, created_at, id FROM tasks_task
    WHERE id > %(after)s AND id <= %(after)s + %(batch)s AND tag_keys <> '{}' FOR SHARE
) AS tagged
ON CONFLICT DO NOTHING
"""


@all_users()
def fill(apps: Any, schema_editor: Any) -> None:
    """The tags of existing tasks; the service may go on meanwhile, and an interrupted run begins again."""
    last = apps.get_model("tasks", "Task").objects.order_by("pk").values_list("pk", flat=True).last() or 0
    for after in range(0, last, BATCH):
        fill_batch(schema_editor.connection, after)


@retried_transaction
def fill_batch(connection: Any, after: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"after": after, "batch": BATCH})


class Migration(migrations.Migration):
    # A transaction for each batch.
    atomic = False

    dependencies = [("tasks", "0016_tag_rows")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop, elidable=True)]
