"""The server drops idle connections, as Neon does before it sleeps: no request fails of it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg

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


def failures_of_plain_connections(database: Cluster) -> int:
    """The control: psycopg's connections as they come, kept, each replaced after an error, as Django does it."""
    plain = [psycopg.connect(database.url) for _ in range(CLIENTS)]
    drop_idle(database)
    failed = 0
    for number in range(REQUESTS):
        try:
            plain[number % CLIENTS].execute("SELECT 1")
        except psycopg.OperationalError:
            failed += 1
            plain[number % CLIENTS] = psycopg.connect(database.url)
    for each in plain:
        each.close()
    return failed


def measure() -> Outcome:
    with service() as (server, database):
        failed = {way: failures(way, server, database) for way in WAYS}
        control = failures_of_plain_connections(database)
    measured = ", ".join(f"{way}: {count} of {REQUESTS} fail" for way, count in failed.items())
    return Outcome(
        "idle connections dropped",
        f"0 of {REQUESTS} fail",
        measured,
        f"psycopg's connections as they come: {control} of {REQUESTS} fail",
        not any(failed.values()) and control > 0,
    )
