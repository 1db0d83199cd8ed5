import json
from contextlib import suppress
from typing import Any

from django.db import IntegrityError, migrations, transaction

from config.database.isolation import all_users
from config.database.transactions import retried_transaction
from config.values import nfc
from tasks.text import UNIT_SEPARATOR, fold_all, tag_key

BATCH = 1000
SET = """
UPDATE tasks_task AS task
SET search_text = folded.search_text, title_key = folded.title_key, tag_keys = folded.tag_keys
FROM json_to_recordset(%s) AS folded (id bigint, search_text text, title_key text, tag_keys text[])
WHERE task.id = folded.id
"""


@all_users()
def fold_anew(apps: Any, schema_editor: Any) -> None:
    """Search, order and tags of existing tasks follow the new folding; the service may go on meanwhile.

    Two tags of one task that are one by now both stay until a user changes them. No version is taken: apart from
    a `uid` in NFC, which names the same task, clients see nothing new.
    """
    last: int | None = 0
    while last is not None:
        last = fold_batch(apps.get_model("tasks", "Task"), schema_editor.connection, last)


@retried_transaction
def fold_batch(task_model: Any, connection: Any, after: int) -> int | None:
    """The next tasks behind this id; returns the last one's."""
    tasks = list(task_model.objects.filter(pk__gt=after).order_by("pk").select_for_update()[:BATCH])
    rows = [row for task in tasks if (row := folded(task))]
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(SET, [json.dumps(rows)])
    for task in tasks:
        if (uid := nfc(task.uid)) != task.uid:
            # Where another task of the user has it, or it is too long, the uid stays as it is.
            with suppress(IntegrityError), transaction.atomic():
                task_model.objects.filter(pk=task.pk).update(uid=uid)
    return tasks[-1].pk if tasks else None


def folded(task: Any) -> dict[str, Any] | None:
    """The columns that follow from the texts; None if they would only be separated in another way."""
    search_text = fold_all([task.title, task.description, *task.tags], {})
    title_key = search_text.partition(UNIT_SEPARATOR)[0][:200]
    if not task.tags and (task.search_text, task.title_key) == (search_text.replace(UNIT_SEPARATOR, "\n"), title_key):
        return None
    tag_keys = [tag_key(tag) for tag in task.tags]
    return {"id": task.pk, "search_text": search_text, "title_key": title_key, "tag_keys": tag_keys}


class Migration(migrations.Migration):
    # A transaction for each batch.
    atomic = False

    dependencies = [("tasks", "0010_tag_keys")]

    # On the way back a text in another script's digits is found again with its next change.
    operations = [migrations.RunPython(fold_anew, migrations.RunPython.noop, elidable=True)]
