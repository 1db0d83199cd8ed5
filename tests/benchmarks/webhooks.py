"""What webhooks do under load: how fast to one endpoint, what a dead one does to 99 others, `kill -9` of the worker.

python -m tests.benchmarks.webhooks [speed|dead|kills …]
"""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import httpx

from tests.receiver import ACCEPTED, LOOPBACK, Answer, Received, Receiver, receiving
from tests.server import ROOT, Server

PASSWORD = "correct horse battery"
EVENTS = 3000
USERS = 100
SECONDS = 60.0  # of writes beside a dead endpoint
PAUSE = 0.05  # between two of them
KILLS = 20
EXPIRE = """
from config.database.isolation import all_users
from django.utils import timezone
from users.webhooks.models import Endpoint
with all_users():
    Endpoint.objects.exclude(leased_until=None).update(leased_until=timezone.now())
"""

_numbers = count(1)
_clients: list[httpx.Client] = []  # to be closed with the service


class User:
    """Whoever registers here, with requests of theirs."""

    def __init__(self, server: Server) -> None:
        self.client = httpx.Client(base_url=server.base, timeout=60)
        _clients.append(self.client)
        account = {"email": f"user{next(_numbers)}@example.com", "password": PASSWORD}
        answer = self.client.post("/api/auth/register", json=account).raise_for_status()
        self.client.headers["Authorization"] = f"Bearer {answer.json()['access']}"

    def listen(self, url: str) -> int:
        answer = self.client.post("/api/me/webhooks", json={"url": url, "events": ["task.created"]})
        return int(answer.raise_for_status().json()["id"])

    def write(self, title: str = "Task") -> int:
        answer = self.client.post("/api/me/tasks", json={"title": title}).raise_for_status()
        return int(answer.json()["version"])

    def write_many(self, number: int) -> list[int]:
        operations = [{"op": "create", "type": "task", "body": {"title": "Task"}} for _ in range(number)]
        answer = self.client.post("/api/me/batch", json={"operations": operations}).raise_for_status()
        return [result["object"]["version"] for result in answer.json()["results"]]


@contextmanager
def serving(**environment: str) -> Iterator[Server]:
    own = {"BACKGROUND": "on", "WEBHOOK_ALLOWED_NETWORKS": LOOPBACK, **environment}
    with TemporaryDirectory(prefix="tickbase-") as folder, Server(Path(folder), **own) as server:
        try:
            yield server
        finally:
            while _clients:
                _clients.pop().close()


def versions(receiver: Receiver) -> list[int]:
    return [each["data"]["version"] for each in receiver.events]


def wait_for(is_there: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not is_there():
        if time.monotonic() > deadline:
            raise TimeoutError("it has not come")
        time.sleep(0.02)


# --- One endpoint -----------------------------------------------------------------------------------


class Speed(NamedTuple):
    a_second: float
    in_order: bool


def speed(events: int = EVENTS) -> Speed:
    with serving() as server, receiving() as receiver:
        user = User(server)
        hook = user.listen(receiver.url)
        user.client.patch(f"/api/me/webhooks/{hook}", json={"active": False}).raise_for_status()
        written = [version for _ in range(events // 100) for version in user.write_many(100)]
        user.client.patch(f"/api/me/webhooks/{hook}", json={"active": True}).raise_for_status()
        wait_for(lambda: len(receiver.received) > 0)
        began, before = time.monotonic(), len(receiver.received)
        wait_for(lambda: len(receiver.received) >= events, 600)
        return Speed((events - before) / (time.monotonic() - began), versions(receiver) == written)


# --- A dead one beside others -----------------------------------------------------------------------


class Waiting(NamedTuple):
    written: int
    median: float
    p99: float
    most: float
    attempts: int  # at the dead one


@contextmanager
def dead() -> Iterator[tuple[str, list[socket.socket]]]:
    """An endpoint that accepts connections and never answers."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_hold, args=[listener, held], daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook", held
    for each in held:
        each.close()


def _hold(listener: socket.socket, held: list[socket.socket]) -> None:
    while True:
        try:
            held.append(listener.accept()[0])
        except OSError:
            return


def beside_a_dead_one(users: int = USERS, seconds: float = SECONDS) -> Waiting:
    arrived: dict[str, float] = {}

    def note(received: Received) -> Answer:
        arrived[received.event["data"]["object"]["title"]] = time.monotonic()
        return ACCEPTED

    with serving() as server, receiving() as receiver, dead() as (url, held):
        receiver.answers = [note]
        others = [User(server) for _ in range(users - 1)]
        for number, user in enumerate(others):
            user.listen(receiver.url)
            user.write(f"first {number}")
        wait_for(lambda: len(arrived) == len(others))
        unlucky = User(server)
        unlucky.listen(url)
        unlucky.write()
        wait_for(lambda: len(held) > 0)
        began = time.monotonic()
        written: dict[str, float] = {}
        while time.monotonic() - began < seconds:
            title = f"{len(written)}"
            others[len(written) % len(others)].write(title)
            written[title] = time.monotonic()
            time.sleep(PAUSE)
        wait_for(lambda: written.keys() <= arrived.keys())
        waited = sorted(arrived[title] - at for title, at in written.items())
        at = round(len(waited) * 0.99) - 1
        return Waiting(len(waited), waited[len(waited) // 2], waited[at], waited[-1], len(held))


# --- kill -9 ----------------------------------------------------------------------------------------


class Killed(NamedTuple):
    kills: int
    written: int
    lost: int
    out_of_order: int
    doubled: int
    doubled_elsewhere: int  # that were not in flight when the worker died


def kill_workers(kills: int = KILLS) -> Killed:
    with serving(BACKGROUND="off") as server, receiving() as receiver, working(server) as kill:
        user = User(server)
        user.listen(receiver.url)
        ended = threading.Event()
        written: list[int] = []
        receiver.answers = [slowly]

        def load() -> None:
            while not ended.wait(0.7):
                written.extend(user.write_many(20))

        writer = threading.Thread(target=load)
        writer.start()
        try:
            for _ in range(kills):
                before = len(receiver.received)
                wait_for(lambda before=before: len(receiver.received) > before + 30)  # type: ignore[misc]
                kill()
        finally:
            ended.set()
            writer.join()
        wait_for(lambda: receiver.received[-1].event["data"]["version"] == written[-1], 600)
        return judged(kills, written, versions(receiver))


def slowly(received: Received) -> Answer:
    """So that one is in flight most of the time."""
    time.sleep(0.01)
    return ACCEPTED


@contextmanager
def working(server: Server) -> Iterator[Callable[[], None]]:
    """A worker beside a server that has none; yields what kills it and starts another one at once, as the server would
    do after a pause that grows."""
    command = [sys.executable, "manage.py", "work"]
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        with server.log.open("ab") as log:
            running.append(subprocess.Popen(command, cwd=ROOT, env=server.environment, stdout=log, stderr=log))

    def kill() -> None:
        running[-1].kill()
        running[-1].wait()
        server.manage("shell", "--verbosity=0", "-c", EXPIRE)  # as if the lease's minute were over
        start()

    start()
    try:
        yield kill
    finally:
        running[-1].terminate()
        running[-1].wait()


def judged(kills: int, written: list[int], received: list[int]) -> Killed:
    """A double is of the one in flight if it comes right after itself."""
    seen: set[int] = set()
    out_of_order = doubled = elsewhere = last = 0
    for version in received:
        if version in seen:
            doubled += 1
            elsewhere += version != last
        elif version < last:
            out_of_order += 1
        seen.add(version)
        last = version
    return Killed(kills, len(written), len({*written} - seen), out_of_order, doubled, elsewhere)


MEASURED: dict[str, Callable[[], object]] = {"speed": speed, "dead": beside_a_dead_one, "kills": kill_workers}

if __name__ == "__main__":
    for name in sys.argv[1:] or MEASURED:
        load = os.getloadavg()[0]
        sys.stdout.write(f"{name}: {MEASURED[name]()} (load before {load:.1f})\n")
        sys.stdout.flush()
