"""The server drops idle connections, as Neon does before it sleeps: no request fails of it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
from psycopg_pool import ConnectionPool

from tests.chaos.cluster import ROLE, Cluster, service
from tests.chaos.load import client_of, sign_in
from tests.chaos.outcome import Outcome
from tests.server import Server

REQUESTS = 40
CLIENTS = 4  # as many as the service has threads, and connections


def drop_idle(database: Cluster) -> None:
    [(dropped,)] = database.sql(
        f"SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE usename = '{ROLE}'"
    )
    assert dropped > 0


def restart(database: Cluster) -> None:
    database.stop()
    database.start()


WAYS: dict[str, Callable[[Cluster], None]] = {"terminated": drop_idle, "restarted": restart}


def failures(way: str, server: Server, database: Cluster) -> int:
    """Of the requests after the drop."""
    token = sign_in(server)
    assert requests(server, token).count(201) == REQUESTS
    WAYS[way](database)
    return REQUESTS - requests(server, token).count(201)


def requests(server: Server, token: str) -> list[int]:
    with client_of(server, token) as client, ThreadPoolExecutor(CLIENTS) as pool:
        send = lambda number: client.post("/api/me/tasks", json={"title": str(number)}).status_code  # noqa: E731
        return list(pool.map(send, range(REQUESTS)))


def failures_of_a_plain_pool(database: Cluster) -> int:
    """The control: psycopg's pool as it comes, with queries in place of requests."""
    with ConnectionPool(database.url, min_size=CLIENTS, open=True) as plain:
        plain.wait()
        drop_idle(database)
        return [query_fails(plain) for _ in range(REQUESTS)].count(True)


def query_fails(pool: ConnectionPool[psycopg.Connection]) -> bool:
    try:
        with pool.connection() as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


def measure() -> Outcome:
    with service() as (server, database):
        failed = {way: failures(way, server, database) for way in WAYS}
        control = failures_of_a_plain_pool(database)
    measured = ", ".join(f"{way}: {count} of {REQUESTS} fail" for way, count in failed.items())
    return Outcome(
        "idle connections dropped",
        f"0 of {REQUESTS} fail",
        measured,
        f"psycopg's pool as it comes: {control} of {REQUESTS} fail",
        not any(failed.values()) and control > 0,
    )
