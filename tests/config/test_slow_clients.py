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
from tests.slow_clients import KINDS, LARGE_ANSWER, SlowClients

SECONDS = 2
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """Signed in, and impatient."""
    with httpx.Client(base_url=server.base, timeout=5) as client:
        account = {"email": f"{uuid4()}@example.com", "password": PASSWORD}
        access = client.post("/api/auth/register", json=account).json()["access"]
        client.headers["Authorization"] = f"Bearer {access}"
        yield client


@contextmanager
def database(server: Server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(f"host={server.data_dir / 'postgres'} user=tickbase dbname=tickbase") as connection:
        yield connection


# --- Slow -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, count", [(kind, 1000 if kind == "idle" else 200) for kind in KINDS])
def test_slow_clients_keep_nobody_waiting(server: Server, client: httpx.Client, kind: str, count: int) -> None:
    with SlowClients(server, kind, count):
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            assert client.post("/api/me/tasks", json={"title": "a"}).status_code == 201
            assert client.get("/api/me/tasks").status_code == 200


def test_a_slow_reader_gets_a_large_answer_whole(client: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        body = {"title": "a", "description": "é" * 10_000}
        answers = pool.map(lambda _: client.post("/api/me/tasks", json=body), range(70))
        assert {answer.status_code for answer in answers} == {201}
    with client.stream("GET", "/api/users/me/export") as answer:
        assert int(answer.headers["Content-Length"]) > 1024 * 1024
        answer.read()
    assert [len(task["description"]) for task in answer.json()["tasks"]] == [10_000] * 70


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_slow_clients_do_not_hold_up_the_end(signum: signal.Signals) -> None:
    with TemporaryDirectory(prefix="tickbase-") as folder, ExitStack() as clients:
        server = Server(Path(folder))
        server.start()
        for kind in KINDS:
            clients.enter_context(SlowClients(server, kind, 20))
        started = time.monotonic()
        assert server.stop(signum) == 0
        assert time.monotonic() - started < 20
        assert server.processes() == []


# --- Gone -------------------------------------------------------------------------------------------


def reset(connection: socket.socket) -> None:
    """Go away as a client that has crashed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_clients_that_go_away_leave_nothing_behind(server: Server, client: httpx.Client) -> None:
    token = client.headers["Authorization"]
    head = f"Host: localhost\r\nAuthorization: {token}\r\nContent-Type: application/json\r\n"
    cut_body = f'POST /api/me/tasks HTTP/1.1\r\n{head}Content-Length: 100\r\n\r\n{{"title'
    for start in [cut_body, f"GET {LARGE_ANSWER} HTTP/1.1\r\n{head}\r\n", f"GET /api/me/tasks HTTP/1.1\r\n{head}\r\n"]:
        for _ in range(20):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=5)
            connection.sendall(start.encode())
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


def test_while_every_thread_waits_for_the_database_the_rest_is_refused_soon(
    server: Server, client: httpx.Client
) -> None:
    with ThreadPoolExecutor(4) as pool:
        with database(server) as session:
            session.execute("LOCK TABLE tasks_feed IN ACCESS EXCLUSIVE MODE")
            slow = [pool.submit(client.post, "/api/me/tasks", json={"title": "a"}, timeout=30) for _ in range(4)]
            refused = next(answer for answer in iter(lambda: client.get("/api/users/me"), None) if answer.is_error)
            started = time.monotonic()
            assert client.get("/healthz").status_code == 200
            assert time.monotonic() - started < 1
        statuses = [waiting.result().status_code for waiting in slow]
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.elapsed.total_seconds() < 4
    assert set(statuses) <= {201, 503}
    assert client.get("/api/users/me").status_code == 200
