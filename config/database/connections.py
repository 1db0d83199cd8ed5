"""Connections that notice when their server hangs, or takes no writes any more."""

import math
import threading
import time
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from config.database.breaker import breaker
from config.database.pipeline import Prepared

PATIENCE = 1.0  # seconds without an answer
CONNECT_SECONDS = 2  # psycopg knows none shorter
LIVENESS = "tickbase liveness"


class _Waited(threading.local):
    """Seconds that a thread has waited for answers of timed connections."""

    seconds = 0.0


waited = _Waited()
_asking = threading.Lock()
_last_seen: dict[tuple[str, int], tuple[float, bool]] = {}  # of each server: when it was asked, and whether it lives


class ServerHangs(psycopg.OperationalError):
    """The server neither answers nor closes its connections: it is frozen, or cut off."""


class ServerIsReadOnly(psycopg.OperationalError):
    """It is a standby now, or always was one."""


class Connection(psycopg.Connection[Any]):
    """Gives up on a server that hangs.

    No statement timeout helps there, since the server is who counts it, and a deadline of our own would end long
    exports and migrations. So whoever waits asks, by another connection, whether the server still takes any.
    """

    prepared: Prepared  # set by the backend
    _pool: ConnectionPool[Any] | None = None  # set by the pool while the connection is out

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().wait(self._watched(gen), *args, **kwargs)
        except psycopg.errors.ReadOnlySqlTransaction as error:
            # In the pool it would go on to refuse every write; a new one may lead to the primary.
            self.close()
            raise ServerIsReadOnly(str(error)) from error

    def _watched(self, gen: Any) -> Any:
        """Passes on what psycopg's generator waits for; it is resumed ten times a second, if only with nothing."""
        asked_at = time.monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() - asked_at > PATIENCE:
                    self._require_life()
                    asked_at = time.monotonic()
                wanted = gen.send(ready)
        except StopIteration as stop:
            return stop.value

    def _require_life(self) -> None:
        """Raises ServerHangs."""
        server = (self.info.host, self.info.port)
        with _asking:  # one of all who wait, for all of them
            asked_at, is_alive = _last_seen.get(server, (-math.inf, True))
            if time.monotonic() - asked_at >= PATIENCE:
                is_alive = self._takes_connections()
                _last_seen[server] = time.monotonic(), is_alive
        if not is_alive:
            breaker.open()
            if self._pool is not None:
                self._pool.drain()
            self.close()
            raise ServerHangs("the server does not answer")

    def _takes_connections(self) -> bool:
        """Any refusal in words, as that there are too many connections, is a sign of life."""
        try:
            psycopg.connect(**self._same_server()).close()
        except psycopg.errors.ConnectionTimeout:
            return False
        except psycopg.OperationalError:
            pass
        return True

    def _same_server(self) -> dict[str, Any]:
        """Of several hosts in the URL, the one that this connection leads to."""
        info = self.info
        own = {"password": info.password or None, "connect_timeout": CONNECT_SECONDS, "application_name": LIVENESS}
        return {**info.get_parameters(), **own}


class TimedConnection(Connection):
    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return super().wait(gen, *args, **kwargs)
        finally:
            waited.seconds += time.perf_counter() - began
