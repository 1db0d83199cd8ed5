"""Clients that are slow, gone or refused early, over real sockets: nobody else may notice."""

import http.client
import signal
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.factories import PASSWORD
from tests.server import Server
from tests.slow_clients import KINDS, TASKS, SlowClients, fill, start_of

pytestmark = pytest.mark.process

SECONDS = 2
JSON = {"Content-Type": "application/json"}


@contextmanager
def signed_in(server: Server) -> Iterator[httpx.Client]:
    """As a new account, and impatient."""
    with httpx.Client(base_url=server.base, timeout=5) as client:
        account = {"email": f"{uuid4()}@example.com", "password": PASSWORD}
        access = client.post("/api/auth/register", json=account).json()["access"]
        client.headers["Authorization"] = f"Bearer {access}"
        yield client


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with signed_in(server) as client:
        yield client


@pytest.fixture(scope="module")
def full(server: Server) -> Iterator[httpx.Client]:
    """Whose export is large."""
    with signed_in(server) as client:
        fill(client)
        yield client


def token_of(client: httpx.Client) -> str:
    return client.headers["Authorization"].removeprefix("Bearer ")


@contextmanager
def database(server: Server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(f"host={server.data_dir / 'postgres'} user=tickbase dbname=tickbase") as connection:
        yield connection


# --- Slow -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, count", [("heads", 200), ("bodies", 200), ("readers", 40), ("idle", 1000)])
def test_slow_clients_keep_nobody_waiting(
    server: Server, client: httpx.Client, full: httpx.Client, kind: str, count: int
) -> None:
    with SlowClients(server.port, kind, count, token_of(full)):
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            assert client.post("/api/me/tasks", json={"title": "a"}).status_code == 201
            assert client.get("/api/me/tasks").status_code == 200


def test_a_large_export_arrives_whole(full: httpx.Client) -> None:
    answer = full.get("/api/users/me/export")
    assert int(answer.headers["Content-Length"]) == len(answer.content) > 1024 * 1024
    assert [len(task["description"]) for task in answer.json()["tasks"]] == [10_000] * TASKS


def test_slow_clients_do_not_hold_up_the_end() -> None:
    with TemporaryDirectory(prefix="tickbase-") as folder, ExitStack() as clients:
        server = Server(Path(folder))
        server.start()
        client = clients.enter_context(signed_in(server))
        fill(client)
        for kind in KINDS:
            clients.enter_context(SlowClients(server.port, kind, 20, token_of(client)))
        started = time.monotonic()
        assert server.stop(signal.SIGTERM) == 0
        assert time.monotonic() - started < 20
        assert server.processes() == []


# --- Gone -------------------------------------------------------------------------------------------


def reset(connection: socket.socket) -> None:
    """Go away as a client that has crashed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_clients_that_go_away_leave_nothing_behind(server: Server, client: httpx.Client, full: httpx.Client) -> None:
    requests = [start_of("bodies", token_of(client)), start_of("readers", token_of(full))]
    for request in [*requests, b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"]:
        for _ in range(20):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=5)
            connection.sendall(request)
            reset(connection)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: client.get("/api/me/tasks"), range(16)))
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, [])] * 16
    with database(server) as session:
        count = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state LIKE 'idle in%'"
        assert session.execute(count).fetchone() == (0,)


# --- Refused early ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method, path, headers, status",
    [
        ("POST", "/api/me/tasks", {}, 401),
        ("POST", "/api/nothing", {}, 404),
        ("PUT", "/api/auth/login", {}, 405),
        ("POST", "/api/auth/login", {"Content-Type": "text/plain"}, 415),
    ],
)
def test_the_connection_outlives_a_refusal_before_the_body(
    server: Server, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    for _ in range(2):
        connection.putrequest(method, path)
        for name, value in {**JSON, **headers, "Content-Length": "2"}.items():
            connection.putheader(name, value)
        connection.endheaders()
        time.sleep(0.05)  # the answer is made before the body is there, if it can be
        connection.send(b"{}")
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (status, True)
        assert answer.headers["Connection"] is None
    connection.close()


def start_of_answer(server: Server, expectation: str) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(f"POST /api/me/tasks HTTP/1.1\r\nHost: localhost\r\n{expectation}\r\n\r\n".encode())
        return connection.recv(65_536)


def test_a_client_that_asks_first_is_told_to_go_on(server: Server) -> None:
    answer = start_of_answer(server, "Content-Length: 2\r\nExpect: 100-continue")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n")


@pytest.mark.parametrize("framing", ["Content-Length: 2000000\r\nExpect: 100-continue", "Content-Length: 99000000"])
def test_a_body_that_is_far_too_large_is_refused_unread(server: Server, framing: str) -> None:
    answer = start_of_answer(server, f"{framing}\r\nContent-Type: application/json").lower()
    assert b"connection: close\r\n" in answer
    assert not answer.startswith(b"http/1.1 100")


# --- Overloaded -------------------------------------------------------------------------------------


def test_while_every_thread_waits_for_the_database_the_rest_is_refused_soon() -> None:
    with (
        TemporaryDirectory(prefix="tickbase-") as folder,
        Server(Path(folder), DATABASE_LOCK_TIMEOUT="12") as server,
        signed_in(server) as client,
        signed_in(server) as first,
        signed_in(server) as second,
        ThreadPoolExecutor(5) as pool,
    ):
        with database(server) as session:
            session.execute("LOCK TABLE tasks_feed IN ACCESS EXCLUSIVE MODE")
            clients = [first, second, first, second]  # each runs two requests at once, and there are four threads
            slow = [pool.submit(each.post, "/api/me/tasks", json={"title": "a"}, timeout=30) for each in clients]
            while session.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() != (4,):
                assert not any(waiting.done() for waiting in slow)
            waits = pool.submit(first.get, "/api/users/me", timeout=30)
            refused = client.get("/api/users/me", timeout=30)
            started = time.monotonic()
            assert client.get("/healthz").status_code == 200
            assert time.monotonic() - started < 1
            own = waits.result()
        statuses = [waiting.result().status_code for waiting in slow]
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert (own.status_code, own.json()["code"]) == (429, "too_many_at_once")
        assert int(refused.headers["Retry-After"]) > 0
        assert refused.elapsed.total_seconds() < 8
        assert statuses == [201] * 4
        assert client.get("/api/users/me").status_code == 200
