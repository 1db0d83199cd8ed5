"""Every thread and connection waits for a lock: what else is asked is answered soon, and it all ends by itself."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import psycopg

from config.server.threads import WAIT_SECONDS
from tests.chaos.cluster import folder
from tests.chaos.database_away import Asked, ask_all, is_outage
from tests.chaos.load import client_of, sign_in, sign_in_several
from tests.chaos.outcome import Outcome
from tests.server import Server

THREADS = 4  # of the service, each with a connection
CLIENTS = 8  # two for each thread: a queue that moves is waited in for as long as it is
LIMIT = 3  # seconds that a lock or a statement may take
GOAL_SECONDS = float(LIMIT + WAIT_SECONDS)
AT_ONCE = 1.0  # seconds
RETURN_SECONDS = 2.0
REFILL_SECONDS = 3.0
CONTROL_SECONDS = 6.0
UNLIMITED = {"DATABASE_LOCK_TIMEOUT": "0", "DATABASE_STATEMENT_TIMEOUT": "0"}
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


WAYS = {
    "lock timeout": {"DATABASE_LOCK_TIMEOUT": str(LIMIT)},
    "statement timeout": {**UNLIMITED, "DATABASE_STATEMENT_TIMEOUT": str(LIMIT)},
}


class Result(NamedTuple):
    statuses: Counter[int]
    wrong: list[str]  # those that are neither a success nor a problem 503 with Retry-After
    slowest: float  # seconds
    slowest_health: float
    return_seconds: float  # from the release, at a time when all wait, until every request of a round succeeds

    @property
    def is_met(self) -> bool:
        is_in_time = self.slowest <= GOAL_SECONDS and self.slowest_health <= AT_ONCE
        is_back = self.return_seconds <= RETURN_SECONDS
        return not self.wrong and self.statuses[503] > 0 and is_in_time and is_back


@contextmanager
def locked(data_dir: Path) -> Iterator[psycopg.Connection]:
    """Whoever reads or writes tasks waits, once, for this lock; `commit()` of what is yielded releases it.

    PostgreSQL counts the timeout for each lock anew: for those of tasks_task, two writes of a user would wait twice.
    """
    with psycopg.connect(f"postgresql://tickbase@/tickbase?host={data_dir}/postgres") as holder:
        holder.execute("LOCK TABLE tasks_feed")
        yield holder


def keep_busy(way: str, seconds: float) -> Result:
    with folder() as path, Server(path, **WAYS[way]) as server, ThreadPoolExecutor(1) as pool:
        tokens = sign_in_several(server)
        with locked(path) as holder:
            asked = pool.submit(ask_all, server, tokens, seconds, CLIENTS)
            wait_until_full(holder)
            slowest_health = watch_health(server, tokens[0], asked)
            waiting = pool.submit(ask_all, server, tokens, REFILL_SECONDS, CLIENTS)
            wait_until_full(holder)
            holder.commit()
            return_seconds = wait_until_back(server, tokens)
        return result_of(asked.result() + waiting.result(), slowest_health, return_seconds)


def wait_until_full(holder: psycopg.Connection) -> None:
    deadline = time.monotonic() + 10
    while holder.execute(WAITING).fetchone() != (THREADS,):
        assert time.monotonic() < deadline, f"not all {THREADS} connections wait for the lock"
        time.sleep(0.01)


def watch_health(server: Server, token: str, asked: Future[list[Asked]]) -> float:
    """The slowest answer of /healthz, in seconds, until all is answered."""
    slowest = 0.0
    with client_of(server, token) as client:
        while not asked.done():
            began = time.monotonic()
            assert client.get("/healthz").status_code == 200
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.05)
    return slowest


def wait_until_back(server: Server, tokens: list[str]) -> float:
    began = time.monotonic()
    while not all(each.answer.is_success for each in ask_all(server, tokens, 0, CLIENTS)):
        assert time.monotonic() - began < 30, "the service does not come back"
    return time.monotonic() - began


def result_of(found: list[Asked], slowest_health: float, return_seconds: float) -> Result:
    is_right = lambda answer: answer.is_success or is_outage(answer)  # noqa: E731
    return Result(
        Counter(each.answer.status_code for each in found),
        [f"{each.answer.request.url.path} {each.answer.status_code}" for each in found if not is_right(each.answer)],
        max(each.seconds for each in found),
        slowest_health,
        return_seconds,
    )


def unlimited_request_waits(seconds: float) -> bool:
    """The control: whether a request without timeouts in the database is still waiting after so long."""
    with folder() as path, Server(path, **UNLIMITED) as server, client_of(server, sign_in(server)) as client:
        assert client.get("/api/me/tasks").status_code == 200
        with locked(path):
            try:
                client.get("/api/me/tasks", timeout=seconds)
            except httpx.ReadTimeout:
                return True
        return False


def measure() -> Outcome:
    results = {way: keep_busy(way, 12) for way in WAYS}
    is_control_waiting = unlimited_request_waits(CONTROL_SECONDS)
    goal = f"200 or 503 problem in {GOAL_SECONDS:.0f} s; /healthz in {AT_ONCE:.0f} s; back in {RETURN_SECONDS:.0f} s"
    return Outcome(
        "every thread and connection busy",
        goal,
        "; ".join(f"{way}: {text(result)}" for way, result in results.items()),
        f"no timeouts: {'no answer' if is_control_waiting else 'answers'} in {CONTROL_SECONDS:.0f} s",
        all(result.is_met for result in results.values()) and is_control_waiting,
    )


def text(result: Result) -> str:
    statuses = " ".join(f"{status}×{count}" for status, count in sorted(result.statuses.items()))
    return (
        f"{statuses}, {len(result.wrong)} not so, slowest {result.slowest:.1f} s, "
        f"/healthz {result.slowest_health:.2f} s, all back in {result.return_seconds:.2f} s"
    )
