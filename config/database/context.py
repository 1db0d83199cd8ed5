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

from psycopg.pq import TransactionStatus

# In front of another statement, this makes a transaction of both, in which VACUUM and the like refuse to run.
_CONCERNS_ROWS = re.compile(r"[\s(]*(SELECT|WITH|INSERT|UPDATE|DELETE|MERGE|EXPLAIN)\b", re.IGNORECASE)
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
        wrapper, cursor = context["connection"], context["cursor"]
        status = wrapper.connection.pgconn.transaction_status
        if status == TransactionStatus.IDLE:
            self.told = _NONE  # they went with the last transaction
        settings = _current.get()
        is_told = settings == self.told or status == TransactionStatus.INERROR
        if is_told or not (wrapper.in_atomic_block or _CONCERNS_ROWS.match(sql)):
            result = execute(sql, params, many, context)
            if sql.startswith("ROLLBACK TO SAVEPOINT"):
                self.told = None  # they are again what they were at the savepoint
            return result
        self.told = settings
        telling = _telling(tuple(settings.items()))
        if many:
            cursor.cursor.execute(telling)
            return execute(sql, params, many, context)
        result = execute(telling + sql, params, many, context)
        cursor.nextset()
        return result


def statement_of(sql: str) -> str:
    """What was to be executed, without what was told in front of it."""
    return _TOLD.sub("", sql, count=1)


@lru_cache(maxsize=1024)
def _telling(settings: tuple[tuple[str, str], ...]) -> str:
    if not all(_HARMLESS.fullmatch(text) for item in settings for text in item):
        raise ValueError("a name or value that would need quoting")
    return "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings) + "; "
