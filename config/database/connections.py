"""Connections that notice when their server hangs or becomes a read-only standby."""

import math
import threading
import time
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from config.database.breaker import breaker
from config.database.pipeline import Prepared

PATIENCE = 1.0  # seconds without an answer
CONNECT_SECONDS = 2  # psycopg's minimum
LIVENESS = "tickbase liveness"


class _Waited(threading.local):
    """Seconds that a thread has waited for timed connections."""

    seconds = 0.0


waited = _Waited()
_probing = threading.Lock()
_last_probed: dict[tuple[str, int], tuple[float, bool]] = {}  # by server: when, and whether it was alive


class ServerHangs(psycopg.OperationalError):
    """The server neither answers nor closes its connections: it is frozen, or cut off."""


class ServerIsReadOnly(psycopg.OperationalError):
    """The server is a standby."""


class Connection(psycopg.Connection[Any]):
    """A connection that is closed when its server hangs.

    The server itself enforces statement timeouts, so none helps then; a deadline of the client would end long exports
    and migrations. So a thread that waits probes, with another connection, whether the server is alive.
    """

    prepared: Prepared  # set by the backend
    _pool: ConnectionPool[Any] | None = None  # set by the pool while the connection is out

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().wait(self._watched(gen), *args, **kwargs)
        except psycopg.errors.ReadOnlySqlTransaction as error:
            # Back in the pool it would refuse every write; a new connection may lead to the primary.
            self.close()
            raise ServerIsReadOnly(str(error)) from error

    def _watched(self, gen: Any) -> Any:
        """Wrap psycopg's generator, which is resumed ten times a second, also when nothing is ready."""
        probed_at = time.monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() - probed_at > PATIENCE:
                    self._require_alive()
                    probed_at = time.monotonic()
                wanted = gen.send(ready)
        except StopIteration as stop:
            return stop.value

    def _require_alive(self) -> None:
        """Raises ServerHangs."""
        server = (self.info.host, self.info.port)
        with _probing:  # one waiting thread, for all of them
            probed_at, is_alive = _last_probed.get(server, (-math.inf, True))
            if time.monotonic() - probed_at >= PATIENCE:
                is_alive = self._probe()
                _last_probed[server] = time.monotonic(), is_alive
        if not is_alive:
            breaker.open()
            if self._pool is not None:
                self._pool.drain()
            self.close()
            raise ServerHangs("the server does not answer")

    def _probe(self) -> bool:
        """Whether this server, one of perhaps several hosts in the URL, is alive. A refusal, such as too many
        connections, is a sign of life."""
        params: dict[str, Any] = {**self.info.get_parameters(), "password": self.info.password or None}
        params |= {"connect_timeout": CONNECT_SECONDS, "application_name": LIVENESS}
        try:
            psycopg.connect(**params).close()
        except psycopg.errors.ConnectionTimeout:
            return False
        except psycopg.OperationalError:
            pass
        return True


class TimedConnection(Connection):
    """A connection that adds up how long its thread waits, for the metrics."""

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return super().wait(gen, *args, **kwargs)
        finally:
            waited.seconds += time.perf_counter() - began
