"""The database backend: a pool that skips dead connections, session settings, and pipelines of statements."""

import datetime as dt
import select
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base
from psycopg import ClientCursor
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Loader
from psycopg_pool import ConnectionPool

from config.database.breaker import breaker
from config.database.connections import Connection, TimedConnection
from config.database.pipeline import Prepared, Rows, Sql, pipeline
from config.database.session import SessionSettings


def _try_again(pool: ConnectionPool[Any]) -> None:
    if pool.get_stats().get("requests_waiting"):
        pool.check()  # which makes an empty pool grow


POOL_OPTIONS = {
    "connection_class": Connection,
    # The pool's own back-off grows, and waiting requests would not notice that the database is back.
    "reconnect_timeout": 0.5,  # seconds
    "reconnect_failed": _try_again,
}


class InstantLoader(Loader):
    """Loads a timestamptz of a session in UTC, in a ninth of the time that Django's loader takes."""

    timezone = dt.UTC  # which Django reads

    def load(self, data: Buffer) -> dt.datetime:
        return dt.datetime.fromisoformat(str(data, "ascii"))


@cache
def _with_instants(adapters: AdaptersMap) -> AdaptersMap:
    adapters = AdaptersMap(adapters)
    adapters.register_loader("timestamptz", InstantLoader)
    return adapters


class DatabaseWrapper(base.DatabaseWrapper):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if pool := self.settings_dict["OPTIONS"].get("pool"):
            pool |= POOL_OPTIONS
            if settings.METRICS:
                pool["connection_class"] = TimedConnection
        self.messages = 0  # round trips to the server
        self._settings = SessionSettings()
        self.execute_wrappers += [self._settings, self._count]

    def _count(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        self.messages += 1
        return execute(sql, params, many, context)

    def run(self, *statements: Sql, commit: bool = False) -> list[Rows]:
        """Run statements in one message, and return the rows of each.

        Outside of a transaction they are one of their own. They are prepared where it is safe: to plan a request's
        statement takes the server three times as long as to run it. Raises what Django's cursors raise.

        With `commit`, the outermost transaction is committed in the same message; Django's own COMMIT then finds
        nothing to do. Within an inner one, `commit` does nothing.
        """
        self.ensure_connection()
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
                rows = pipeline(self.connection, self.connection.prepared, [*prefix, *statements], commits=commits)
            except BaseException:
                self._settings.sent = None  # perhaps nothing was sent
                raise
        return rows[len(prefix) :]

    def get_connection_params(self) -> dict[str, Any]:
        params = super().get_connection_params()
        if self.timezone == InstantLoader.timezone:
            params["context"] = _with_instants(params["context"])
        return params

    def _configure_connection(self, connection: Any) -> bool:
        connection.prepared = Prepared(is_allowed=_may_prepare(connection))
        return bool(super()._configure_connection(connection))  # type: ignore[misc]  # unknown to the stubs

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        with breaker.attempt():
            connection = super().get_new_connection(conn_params)
            while self.pool and _is_stale(connection):
                connection.close()
                self.pool.putconn(connection)  # which replaces it
                connection = super().get_new_connection(conn_params)
            return connection

    def _set_autocommit(self, autocommit: bool) -> None:
        if self.connection.autocommit != autocommit:  # the pool's connections have it already
            super()._set_autocommit(autocommit)  # type: ignore[misc]  # unknown to the stubs

    def close_pool(self) -> None:
        super().close_pool()
        breaker.close()


def _may_prepare(connection: Connection) -> bool:
    """Prepared statements are safe on direct connections. A pooler such as PgBouncer before 1.21 hands out another
    session for each transaction, which may lack them; it reports another process id than the server's."""
    if settings.DATABASE_PREPARED_STATEMENTS != "auto":
        return bool(settings.DATABASE_PREPARED_STATEMENTS == "on")
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return row is not None and row[0] == connection.info.backend_pid


def _is_stale(connection: Connection) -> bool:
    """Whether the server has closed an idle connection, as at a restart, or as Neon does before it sleeps.

    On an idle connection, the only thing to read is its end, or the reason of that. One poll of the kernel replaces the
    query to the server with which psycopg's own check would begin each request.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
