"""Tells PostgreSQL who is asking (row level security): the second wall, behind `.for_user()`.

Each table with users' data has one policy: whoever asks sees and writes the own rows, and nobody asks until
somebody is named. The name is local to a transaction, so that a connection which a pool or PgBouncer hands on
says nothing about its last user; it travels in the message of the first statement, and costs no round trip.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import RunSQL
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from psycopg.pq import TransactionStatus

Item = TypeVar("Item")

NOBODY = ""
ALL = "0"  # the id of no account
_asking = ContextVar("asking", default=NOBODY)

_NAME = "SELECT set_config('tickbase.user_id', '{}', true); "
# In front of another statement, this makes a transaction of both, in which VACUUM and the like refuse to run.
_CONCERNS_ROWS = re.compile(r"[\s(]*(SELECT|WITH|INSERT|UPDATE|DELETE|MERGE|EXPLAIN)\b", re.IGNORECASE)

_MIGRATIONS = (("users", "0007_isolation"), ("tasks", "0002_isolation"))


def enter(user_id: int) -> None:
    """From here to the end of the request, this user asks."""
    _asking.set(_name(user_id))


@contextmanager
def as_user(user_id: int) -> Iterator[None]:
    with _as(_name(user_id)):
        yield


@contextmanager
def all_users() -> Iterator[None]:
    """For staff, for maintenance, and for finding out who somebody is. Also a decorator."""
    with _as(ALL):
        yield


def _name(user_id: int) -> str:
    if user_id < 1:
        raise ValueError(f"{user_id} is no user's id")
    return str(int(user_id))


@contextmanager
def _as(who: str) -> Iterator[None]:
    token = _asking.set(who)
    try:
        yield
    finally:
        _asking.reset(token)


def each_as(user_id: int, items: Iterator[Item]) -> Iterator[Item]:
    """What a generator yields, which runs for this user whenever and wherever the next item is asked for."""
    while True:
        with as_user(user_id):
            try:
                item = next(items)
            except StopIteration:
                return
        yield item


def isolation(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: nobody asks until a view has authenticated somebody; in the admin, staff does."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with _as(ALL if request.path_info.startswith("/admin/") else NOBODY):
            return get_response(request)

    return middleware


class _Teller:
    """An execute wrapper: names who asks in front of a statement whose transaction does not know it yet."""

    def __init__(self) -> None:
        self.told: str | None = NOBODY  # None while unknown

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        status = context["connection"].connection.pgconn.transaction_status
        if status == TransactionStatus.IDLE:
            self.told = NOBODY  # the name went with the last transaction
        if not self._must_tell(sql, status, context["connection"]):
            result = execute(sql, params, many, context)
            if sql.startswith("ROLLBACK TO SAVEPOINT"):
                self.told = None  # the name is again what it was at the savepoint
            return result
        self.told = _asking.get()
        name = _NAME.format(self.told)
        if many:
            context["cursor"].cursor.execute(name)
            return execute(sql, params, True, context)
        result = execute(name + sql, params, False, context)
        context["cursor"].nextset()
        return result

    def _must_tell(self, sql: str, status: TransactionStatus, connection: BaseDatabaseWrapper) -> bool:
        if self.told == _asking.get() or status == TransactionStatus.INERROR:
            return False
        return connection.in_atomic_block or bool(_CONCERNS_ROWS.match(sql))


def install(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Receiver of `connection_created`."""
    if not any(isinstance(wrapper, _Teller) for wrapper in connection.execute_wrappers):
        # In front: whoever adds a wrapper for a while takes the last one away.
        connection.execute_wrappers.insert(0, _Teller())


def isolate(table: str, owner: str = "user_id") -> RunSQL:
    """The migration of a table whose rows belong to the user in the column `owner`.

    FORCE, since the service owns its tables. CASE, since the planner takes it for true of every second row; of an
    OR it would believe that next to none pass, and would sort a user's tasks rather than read them in order. The
    sub-selects are evaluated once for each statement.
    """
    asking = "(SELECT NULLIF(current_setting('tickbase.user_id', true), '')::bigint)"
    rule = f"CASE {asking} WHEN {ALL} THEN true ELSE {owner} = {asking} END"
    return RunSQL(
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
        f"CREATE POLICY {table}_own ON {table} USING ({rule}) WITH CHECK ({rule});",
        f"DROP POLICY {table}_own ON {table};"
        f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;",
    )


def is_migrated() -> bool:
    """Whether the policies should be there: `migrate` runs the checks, too, before it makes them."""
    applied = MigrationRecorder(connection).applied_migrations()
    return all((app, name) in applied for app, name in _MIGRATIONS)


def exposed_tables() -> list[str]:
    """Tables with users' data on which row level security does not act for the service's role."""
    tables = [model._meta.db_table for model in apps.get_models(include_auto_created=True) if is_of_users(model)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
            " AND relname = ANY(%s) AND NOT row_security_active(oid) ORDER BY relname",
            [tables],
        )
        return [table for (table,) in cursor.fetchall()]


def is_of_users(model: type[Model]) -> bool:
    """Users themselves, and whatever points at one."""
    user = apps.get_model(settings.AUTH_USER_MODEL)
    return model is user or any(field.related_model is user for field in model._meta.concrete_fields)
