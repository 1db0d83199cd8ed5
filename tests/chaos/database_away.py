"""The database is stopped, or hangs: every answer is a 503 within seconds, and nobody has to restart the service."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import httpx
import psycopg

from tests.chaos.cluster import Cluster, service
from tests.chaos.load import ACCOUNT, client_of, sign_in_several
from tests.chaos.outcome import Outcome
from tests.server import Server

GOAL_SECONDS = 4.0
CLIENTS = 12  # three for each thread of the service
KEPT_SECONDS = 1.0  # for which /readyz keeps its answer (config.observability.health, which needs the settings)
PAUSE = 0.1  # seconds; the clients shall not take the processor from the service
ROUTES: list[tuple[str, str, dict[str, str] | None]] = [
    ("GET", "/api/me/tasks", None),
    ("POST", "/api/me/tasks", {"title": "a"}),
    ("POST", "/api/auth/login", ACCOUNT),
    ("GET", "/readyz", None),
]


class Asked(NamedTuple):
    answer: httpx.Response
    began_at: float  # in time.monotonic()
    seconds: float


class Result(NamedTuple):
    answers: int
    wrong: list[str]  # those that are not a problem 503 with Retry-After
    slowest: float  # seconds
    return_seconds: float  # from the end of the outage until /readyz and a write succeed


@contextmanager
def stopped(database: Cluster) -> Iterator[None]:
    database.stop()
    yield
    database.start()


WAYS: dict[str, Callable[[Cluster], AbstractContextManager[None]]] = {"stopped": stopped, "frozen": Cluster.frozen}


def take_away(way: str, server: Server, database: Cluster, seconds: float) -> Result:
    tokens = sign_in_several(server)
    assert {asked.answer.status_code for asked in ask_all(server, tokens, 0)} == {200, 201}
    with WAYS[way](database):
        gone_at = time.monotonic()
        found = ask_all(server, tokens, seconds)
        assert httpx.get(f"{server.base}/healthz").status_code == 200
    return_seconds = wait_until_back(server, tokens[0])
    answers = [
        asked.answer for asked in found if not (is_readiness(asked.answer) and asked.began_at < gone_at + KEPT_SECONDS)
    ]
    wrong = [f"{answer.request.url.path} {answer.status_code}" for answer in answers if not is_outage(answer)]
    return Result(len(found), wrong, max(asked.seconds for asked in found), return_seconds)


def ask_all(server: Server, tokens: list[str], seconds: float, clients: int = CLIENTS) -> list[Asked]:
    """What each of the clients got, one route after the other."""
    until = time.monotonic() + seconds

    def ask(number: int) -> list[Asked]:
        found: list[Asked] = []
        with client_of(server, tokens[number % len(tokens)]) as client:
            while not found or time.monotonic() < until:
                method, path, body = ROUTES[(number + len(found)) % len(ROUTES)]
                began = time.monotonic()
                answer = client.request(method, path, json=body)
                found.append(Asked(answer, began, time.monotonic() - began))
                time.sleep(PAUSE)
        return found

    with ThreadPoolExecutor(clients) as pool:
        return [each for found in pool.map(ask, range(clients)) for each in found]


def is_readiness(answer: httpx.Response) -> bool:
    """Its answer may be that of a second ago."""
    return answer.request.url.path == "/readyz"


def is_outage(answer: httpx.Response) -> bool:
    is_problem = answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code == 503 and is_problem and int(answer.headers["Retry-After"]) > 0


def wait_until_back(server: Server, token: str) -> float:
    began = time.monotonic()
    with client_of(server, token) as client:
        while client.get("/readyz").status_code != 200:
            assert time.monotonic() - began < 30, "the service does not come back"
            time.sleep(0.05)
        answer = client.post("/api/me/tasks", json={"title": "back"})
    assert answer.status_code == 201, answer.text
    return time.monotonic() - began


def plain_connection_waits(database: Cluster, seconds: float) -> bool:
    """The control: whether psycopg's own connection to a frozen server is still waiting after so long."""
    with psycopg.connect(database.url) as plain:
        waiting = threading.Thread(target=plain.execute, args=["SELECT 1"])
        with database.frozen():
            waiting.start()
            waiting.join(seconds)
            is_waiting = waiting.is_alive()
        waiting.join()
        return is_waiting


def measure(way: str) -> Outcome:
    with service() as (server, database):
        result = take_away(way, server, database, 15)
        is_control_waiting = plain_connection_waits(database, GOAL_SECONDS)
    return Outcome(
        f"database {way}",
        f"503 problem in {GOAL_SECONDS:.0f} s, no restart",
        f"{result.answers} answers, {len(result.wrong)} not so, slowest {result.slowest:.1f} s, "
        f"back in {result.return_seconds:.1f} s",
        f"psycopg alone, frozen server: {'no answer' if is_control_waiting else 'answers'} in {GOAL_SECONDS:.0f} s",
        not result.wrong and result.slowest <= GOAL_SECONDS and is_control_waiting,
    )
