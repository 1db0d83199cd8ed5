"""Session settings that hold for one transaction: the current tenant for row level security, and timeouts.

They are sent in the message of a transaction's first statement, so they cost no round trip. A connection that a pool,
PgBouncer or Neon's pooler hands on to another client keeps none of them.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ContextDecorator, contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Self

from django.conf import settings as django_settings
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError
from psycopg.errors import QueryCanceled
from psycopg.pq import TransactionStatus

from config.environment.variables import of_settings
from config.errors import SearchTooSlow

SEARCH_SECONDS = 2

# Others get no prefix: it would make a transaction of both, in which VACUUM and the like refuse to run.
_CONCERNS_ROWS = re.compile(
    r"(?:[\s(]|--[^\n]*\n|/\*.*?\*/)*(SELECT|WITH|INSERT|UPDATE|DELETE|MERGE|TABLE|VALUES|COPY|CALL|EXPLAIN)\b",
    re.IGNORECASE | re.DOTALL,
)
_concerns_rows = lru_cache(maxsize=1024)(_CONCERNS_ROWS.match)
_HARMLESS = re.compile(r"[a-z0-9_.]*")
_SETTINGS_PREFIX = re.compile(r"SELECT set_config\([^;]*; ")
_NONE: dict[str, str] = {}

_current: ContextVar[dict[str, str]] = ContextVar("local_settings", default=_NONE)


def enter(settings: dict[str, str]) -> None:
    """Set session settings until the innermost `local` ends."""
    _current.set(_current.get() | settings)


class local(ContextDecorator):  # noqa: N801 (reads as a verb, as contextlib's own)
    """Session settings of a block, beside those of the blocks around it. Also a decorator."""

    def __init__(self, settings: dict[str, str]) -> None:
        self._settings = settings

    def __enter__(self) -> None:
        self._token = _current.set(_current.get() | self._settings)

    def __exit__(self, *error: object) -> None:
        _current.reset(self._token)

    def _recreate_cm(self) -> Self:
        return type(self)(self._settings)  # a decorated function may run in several threads


class SessionSettings:
    """An execute wrapper of one connection: prefixes a statement with the settings that its transaction lacks."""

    def __init__(self) -> None:
        self.sent: dict[str, str] | None = _NONE  # None while unknown
        self._names: set[str] = set()  # of all settings that the transaction may have

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        wrapper = context["connection"]
        if sql.startswith("ROLLBACK TO SAVEPOINT"):
            self.sent = None  # they return to their values at the savepoint
            return execute(sql, params, many, context)
        if not (wrapper.in_atomic_block or _concerns_rows(sql)) or not (settings := self.pending(wrapper)):
            return execute(sql, params, many, context)
        prefix = _set_config(tuple(settings.items()))
        try:
            if many:
                if not wrapper.in_atomic_block:
                    raise TransactionManagementError(
                        "Many statements need a transaction, so that row level security knows the tenant."
                    )
                context["cursor"].cursor.execute(prefix)
                return execute(sql, params, many, context)
            result = execute(prefix + sql, params, many, context)
        except BaseException:
            self.sent = None  # perhaps nothing was sent
            raise
        context["cursor"].nextset()
        return result

    def statement(self, wrapper: BaseDatabaseWrapper) -> tuple[str, list[str | None]] | None:
        """The pending settings as a statement of its own, with parameters."""
        settings = self.pending(wrapper)
        return (_set_config_with_params(tuple(settings)), list(settings.values())) if settings else None

    def pending(self, wrapper: BaseDatabaseWrapper) -> dict[str, str | None]:
        """The settings that the transaction does not have yet; the caller must send them with the next statement."""
        if wrapper.connection is None:  # closed meanwhile: psycopg raises the error
            return {}
        status = wrapper.connection.pgconn.transaction_status
        if status == TransactionStatus.IDLE:
            self.sent = _NONE  # they ended with the last transaction
            self._names.clear()
        settings = _current.get()
        if status == TransactionStatus.INERROR or self.sent == settings:
            return {}
        pending = {**dict.fromkeys(self._names), **settings}
        self.sent = settings
        self._names |= settings.keys()
        return pending


def statement_of(sql: str) -> str:
    """The statement without the prefix of session settings."""
    return _SETTINGS_PREFIX.sub("", sql, count=1)


@lru_cache(maxsize=1024)
def _set_config(settings: tuple[tuple[str, str | None], ...]) -> str:
    """The prefix that sets session settings. None resets one to the session's value."""
    if not all(_HARMLESS.fullmatch(text or "") for item in settings for text in item):
        raise ValueError("a name or value that would need quoting")
    calls = (f"set_config('{name}', {'NULL' if value is None else repr(value)}, true)" for name, value in settings)
    return f"SELECT {', '.join(calls)}; "


@lru_cache(maxsize=64)
def _set_config_with_params(names: tuple[str, ...]) -> str:
    calls = (f"set_config('{name}', %s, true)" for name in names)
    return f"SELECT {', '.join(calls)}"


@contextmanager
def search_timeout() -> Iterator[None]:
    """A statement timeout for searches, which read all of a user's rows, and are slow with words that occur almost
    everywhere. Raises SearchTooSlow."""
    seconds = min(SEARCH_SECONDS, django_settings.DATABASE_STATEMENT_TIMEOUT or SEARCH_SECONDS)
    with local({"statement_timeout": f"{seconds * 1000:.0f}ms"}):
        try:
            yield
        except OperationalError as error:
            if not isinstance(error.__cause__, QueryCanceled):
                raise
            raise SearchTooSlow("The search took too long; search for other or fewer words, or add filters.") from error


@of_settings
def request_timeouts() -> dict[str, str]:
    """Migrations, other commands and exports, which go on after their request, have none."""
    return {
        "statement_timeout": f"{django_settings.DATABASE_STATEMENT_TIMEOUT}s",
        "lock_timeout": f"{django_settings.DATABASE_LOCK_TIMEOUT}s",
        "idle_in_transaction_session_timeout": f"{django_settings.DATABASE_IDLE_TRANSACTION_TIMEOUT}s",
    }
