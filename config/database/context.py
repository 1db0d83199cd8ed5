"""Settings of PostgreSQL that hold for one transaction at a time: who asks, and how long that may take.

They travel in the message of a transaction's first statement, and so cost no round trip. Nothing is left in a
connection that a pool, PgBouncer or Neon's pooler hands on to somebody else.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError
from psycopg.pq import TransactionStatus

# In front of another statement, this makes a transaction of both, in which VACUUM and the like refuse to run.
_CONCERNS_ROWS = re.compile(
    r"(?:[\s(]|--[^\n]*\n|/\*.*?\*/)*(SELECT|WITH|INSERT|UPDATE|DELETE|MERGE|TABLE|VALUES|COPY|CALL|EXPLAIN)\b",
    re.IGNORECASE | re.DOTALL,
)
_HARMLESS = re.compile(r"[a-z0-9_.]*")
_TOLD = re.compile(r"SELECT set_config\([^;]*; ")
_NONE: dict[str, str] = {}

_current: ContextVar[dict[str, str]] = ContextVar("local_settings", default=_NONE)


def current(name: str) -> str:
    return _current.get().get(name, "")


def enter(settings: dict[str, str]) -> None:
    """From here to the end of the innermost `local`."""
    _current.set(_current.get() | settings)


@contextmanager
def local(settings: dict[str, str]) -> Iterator[None]:
    """Within this, PostgreSQL has these settings, and those of what is around."""
    token = _current.set(_current.get() | settings)
    try:
        yield
    finally:
        _current.reset(token)


class Teller:
    """An execute wrapper, one for each connection: puts the settings in front of a statement whose transaction
    does not have them yet."""

    def __init__(self) -> None:
        self.told: dict[str, str] | None = _NONE  # None while unknown

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if not self._must_tell(sql, context["connection"]):
            return execute(sql, params, many, context)
        settings = _current.get()
        telling = _telling(tuple({**dict.fromkeys(self.told or ()), **settings}.items()))
        self.told = settings
        if many:
            if not context["connection"].in_atomic_block:
                raise TransactionManagementError("Many statements at once need a transaction, which is told who asks.")
            context["cursor"].cursor.execute(telling)
            return execute(sql, params, many, context)
        result = execute(telling + sql, params, many, context)
        context["cursor"].nextset()
        return result

    def _must_tell(self, sql: str, wrapper: BaseDatabaseWrapper) -> bool:
        if wrapper.connection is None:  # closed meanwhile, of which psycopg tells
            return False
        status = wrapper.connection.pgconn.transaction_status
        if status == TransactionStatus.IDLE:
            self.told = _NONE  # they went with the last transaction
        if sql.startswith("ROLLBACK TO SAVEPOINT"):
            self.told = None  # they will be again what they were at the savepoint
            return False
        if status == TransactionStatus.INERROR or self.told == _current.get():
            return False
        return wrapper.in_atomic_block or bool(_CONCERNS_ROWS.match(sql))


def statement_of(sql: str) -> str:
    """What was to be executed, without what was told in front of it."""
    return _TOLD.sub("", sql, count=1)


@lru_cache(maxsize=1024)
def _telling(settings: tuple[tuple[str, str | None], ...]) -> str:
    """Without a value, a setting is again what the session has."""
    if not all(_HARMLESS.fullmatch(text or "") for item in settings for text in item):
        raise ValueError("a name or value that would need quoting")
    calls = (f"set_config('{name}', {'NULL' if value is None else repr(value)}, true)" for name, value in settings)
    return f"SELECT {', '.join(calls)}; "
