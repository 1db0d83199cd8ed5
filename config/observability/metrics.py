"""The metrics for Prometheus, of all worker processes together.

Each worker counts in files in the folder PROMETHEUS_MULTIPROC_DIR; the one that is scraped adds up all of them. Without
the folder a process counts for itself. Imported only where metrics are on, since the library is slow to import.
"""

import os
import threading
import time
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from weakref import WeakSet

import psutil
from django.conf import settings
from django.db.backends.signals import connection_created
from fasteners import InterProcessLock
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.multiprocess import MultiProcessCollector
from psycopg.pq import TransactionStatus

from config.server import wakeups

FOLDER = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
SAMPLE_SECONDS = 1.0
# Seconds: from a read out of PostgreSQL's cache to the statement timeout.
BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def _claim() -> tuple[int, InterProcessLock]:
    """The lowest number that no other living worker has, with the lock that reserves it.

    A worker that replaces a dead one goes on counting in its files: no count is lost, and no file is left over.
    """
    locks = ((number, InterProcessLock(f"{FOLDER}/{number}.lock")) for number in count())
    number, lock = next((number, lock) for number, lock in locks if lock.acquire(blocking=False))
    # Not in the lock's own file: the system releases a lock as soon as any handle of its file is closed.
    Path(FOLDER, f"{number}.pid").write_text(str(os.getpid()))
    return number, lock


if FOLDER:
    _claimed = _claim()
    values.ValueClass = values.MultiProcessValue(lambda: _claimed[0])
_registry = CollectorRegistry()

REQUESTS = Counter("tickbase_http_requests", "Requests answered.", ["method", "route", "status"], registry=_registry)
SECONDS = Histogram(
    "tickbase_http_request_duration_seconds",
    "From a request's first middleware to its last, without the time on the network.",
    ["method", "route"],
    buckets=BUCKETS,
    registry=_registry,
)
DATABASE_SECONDS = Counter(
    "tickbase_database_seconds", "Waited for answers of the database.", ["method", "route"], registry=_registry
)
MESSAGES = Counter(
    "tickbase_database_queries", "Messages to the database that were answered.", ["method", "route"], registry=_registry
)
CONNECTIONS = Gauge(
    "tickbase_database_connections",
    "Connections to the database, by state: idle or in use.",
    ["state"],
    multiprocess_mode="sum",
    registry=_registry,
)
LARGEST = Gauge(
    "tickbase_database_max_connections",
    "Connections to the database that the workers may open: one for each thread.",
    multiprocess_mode="sum",
    registry=_registry,
)
STREAMS = Gauge(
    "tickbase_streams", "Streams and waiting requests that are open.", multiprocess_mode="sum", registry=_registry
)
WAKEUP_SECONDS = Histogram(
    "tickbase_stream_wakeup_seconds",
    "From a write to the wake-up of each stream and waiting request of its user.",
    buckets=BUCKETS,
    registry=_registry,
)

# Bounded: a method or path that a client makes up counts as `other` or `unknown`.
_requests, _seconds = cache(REQUESTS.labels), cache(SECONDS.labels)
_database_seconds, _messages = cache(DATABASE_SECONDS.labels), cache(MESSAGES.labels)


def observe(method: str, route: str, status: int, seconds: float, database_seconds: float, messages: int) -> None:
    """Count a request, in a few microseconds."""
    _requests(method, route, status).inc()
    _seconds(method, route).observe(seconds)
    _database_seconds(method, route).inc(database_seconds)
    _messages(method, route).inc(messages)


def counted() -> Any:
    """The collector of what all workers have counted."""
    return MultiProcessCollector(None, FOLDER) if FOLDER else _registry


def workers() -> dict[int, psutil.Process]:
    """The living workers by number: the processes with the same parent as this one."""
    if not FOLDER:
        return {0: psutil.Process()}
    found: dict[int, psutil.Process] = {}
    for path in Path(FOLDER).glob("*.pid"):
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(int(path.read_text() or 0))
            if process.ppid() == os.getppid():  # else another program has got the id of a dead worker
                found[int(path.stem)] = process
    return dict(sorted(found.items()))


# --- Connections and streams, which only their own process can see ------------------------------------


_opening = threading.Lock()
_wrappers: WeakSet[Any] = WeakSet()  # Django's, one for each thread


def _remember(connection: Any, **kwargs: Any) -> None:
    with _opening:
        _wrappers.add(connection)


connection_created.connect(_remember)


def open_connections() -> dict[str, int]:
    """How many connections this process has, by state."""
    with _opening:
        opened = [connection for wrapper in _wrappers if (connection := wrapper.connection) and not connection.closed]
    statuses = [connection.pgconn.transaction_status for connection in opened]
    idle = statuses.count(TransactionStatus.IDLE)
    return {"idle": idle, "in use": len(statuses) - idle}


def sample() -> None:
    for state, number in open_connections().items():
        CONNECTIONS.labels(state).set(number)
    LARGEST.set(settings.THREADS + 1 + settings.STREAMS)  # one for the thread that hashes passwords, one for streams
    STREAMS.set(wakeups.listening())


def _sample_forever() -> None:
    while True:
        sample()
        time.sleep(SAMPLE_SECONDS)


def _begin_sampling() -> None:
    threading.Thread(target=_sample_forever, daemon=True).start()


def _after_fork() -> None:
    """For servers that import the application before they fork their workers."""
    global _claimed
    _claimed = _claim()
    _begin_sampling()


if FOLDER:
    _begin_sampling()
    os.register_at_fork(after_in_child=_after_fork)
