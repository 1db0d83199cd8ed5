"""The backend: takes from psycopg's pool only connections that still lead to a server, and tells it the context."""

import select
from typing import Any

from django.db.backends.postgresql import base
from psycopg_pool import ConnectionPool

from config.database.connections import Connection
from config.database.context import Teller
from config.database.outage import outage


def _try_again(pool: ConnectionPool[Any]) -> None:
    if pool.get_stats().get("requests_waiting"):
        pool.check()  # which makes an empty pool grow


POOL_OPTIONS = {
    "connection_class": Connection,
    # By itself the pool tries ever more seldom, and whoever waits does not learn that the database is back.
    "reconnect_timeout": 0.5,  # seconds
    "reconnect_failed": _try_again,
}


class DatabaseWrapper(base.DatabaseWrapper):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if pool := self.settings_dict["OPTIONS"].get("pool"):
            pool |= POOL_OPTIONS
        self.execute_wrappers.append(Teller())

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        with outage.attempt():
            connection = super().get_new_connection(conn_params)
            while self.pool and _is_stale(connection):
                connection.close()
                self.pool.putconn(connection)  # which replaces it
                connection = super().get_new_connection(conn_params)
            return connection

    def close_pool(self) -> None:
        super().close_pool()
        outage.end()


def _is_stale(connection: Connection) -> bool:
    """Whether the server has closed an idle connection, as a restart does, or Neon before it sleeps.

    A server that has not been asked has nothing to say: what can be read is the end of the connection, or its
    reason. This asks the kernel, where psycopg's own check asks the server, on each request.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
