"""What the indexes of tasks cost: room, and time and log of each write."""

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import connection, transaction

from config.database.isolation import all_users, as_user
from tasks import services
from tasks.models import Task
from tests.plans import explain, statements
from users.models import User


def sizes() -> list[list[str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, round(pg_relation_size(oid) / 1e6) FROM pg_class WHERE oid = ANY (%(tables)s::regclass[])"
            " OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = ANY (%(tables)s::regclass[]))"
            " ORDER BY 2 DESC",
            {"tables": ["tasks_task", "tasks_tasktag", "users_change"]},
        )
        return [[name, str(size)] for name, size in cursor.fetchall()]


def writes(repeats: int) -> list[list[str]]:
    """With all indexes, without each, and without all of them; by a user whose reads nobody measures."""
    user = User.objects.order_by("pk").reverse()[0]
    names = [index.name for index in Task._meta.indexes]
    without = {"none": [], **{name: [name] for name in names}, "all of these": names}
    return [[what, *_cost(user, dropped, repeats)] for what, dropped in without.items()]


def _cost(user: User, dropped: list[str], repeats: int) -> list[str]:
    with transaction.atomic():
        with all_users(), connection.cursor() as cursor:
            for name in dropped:
                cursor.execute(f"DROP INDEX {name}")
        create = partial(services.create_task, user, title="Call them")
        tasks = [create() for _ in range(repeats)]
        inserted = [_write(user, create) for _ in tasks]
        completed = [_write(user, partial(services.complete_task, user, task.pk)) for task in tasks]
        transaction.set_rollback(True)
    return [*_summary(inserted), *_summary(completed)]


def _write(user: User, call: Callable[[], Any]) -> tuple[int, float]:
    """WAL bytes and milliseconds of the statement, which is undone, explained and undone again.

    It takes the number, writes the row and appends to the log.
    """
    with transaction.atomic():
        with as_user(user.pk):
            (sql,) = statements(call, "WITH")
        transaction.set_rollback(True)
    with transaction.atomic():
        explained = explain(user, sql, "ANALYZE, WAL, TIMING OFF")
        transaction.set_rollback(True)
    return explained["Plan"]["WAL Bytes"], explained["Execution Time"]


def _summary(costs: list[tuple[int, float]]) -> list[str]:
    """The least of the bytes: those of a statement that meets no page for the first time since a checkpoint."""
    logged, times = zip(*costs, strict=True)
    return [str(min(logged)), f"{statistics.median(times):.3f}"]
