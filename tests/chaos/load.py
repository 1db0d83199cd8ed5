"""Clients that create tasks without pause, and remember what they were told about each."""

import random
import threading
import time
import uuid
from collections import Counter
from types import TracebackType
from typing import NamedTuple, Self

import httpx

from tests.server import Server

ACCOUNT = {"email": "ada@example.com", "password": "correct horse battery"}
SETTLE_SECONDS = 60
PAUSE = 0.2  # seconds after a refusal; less than Retry-After says, so as to see when the service is back


class Seen(NamedTuple):
    """One answer, or none (status 0)."""

    at: float  # time.monotonic()
    seconds: float
    status: int
    retry_after: str | None


class Load:
    """`with Load(server):` writes until the block ends. `keyed=False` leaves out the Idempotency-Key."""

    def __init__(self, server: Server, *, clients: int = 4, keyed: bool = True, size: int = 0) -> None:
        self.server = server
        self.keyed = keyed
        self.size = size  # bytes of each description
        self.acknowledged: list[str] = []  # titles that were answered 201
        self.unanswered: list[str] = []
        self.seen: list[Seen] = []
        self.token = sign_in(server)
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._write) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _write(self) -> None:
        with client_of(self.server, self.token) as client:
            while not self._is_over.is_set():
                title = uuid.uuid4().hex
                is_created = self._create(client, title)
                (self.acknowledged if is_created else self.unanswered).append(title)

    def _create(self, client: httpx.Client, title: str) -> bool:
        key = {"Idempotency-Key": title} if self.keyed else {}
        began = time.monotonic()
        try:
            answer = client.post("/api/me/tasks", json=self._task(title), headers=key)
            status, retry_after = answer.status_code, answer.headers.get("Retry-After")
        except httpx.TransportError:
            status, retry_after = 0, None
        self.seen.append(Seen(time.monotonic(), time.monotonic() - began, status, retry_after))
        if status != 201:
            self._is_over.wait(PAUSE)
        return status == 201

    def _task(self, title: str) -> dict[str, str]:
        """Of one title always the same, as it is sent again with its key."""
        return {"title": title, "description": random.Random(title).randbytes(self.size // 2).hex()}

    def wait_for(self, writes: int, seconds: float = 30) -> None:
        """Until so many more writes are acknowledged."""
        goal, deadline = len(self.acknowledged) + writes, time.monotonic() + seconds
        while len(self.acknowledged) < goal:
            assert time.monotonic() < deadline, f"the service does not come back; last seen: {self.seen[-5:]}"
            time.sleep(0.01)

    def settle(self) -> None:
        """Send again what was not answered, as a client does, until it is."""
        deadline = time.monotonic() + SETTLE_SECONDS
        with client_of(self.server, self.token) as client:
            while self.unanswered:
                assert time.monotonic() < deadline, f"not answered: {len(self.unanswered)}, {self.seen[-1]}"
                title = self.unanswered.pop()
                is_created = self._create(client, title)
                (self.acknowledged if is_created else self.unanswered).append(title)

    def stored(self) -> Counter[str]:
        """How often each title is there, as the user sees it."""
        titles: Counter[str] = Counter()
        address: str | None = "/api/me/tasks?limit=200"
        with client_of(self.server, self.token) as client:
            while address:
                answer = client.get(address)
                assert answer.status_code == 200, answer.text
                titles.update(task["title"] for task in answer.json())
                link = answer.links.get("next")
                address = str(answer.url.join(link["url"])) if link else None
        return titles

    def lost(self) -> int:
        """How many acknowledged writes are not there."""
        stored = self.stored()
        return sum(stored[title] == 0 for title in self.acknowledged)

    def doubled(self) -> int:
        return sum(times > 1 for times in self.stored().values())


def sign_in(server: Server, email: str = ACCOUNT["email"]) -> str:
    account = {**ACCOUNT, "email": email}
    answer = httpx.post(f"{server.base}/api/auth/register", json=account, timeout=30)
    if answer.status_code == 409:
        answer = httpx.post(f"{server.base}/api/auth/login", json=account, timeout=30)
    access: str = answer.json()["access"]
    return access


def sign_in_several(server: Server) -> list[str]:
    """As many accounts as the service has threads: of each it runs two requests at once."""
    return [sign_in(server), *(sign_in(server, f"ada{number}@example.com") for number in range(3))]


def client_of(server: Server, token: str) -> httpx.Client:
    # Reading the certificates of the world takes longer than many a test.
    return httpx.Client(base_url=server.base, headers={"Authorization": f"Bearer {token}"}, timeout=30, verify=False)
