"""Several instances behind Caddy: one that stops or starts loses no request."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from config.server.bridge import CLOSE
from tests.commands.databases import database
from tests.config.test_deploy import caddy, folder, needs_caddy
from tests.server import Server

DRAIN = 3  # seconds
REQUESTS = 2000
CLIENTS = 6

pytestmark = [needs_caddy, pytest.mark.process]


class Clients:
    """Write and read in turns, each request once: no Idempotency-Key, no second try."""

    def __init__(self, base: str, token: str) -> None:
        self.seen: Counter[object] = Counter()
        self.made: set[int] = set()
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self._base, self._headers = base, {"Authorization": f"Bearer {token}"}

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join()

    def wait_for(self, requests: int) -> None:
        before = self.seen.total()
        while self.seen.total() < before + requests:
            self._is_over.wait(0.05)

    def _run(self) -> None:
        with httpx.Client(base_url=self._base, headers=self._headers, timeout=30) as client:
            while not self._is_over.is_set():
                self._ask(client, "POST", "/api/me/tasks", json={"title": "Water the plants"})
                self._ask(client, "GET", "/api/me/tasks?limit=1")

    def _ask(self, client: httpx.Client, method: str, path: str, **body: object) -> None:
        answer: object = None
        made: set[int] = set()
        try:
            response = client.request(method, path, **body)  # type: ignore[arg-type]
            answer = response.status_code if response.is_success else (response.status_code, method, response.text)
            made = {response.json()["id"]} if answer == 201 else set()
        except httpx.TransportError as error:
            answer = type(error)
        with self._lock:
            self.seen[answer] += 1
            self.made |= made


def failures(place: Path) -> list[str]:
    """What Caddy says of them."""
    lines = map(json.loads, (place / "caddy.log").read_text().splitlines())
    return [f"{line['ts']} {line['msg']}" for line in lines if line["level"] == "error"]


def test_of_two_instances_one_can_stop_and_both_be_replaced_and_no_request_is_lost() -> None:
    with ExitStack() as stack:
        place, shared = stack.enter_context(folder()), stack.enter_context(database("rolling"))
        common = {"DATABASE_URL": shared.url, "TRUSTED_PROXIES": "1", "DRAIN_SECONDS": str(DRAIN)}
        own = {"JWT_SIGNING_KEY": "k" * 48, "SECRET_KEY": "s" * 48}  # which instances share
        servers = [Server(place / name, **common, **own) for name in ("one", "two")]
        for server in servers:
            stack.enter_context(server)
        base = stack.enter_context(caddy(servers, place))
        account = {"email": "ada@example.com", "password": "correct horse battery"}
        token = httpx.post(f"{base}/api/auth/register", json=account).raise_for_status().json()["access"]
        clients = Clients(base, token)
        with clients.running():
            for server in servers:
                clients.wait_for(REQUESTS // 8)
                server.stop()
                clients.wait_for(REQUESTS // 4)  # by the other one
                server.start()
            clients.wait_for(REQUESTS // 4)
        assert clients.seen.keys() == {200, 201}, [clients.seen, *failures(place)]
        assert clients.seen.total() >= REQUESTS
        assert {pk for (pk,) in shared.fetch("SELECT id FROM tasks_task")} == clients.made


def test_an_instance_that_stops_says_so_and_closes_each_connection() -> None:
    with folder() as place, Server(place / "data", DRAIN_SECONDS=str(DRAIN)) as server:
        with httpx.Client(base_url=server.base) as client:
            assert client.get("/readyz").status_code == 200
            stopping = threading.Thread(target=server.stop)
            stopping.start()
            closing = dict([CLOSE])
            while (answer := client.get("/readyz")).status_code == 200:
                pass
            assert (answer.status_code, answer.json()["code"]) == (503, "stopping")
            assert answer.headers["Connection"].encode() == closing[b"connection"]
            assert client.get("/healthz").headers["Connection"] == "close"
            stopping.join()
        with pytest.raises(httpx.ConnectError), suppress(httpx.ReadError):
            httpx.get(f"{server.base}/healthz")
