"""The SQL that requests run most, made once: querysets say what is read, the model which columns are written."""

import datetime as dt
from functools import lru_cache
from typing import NamedTuple

from django.db import connection
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from config.database.pipeline import Rows, Statement
from config.database.queries import Compiled, Given, Query, Raw
from tasks.models import Task
from tasks.querysets import TaskQuerySet

_TASK = Compiled(lambda: Task.objects.for_user(Given("user")).visible().shown().filter(pk=Given("id")))


def _locked(tasks: TaskQuerySet) -> TaskQuerySet:
    """Only once the number is taken: without the condition, a plan might lock the task before the feed."""
    is_taken = RawSQL("taken.head > 0", [], BooleanField())
    return tasks.filter(is_taken, pk=Given("id")).select_for_update()


_LOCKED = Compiled(lambda: _locked(Task.objects.for_user(Given("user")).visible()))
_LOCKED_TOMBSTONE = Compiled(lambda: _locked(Task.objects.for_user(Given("user")).deleted()))

_SET_DAYS = """
    UPDATE tasks_task AS task SET due_date = moved.day, version = %s + moved.number, updated_at = %s
    FROM unnest(%s::bigint[], %s::date[]) WITH ORDINALITY AS moved (id, day, number)
    WHERE task.id = moved.id AND task.user_id = %s
"""


def get(user_id: int, task_id: int) -> Query[Task]:
    return _TASK.given(user=user_id, id=task_id)


class Locking(NamedTuple):
    """For `feed.advance`: the number, and the task under its lock if there is one."""

    query: Query[Task]

    @property
    def statement(self) -> Statement:
        sql, params = self.query.statement
        locked = f"SELECT taken.head, found.* FROM taken LEFT JOIN LATERAL ({sql}) AS found ON true"  # nosec B608
        return locked, params

    def result(self, rows: Rows) -> list[tuple[int, Task | None]]:
        return [(row[0], self.query.result([row[1:]])[0] if row[1] else None) for row in rows]


def lock(user_id: int, task_id: int) -> Locking:
    return Locking(_LOCKED.given(user=user_id, id=task_id))


def lock_tombstone(user_id: int, task_id: int) -> Locking:
    return Locking(_LOCKED_TOMBSTONE.given(user=user_id, id=task_id))


def insert(task: Task) -> Raw:
    """For `feed.advance`: the number, and the new task's id."""
    sql, names = _insertion()
    return Raw(sql, [getattr(task, name) for name in names])


def update(task: Task, fields: list[str]) -> Raw:
    values = [getattr(task, name) for name in fields]
    return Raw(_change(tuple(fields)), [*values, task.pk, task.user_id])


def set_days(user_id: int, days: dict[int, dt.date], version: int, now: dt.datetime) -> Raw:
    """The due dates of these tasks, which take the versions behind this one in their order."""
    return Raw(_SET_DAYS, [version, now, list(days), list(days.values()), user_id])


@lru_cache(maxsize=1)
def _insertion() -> tuple[str, tuple[str, ...]]:
    fields = {
        field.attname: field.db_type(connection)
        for field in Task._meta.concrete_fields
        if field.attname not in ("id", "version")
    }
    columns, values = ", ".join(fields), ", ".join(f"%s::{kind}" for kind in fields.values())
    source = f"SELECT {values}, taken.head FROM taken"  # nosec B608: names of the model's
    return f"INSERT INTO tasks_task ({columns}, version) {source} RETURNING version, id", tuple(fields)  # nosec B608


@lru_cache(maxsize=256)
def _change(fields: tuple[str, ...]) -> str:
    assignments = ", ".join(f"{name} = %s" for name in fields)  # Task's fields are named as their columns
    return f"UPDATE tasks_task SET {assignments} WHERE id = %s AND user_id = %s RETURNING id"  # nosec B608: as above
