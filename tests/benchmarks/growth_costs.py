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

WRITES = 200


def sizes() -> list[list[str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, round(pg_relation_size(oid) / 1e6) FROM pg_class WHERE oid = ANY (%(tables)s::regclass[])"
            " OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = ANY (%(tables)s::regclass[]))"
            " ORDER BY 2 DESC",
            {"tables": ["tasks_task", "tasks_tasktag"]},
        )
        return [[name, str(size)] for name, size in cursor.fetchall()]


def writes() -> list[list[str]]:
    """With all indexes, without each, and without all of them; by a user whose reads nobody measures."""
    user = User.objects.order_by("pk").reverse()[0]
    names = [index.name for index in Task._meta.indexes]
    without = {"none": [], **{name: [name] for name in names}, "all of these": names}
    return [[what, *_cost(user, dropped)] for what, dropped in without.items()]


def _cost(user: User, dropped: list[str]) -> list[str]:
    with transaction.atomic():
        with all_users(), connection.cursor() as cursor:
            for name in dropped:
                cursor.execute(f"DROP INDEX {name}")
        tasks = list(Task.objects.for_user(user).visible().pending()[:WRITES])
        inserted = [_write(user, "WITH", lambda: services.create_task(user, title="Call them")) for _ in tasks]
        completed = [_write(user, "UPDATE", partial(services.complete_task, user, task.pk)) for task in tasks]
        transaction.set_rollback(True)
    return [*_summary(inserted), *_summary(completed)]


def _write(user: User, verb: str, call: Callable[[], Any]) -> tuple[int, float]:
    """WAL bytes and milliseconds of the statement, which is undone, explained and undone again.

    A new task's statement takes its number, too.
    """
    with transaction.atomic():
        with as_user(user.pk):
            (sql,) = statements(call, verb)
        transaction.set_rollback(True)
    with transaction.atomic():
        explained = explain(user, sql, "ANALYZE, WAL, TIMING OFF")
        transaction.set_rollback(True)
    return explained["Plan"]["WAL Bytes"], explained["Execution Time"]


def _summary(costs: list[tuple[int, float]]) -> list[str]:
    """The least of the bytes: those of a statement that meets no page for the first time since a checkpoint."""
    logged, times = zip(*costs, strict=True)
    return [str(min(logged)), f"{statistics.median(times):.3f}"]
