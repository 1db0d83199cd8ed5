"""The database backend: a connection kept by each thread, session settings, and pipelines of statements."""

import datetime as dt
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import psycopg
from django.conf import settings
from django.db import OperationalError
from django.db.backends.postgresql import base
from psycopg import ClientCursor
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.types.json import JsonbDumper

from config.database.breaker import breaker
from config.database.connections import Connection
from config.database.pipeline import Rows, Sql, pipeline
from config.database.session import SessionSettings
from config.values import JsonList

RETRY_SECONDS = 3  # for which an attempt to connect waits for a server that starts


class InstantLoader(Loader):
    """Loads a timestamptz of a session in UTC, in a ninth of the time that Django's loader takes."""

    timezone = dt.UTC  # which Django reads

    def load(self, data: Buffer) -> dt.datetime:
        return dt.datetime.fromisoformat(str(data, "ascii"))


class DatabaseWrapper(base.DatabaseWrapper):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.messages = 0  # round trips to the server
        self._settings = SessionSettings()
        self.execute_wrappers += [self._settings, self._count]

    def _count(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        self.messages += 1
        return execute(sql, params, many, context)

    def run(self, *statements: Sql, commit: bool = False) -> list[Rows]:
        """Run statements in one message, and return the rows of each.

        Outside of a transaction they are one of their own. They are prepared where it is safe: to plan a request's
        statement takes the server three times as long as to run it. PostgreSQL infers the types of parameters, so
        statements have casts where it cannot. Raises what Django's cursors raise.

        With `commit`, the outermost transaction is committed in the same message; Django's own COMMIT then finds
        nothing to do. Within an inner one, `commit` does nothing.
        """
        self.ensure_connection()
        if self.needs_rollback:
            self.validate_no_broken_transaction()
        if self.queries_logged:  # in tests, and with DEBUG
            cursor = ClientCursor(self.connection)
            text = "; ".join(cursor.mogrify(sql, params) for sql, params in statements)
            self.queries_log.append({"sql": text, "time": ""})
        commits = commit and self.in_atomic_block and not self.savepoint_ids
        execute: Callable[..., list[Rows]] = partial(self._pipeline, commits)
        for wrapper in reversed(self.execute_wrappers):
            if wrapper is not self._settings:
                execute = partial(wrapper, execute)
        return execute(statements[0][0], statements, False, {"connection": self, "cursor": None})

    def _pipeline(self, commits: bool, sql: str, statements: Sequence[Sql], *ignored: Any) -> list[Rows]:
        setting = self._settings.statement(self)
        prefix = [setting] if setting else []
        with self.wrap_database_errors:
            try:
                rows = pipeline(self.connection, [*prefix, *statements], commits=commits)
            except BaseException:
                self._settings.sent = None  # perhaps nothing was sent
                raise
        return rows[len(prefix) :]

    def validate_no_broken_transaction(self) -> None:
        """Raises OperationalError for what comes after the connection was lost.

        Django keeps silent where the rollback to a savepoint has met that, and complains of the program only.
        """
        if self.needs_rollback and self.connection is not None and self.connection.closed:
            raise OperationalError("the connection to the server was lost")
        super().validate_no_broken_transaction()

    def ensure_connection(self) -> None:
        """Connect, or replace a connection that cannot be used any more: Django's cursors and `run` begin here."""
        if self.connection is not None and not self.in_atomic_block and not self.connection.is_live():
            self.close()
        if self.connection is None:
            super().ensure_connection()

    def _configure_connection(self, connection: Any) -> bool:
        """Prepared statements are safe on direct connections. A pooler such as PgBouncer before 1.21 hands out another
        session for each transaction, which may lack them; it reports another process id than the server's."""
        if settings.DATABASE_PREPARED_STATEMENTS == "auto":
            [process_id] = connection.execute("SELECT pg_backend_pid()").fetchone()
            connection.prepared.is_allowed = process_id == connection.info.backend_pid
        else:
            connection.prepared.is_allowed = settings.DATABASE_PREPARED_STATEMENTS == "on"
        connection.adapters.register_loader("timestamptz", InstantLoader)
        connection.adapters.register_dumper(dict, JsonbDumper)
        connection.adapters.register_dumper(JsonList, JsonbDumper)
        return bool(super()._configure_connection(connection))  # type: ignore[misc]  # unknown to the stubs

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        give_up_at = time.monotonic() + RETRY_SECONDS
        with breaker.attempt():
            while True:
                try:
                    return Connection.connect(**conn_params)
                except psycopg.OperationalError:
                    if time.monotonic() > give_up_at:
                        raise
                time.sleep(0.1)
