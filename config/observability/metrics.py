"""Prometheus metrics of all worker processes together, and of their connection pools.

Each worker counts in files in PROMETHEUS_MULTIPROC_DIR, and the one that is scraped adds them up. Without the folder, a
process counts for itself. Imported only where metrics are on, since the library is slow to import.
"""

import os
import threading
import time
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from django.db import connection
from fasteners import InterProcessLock
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
SAMPLE_SECONDS = 1.0
# Seconds, from a cached read to the timeouts.
BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def _claim() -> tuple[int, InterProcessLock]:
    """The lowest number that no living worker has, with its lock.

    A worker that replaces a dead one goes on counting in its files: nothing is lost, and no file is left over.
    """
    locks = ((number, InterProcessLock(f"{FOLDER}/{number}.lock")) for number in count())
    number, lock = next((number, lock) for number, lock in locks if lock.acquire(blocking=False))
    # Not into the lock file: closing any handle of it releases the lock.
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
    "tickbase_pool_connections",
    "Connections to the database, by state: idle or in use.",
    ["state"],
    multiprocess_mode="sum",
    registry=_registry,
)
LARGEST = Gauge(
    "tickbase_pool_max_connections",
    "Connections to the database that the workers may open.",
    multiprocess_mode="sum",
    registry=_registry,
)
WAITING = Gauge(
    "tickbase_pool_waiting", "Threads that wait for a connection.", multiprocess_mode="sum", registry=_registry
)
WAITS = Counter("tickbase_pool_waits", "Threads that had to wait for a connection.", registry=_registry)
WAIT_SECONDS = Counter("tickbase_pool_wait_seconds", "Waited for a connection.", registry=_registry)


class _OfRoute(NamedTuple):
    seconds: Histogram
    database_seconds: Counter
    messages: Counter


@cache  # methods, routes and statuses are few: those that clients make up are `other` or `unknown`
def _requests(method: str, route: str, status: int) -> Counter:
    return REQUESTS.labels(method, route, status)


@cache
def _of_route(method: str, route: str) -> _OfRoute:
    labels = method, route
    return _OfRoute(SECONDS.labels(*labels), DATABASE_SECONDS.labels(*labels), MESSAGES.labels(*labels))


def observe(method: str, route: str, status: int, seconds: float, database_seconds: float, messages: int) -> None:
    """Count a request, in a few microseconds."""
    _requests(method, route, status).inc()
    of_route = _of_route(method, route)
    of_route.seconds.observe(seconds)
    of_route.database_seconds.inc(database_seconds)
    of_route.messages.inc(messages)


def counted() -> Any:
    """A collector of the counts of all workers."""
    return MultiProcessCollector(None, FOLDER) if FOLDER else _registry


def workers() -> dict[int, psutil.Process]:
    """The living workers of this process's parent, by number."""
    if not FOLDER:
        return {0: psutil.Process()}
    found = {int(path.stem): _process(path) for path in Path(FOLDER).glob("*.pid")}
    return {number: process for number, process in sorted(found.items()) if process is not None}


def _process(path: Path) -> psutil.Process | None:
    try:
        process = psutil.Process(int(path.read_text() or 0))
        return process if process.ppid() == os.getppid() else None  # another program may have a dead worker's id
    except psutil.NoSuchProcess:
        return None


# --- The connection pool, which only its own process can inspect --------------------------------------

_sampling = threading.Lock()
_seen: dict[str, int] = {}


def sample_pool() -> None:
    with _sampling:
        _sample(connection.pool.get_stats())  # type: ignore[attr-defined]


def _sample(stats: dict[str, int]) -> None:
    idle = stats["pool_available"]
    CONNECTIONS.labels("idle").set(idle)
    CONNECTIONS.labels("in use").set(max(0, stats["pool_size"] - idle))
    LARGEST.set(stats["pool_max"])
    WAITING.set(stats["requests_waiting"])
    WAITS.inc(_growth(stats, "requests_queued"))
    WAIT_SECONDS.inc(_growth(stats, "requests_wait_ms") / 1000)


def _growth(stats: dict[str, int], name: str) -> int:
    """The growth of a count of the pool since the last sample; a new pool begins at 0."""
    now, before = stats.get(name, 0), _seen.get(name, 0)
    _seen[name] = now
    return now - before if now >= before else now


def _sample_forever() -> None:
    while True:
        sample_pool()
        time.sleep(SAMPLE_SECONDS)


def _begin_sampling() -> None:
    threading.Thread(target=_sample_forever, daemon=True).start()


def _after_fork() -> None:
    """For servers that import the application before they fork workers."""
    global _claimed
    _claimed = _claim()
    _begin_sampling()


if FOLDER:
    _begin_sampling()
    os.register_at_fork(after_in_child=_after_fork)
