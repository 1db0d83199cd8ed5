"""The SQL that requests run most, made once: querysets say what is read, the model which columns are written."""

from functools import lru_cache

from django.db import connection

from config.database.compiled import Compiled, Given, Query, Raw
from tasks.models import Task

_TASK = Compiled(lambda: Task.objects.for_user(Given("user")).visible().shown().filter(pk=Given("id")))
_LOCKED = Compiled(lambda: Task.objects.for_user(Given("user")).visible().filter(pk=Given("id")).select_for_update())

_LOCKED_TOMBSTONE = Compiled(
    lambda: Task.objects.for_user(Given("user")).deleted().filter(pk=Given("id")).select_for_update()
)


def get(user_id: int, task_id: int) -> Query[Task]:
    return _TASK.given(user=user_id, id=task_id)


def lock(user_id: int, task_id: int) -> Query[Task]:
    return _LOCKED.given(user=user_id, id=task_id)


def lock_tombstone(user_id: int, task_id: int) -> Query[Task]:
    return _LOCKED_TOMBSTONE.given(user=user_id, id=task_id)


def insert(task: Task) -> Raw:
    """Returns the id. The version is the head of the feed, which the transaction has advanced."""
    sql, names = _insertion()
    return Raw(sql, [*(getattr(task, name) for name in names), task.user_id])


def update(task: Task, fields: list[str]) -> Raw:
    values = [getattr(task, name) for name in fields]
    return Raw(_change(tuple(fields)), [*values, task.pk, task.user_id])


@lru_cache(maxsize=1)
def _insertion() -> tuple[str, tuple[str, ...]]:
    fields = {
        field.attname: field.db_type(connection)
        for field in Task._meta.concrete_fields
        if field.attname not in ("id", "version")
    }
    columns, values = ", ".join(fields), ", ".join(f"%s::{kind}" for kind in fields.values())
    source = f"SELECT {values}, head FROM tasks_feed WHERE user_id = %s"  # nosec B608: names of the model's
    return f"INSERT INTO tasks_task ({columns}, version) {source} RETURNING id", tuple(fields)  # nosec B608


@lru_cache(maxsize=256)
def _change(fields: tuple[str, ...]) -> str:
    assignments = ", ".join(f"{name} = %s" for name in fields)  # Task's fields are named as their columns
    return f"UPDATE tasks_task SET {assignments} WHERE id = %s AND user_id = %s RETURNING id"  # nosec B608: as above
