"""Connections, each kept by one thread, that notice when their server hangs or becomes a read-only standby."""

import math
import select
import threading
import time
from functools import cached_property
from itertools import count
from typing import Any, ClassVar
from weakref import WeakSet

import psycopg
from psycopg import abc
from psycopg.adapt import Transformer
from psycopg.pq import TransactionStatus

from config.database.breaker import breaker

PATIENCE = 1.0  # seconds without an answer
IDLE_SECONDS = 0.05  # after which a connection is looked at before its next use
MAX_PREPARED = 64  # of each connection; each takes the server 50 to 200 kB
LONGEST = 2000  # characters of a statement; longer ones are searches for many words


class _Owned(WeakSet["Connection"]):
    """The connections of a thread, which are closed when it ends. Nothing refers to it but the thread itself; Django's
    wrapper is in reference cycles, so its connection would stay open until the garbage collector finds it."""

    def __del__(self) -> None:
        for connection in self:
            connection.close()


class _Thread(threading.local):
    """What each thread has: the seconds that it has waited for its connections, and those that are open."""

    def __init__(self) -> None:
        self.waited, self.owned = 0.0, _Owned()


thread = _Thread()
_probing = threading.Lock()
_last_probed: dict[tuple[str, int], tuple[float, bool]] = {}  # by server: when, and whether it was alive


class Prepared:
    def __init__(self) -> None:
        self.is_allowed = False
        self.names: dict[str, bytes] = {}  # by statement, the least recently used first
        self.forgotten: list[bytes] = []  # which the next message closes
        self._numbers = count()

    def new_name(self, sql: str) -> bytes | None:
        """None if the statement shall not be prepared; else the least recently used one gives way. No name is ever used
        again."""
        if not self.is_allowed or len(sql) > LONGEST:
            return None
        if len(self.names) >= MAX_PREPARED:
            self.forgotten.append(self.names.pop(next(iter(self.names))))
        return b"tickbase_%d" % next(self._numbers)


class ServerHangs(psycopg.OperationalError):
    """The server neither answers nor closes its connections: it is frozen, or cut off."""


class ServerIsReadOnly(psycopg.OperationalError):
    """The server is a standby."""


class Connection(psycopg.Connection[Any]):
    """A connection that is closed when its server hangs.

    The server itself enforces statement timeouts, so none helps then; a deadline of the client would end long exports
    and migrations. So a thread that waits probes, with another connection, whether the server is alive.
    """

    hangs: ClassVar[int] = 0  # that this process has noticed; a connection of before one is replaced

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prepared = Prepared()
        self._known_hangs = self.hangs
        self._used_at = time.monotonic()
        self._poll = select.poll()
        self._poll.register(self.fileno(), select.POLLIN)
        thread.owned.add(self)

    def __del__(self, *ignored: Any) -> None:
        """Without psycopg's warning: it is open as long as its thread, or the process."""

    @cached_property
    def transformer(self) -> abc.Transformer:
        """Kept, as it keeps the dumpers and loaders that it has made."""
        return Transformer(self)

    def is_live(self) -> bool:
        """Whether it can be used; within a transaction, True until it is closed.

        The server may have closed an idle connection, as at a restart, or as Neon does before it sleeps. On an idle
        connection, the only thing to read is its end, or the reason of that: one poll of the kernel, and no query.
        """
        if self.closed or self.pgconn.transaction_status != TransactionStatus.IDLE:
            return not self.closed
        is_fresh = time.monotonic() - self._used_at < IDLE_SECONDS
        return self._known_hangs == self.hangs and (is_fresh or not self._poll.poll(0))

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        began = time.monotonic()
        try:
            return super().wait(self._watched(gen), *args, **kwargs)
        except psycopg.errors.ReadOnlySqlTransaction as error:
            raise self.give_up(error) from error
        finally:
            self._used_at = time.monotonic()
            thread.waited += self._used_at - began

    def wait_for_data(self) -> None:
        """`wait` without a generator: until there is something to read."""
        began = time.monotonic()
        try:
            while not self._poll.poll(PATIENCE * 1000):
                self._require_alive()
        finally:
            self._used_at = time.monotonic()
            thread.waited += self._used_at - began

    def give_up(self, error: psycopg.errors.ReadOnlySqlTransaction) -> ServerIsReadOnly:
        """Close it, as it would refuse every write; a new connection may lead to the primary. Returns what to raise."""
        self.close()
        return ServerIsReadOnly(str(error))

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
                Connection.hangs += not is_alive
        if not is_alive:
            breaker.open()
            self.close()
            raise ServerHangs("the server does not answer")

    def _probe(self) -> bool:
        """Whether this server, one of perhaps several hosts in the URL, is alive. A refusal, such as too many
        connections, is a sign of life."""
        params: dict[str, Any] = {**self.info.get_parameters(), "password": self.info.password or None}
        params |= {"connect_timeout": 2, "application_name": "tickbase liveness"}  # psycopg's minimum, in seconds
        try:
            psycopg.connect(**params).close()
        except psycopg.OperationalError as error:
            return not isinstance(error, psycopg.errors.ConnectionTimeout)
        return True
