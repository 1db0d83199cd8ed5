"""Mixed writes by 16 clients of 4 users, against the service with two workers; then all must be as they were told.

`python -m tests.soak [SECONDS]`, or `make soak`. With `--rival`, a transaction that takes its locks in the wrong
order is in everybody's way: it shows that deadlocks would be seen, and that they are retried.
"""

import argparse
import random
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.server import Server

USERS, CLIENTS_OF_EACH = 4, 4
# How often each kind of request is made. A new password is hashed slowly, and ends the sessions of the others.
WEIGHTS = {
    "create": 8, "change": 8, "change_if_match": 4, "toggle": 5, "delete": 3, "read": 2, "refresh": 3, "rename": 3,
    "change_password": 0.3,
}  # fmt: skip

Tasks = dict[int, dict[str, Any]]


@dataclass
class Account:
    """A user, and what its clients were told. `lock` guards all of it."""

    email: str
    password: str = "correct horse battery 0"
    lock: Any = field(default_factory=threading.RLock)
    told: Tasks = field(default_factory=dict)  # by version
    live: set[int] = field(default_factory=set)
    deleted: set[int] = field(default_factory=set)
    names: set[str] = field(default_factory=lambda: {"new"})


@dataclass
class Result:
    answers: Counter[str] = field(default_factory=Counter)  # by kind of request and status
    complaints: list[str] = field(default_factory=list)
    deadlocks: int = 0
    reruns: int = 0


class Client(threading.Thread):
    """One of the clients of a user, with a session of its own."""

    def __init__(self, base: str, account: Account, seed: int, stop: threading.Event, result: Result) -> None:
        super().__init__()
        self.http = httpx.Client(base_url=base, timeout=30)
        self.account, self.stop, self.result = account, stop, result
        self.random = random.Random(seed)

    def run(self) -> None:
        kinds: dict[str, Callable[[], None]] = {kind: getattr(self, kind) for kind in WEIGHTS}
        while not self.stop.is_set():
            (kind,) = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))
            try:
                kinds[kind]()
            except httpx.TransportError as error:
                self.complain(f"{kind}: {error!r}")

    def complain(self, complaint: str) -> None:
        with self.account.lock:
            self.result.complaints.append(complaint)

    def send(self, kind: str, method: str, path: str, expected: set[int], **options: Any) -> httpx.Response:
        """A client whose session has been ended by a new password signs in again."""
        answer = self.http.request(method, path, **options)
        with self.account.lock:
            self.result.answers[f"{kind} {answer.status_code}"] += 1
        if answer.status_code == 401:
            self.sign_in()
        elif answer.status_code not in expected:
            self.complain(f"{kind}: {answer.status_code} {answer.text}")
        return answer

    def register(self) -> None:
        body = {"email": self.account.email, "password": self.account.password, "name": "new"}
        self.take_tokens(self.http.post("/api/auth/register", json=body).raise_for_status())

    def sign_in(self) -> None:
        with self.account.lock:  # so that nobody changes the password meanwhile
            credentials = {"email": self.account.email, "password": self.account.password}
            answer = self.http.post("/api/auth/login", json=credentials)
            if answer.status_code != 200:
                self.result.complaints.append(f"login: {answer.status_code} {answer.text}")
                return
        self.take_tokens(answer)

    def take_tokens(self, answer: httpx.Response) -> None:
        self.refresh_token = answer.json()["refresh"]
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access']}"

    def note(self, answer: httpx.Response) -> None:
        """What was told of a task as it was at one version; nobody may be told otherwise."""
        if answer.status_code not in (200, 201):
            return
        task = answer.json()
        with self.account.lock:
            self.account.live.add(task["id"])
            if self.account.told.setdefault(task["version"], task) != task:
                self.result.complaints.append(f"version {task['version']} was told twice: {task}")

    def some_task(self) -> str | None:
        with self.account.lock:
            ids = sorted(self.account.live - self.account.deleted)
        return f"/api/me/tasks/{self.random.choice(ids)}" if ids else None

    def key(self) -> dict[str, str]:
        return {"Idempotency-Key": str(uuid.UUID(int=self.random.getrandbits(128)))}

    def title(self) -> dict[str, str]:
        return {"title": f"{self.random.getrandbits(64):x}"}  # a change that nobody else makes

    # --- Kinds of requests --------------------------------------------------------------------------

    def create(self) -> None:
        body, key = self.title(), self.key()
        for _ in range(self.random.choice([1, 1, 2])):
            self.note(self.send("create", "POST", "/api/me/tasks", {201}, json=body, headers=key))

    def change(self) -> None:
        if path := self.some_task():
            headers = self.random.choice([{}, self.key()])
            self.note(self.send("change", "PATCH", path, {200, 404}, json=self.title(), headers=headers))

    def change_if_match(self) -> None:
        path = self.some_task()
        current = self.send("read", "GET", path, {200, 404}) if path else None
        if path and current and current.status_code == 200:
            headers = {"If-Match": current.headers["ETag"]}
            answer = self.send("change_if_match", "PUT", path, {200, 404, 412}, json=self.title(), headers=headers)
            self.note(answer)

    def toggle(self) -> None:
        if path := self.some_task():
            self.note(self.send("toggle", "PATCH", f"{path}/complete", {200, 404}, headers=self.key()))

    def delete(self) -> None:
        path = self.some_task()
        if path and self.send("delete", "DELETE", path, {204, 404}).status_code == 204:
            with self.account.lock:
                self.account.deleted.add(int(path.rpartition("/")[2]))

    def read(self) -> None:
        self.send("read", "GET", "/api/me/tasks?limit=20", {200})

    def refresh(self) -> None:
        answer = self.send("refresh", "POST", "/api/auth/refresh", {200}, json={"refresh": self.refresh_token})
        if answer.status_code == 200:
            self.take_tokens(answer)

    def rename(self) -> None:
        name = self.title()["title"]
        with self.account.lock:
            self.account.names.add(name)
        self.send("rename", "PATCH", "/api/users/me", {200}, json={"name": name})

    def change_password(self) -> None:
        with self.account.lock:
            new = f"correct horse battery {self.random.getrandbits(64):x}"
            body = {"current_password": self.account.password, "new_password": new}
            answer = self.send("change_password", "POST", "/api/users/me/password", {200}, json=body)
            if answer.status_code == 200:
                self.account.password = new
                self.take_tokens(answer)


class Rival(threading.Thread):
    """Locks tasks and then the feed, sessions and then the user; all others do it the other way round.

    PostgreSQL looks for a deadlock once in a wait, after `deadlock_timeout`: so the service is ended by it, not the
    Rival. But on a busy machine the Rival may close the circle later than that; then it is ended itself, before
    requests time out.
    """

    PAIRS = (
        ("SELECT 1 FROM tasks_task WHERE user_id = {} AND deleted_at IS NULL FOR UPDATE",
         "SELECT 1 FROM tasks_feed WHERE user_id = {} FOR UPDATE"),
        ("SELECT 1 FROM users_session WHERE user_id = {} FOR UPDATE",
         "SELECT 1 FROM users_user WHERE id = {} FOR NO KEY UPDATE"),
    )  # fmt: skip

    def __init__(self, connection: psycopg.Connection, stop: threading.Event) -> None:
        super().__init__()
        self.connection, self.stop = connection, stop
        self.ended = 0  # times that a deadlock ended its own transaction

    def run(self) -> None:
        self.connection.execute("SET deadlock_timeout = '2s'")
        newest = sql.SQL("SELECT id FROM users_user ORDER BY id DESC LIMIT {}").format(USERS)  # those of this soak
        ids = [row[0] for row in self.connection.execute(newest)]
        for first, second in cycle(self.PAIRS):
            for user_id in ids:
                if self.stop.is_set():
                    return
                try:
                    with self.connection.transaction():
                        self.connection.execute(sql.SQL(first).format(user_id))
                        self.wait_for_somebody()
                        self.connection.execute(sql.SQL(second).format(user_id))
                except psycopg.errors.DeadlockDetected:
                    self.ended += 1

    def wait_for_somebody(self) -> None:
        """For a tenth of a second, if nobody comes."""
        in_the_way = "SELECT 1 FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        for _ in range(10):
            if self.connection.execute(in_the_way).fetchone():
                return
            time.sleep(0.01)


# --- The end ----------------------------------------------------------------------------------------


def check(client: Client) -> Iterator[str]:
    """What differs between that which the clients of a user were told and that which is stored."""
    account = client.account
    if client.http.get("/api/users/me").status_code == 401:
        client.sign_in()
    stored = client.http.get("/api/users/me/export").json()
    tombstones = [task for task in stored["tasks"] if task["deleted_at"]]
    if {task["id"] for task in tombstones} != account.deleted:
        yield "other tasks are deleted than the clients were told"
    versions = sorted([*account.told, *(task["version"] for task in tombstones)])
    head = max((feed["head"] for feed in stored["feed"]), default=0)
    # A change that lost a race, which the clients are not told of, leaves a number that no task has.
    if len(set(versions)) != len(versions) or not 0 < len(versions) <= versions[-1] <= head:
        yield f"the head is {head}, and {len(versions)} versions were told, {len(set(versions))} of them different"
    last = {task["id"]: task for _, task in sorted(account.told.items())}
    for task in stored["tasks"]:
        yield from _differences(task, last.pop(task["id"], {}))
    yield from (f"task {task_id} is lost" for task_id in last)
    if stored["account"]["name"] not in account.names:
        yield f"the name is {stored['account']['name']}"


def _differences(stored: dict[str, Any], told: dict[str, Any]) -> Iterator[str]:
    members = ["title"] if stored["deleted_at"] else ["title", "status", "version", "updated_at"]
    for name in members:
        if told.get(name) != stored[name]:
            yield f"task {stored['id']}: {name} is {stored[name]}, and {told.get(name)} was told"


def count(file: Path, text: str) -> int:
    return file.read_text().count(text)


@contextmanager
def running_server() -> Iterator[Server]:
    # Each writer that is in the queue for a feed ahead of the Rival costs a second, PostgreSQL's `deadlock_timeout`:
    # the last of a user's would wait longer for it than a request may.
    patient = {"DATABASE_LOCK_TIMEOUT": "9"}
    with (
        TemporaryDirectory(prefix="tickbase-") as folder,
        Server(Path(folder), WORKERS="2", THREADS="8", **patient) as server,
    ):
        yield server


def signed_in_clients(base: str, stop: threading.Event, result: Result) -> list[Client]:
    """The first of them are one of each user."""
    accounts = [Account(f"{uuid.uuid4()}@example.com") for _ in range(USERS)]
    clients = [Client(base, account, seed, stop, result) for seed, account in enumerate(accounts * CLIENTS_OF_EACH)]
    for client in clients[:USERS]:
        client.register()
    for client in clients[USERS:]:
        client.sign_in()
    return clients


def soak(server: Server, seconds: float, *, with_rival: bool = False) -> Result:
    """Accounts are new, so that it can be called again with the same server."""
    result = Result()
    log = server.data_dir / "postgres" / "log"
    database = make_conninfo(host=str(server.data_dir / "postgres"), user="postgres", dbname="tickbase")
    deadlocks, reruns = count(log, "deadlock detected"), count(server.log, "is run anew")
    stop = threading.Event()
    clients = signed_in_clients(server.base, stop, result)
    with psycopg.connect(database, autocommit=True) as superuser:
        # A quarter of the default, so that more of them fit in; and yet the Rival comes in time on a busy machine.
        superuser.execute("ALTER SYSTEM SET deadlock_timeout = '250ms'")
        superuser.execute("SELECT pg_reload_conf()")
        rival = Rival(superuser, stop)
        threads = [*clients, *([rival] if with_rival else [])]
        for thread in threads:
            thread.start()
        stop.wait(seconds)
        stop.set()
        for thread in threads:
            thread.join()
    result.complaints += [complaint for client in clients[:USERS] for complaint in check(client)]
    for client in clients:
        client.http.close()
    result.deadlocks = count(log, "deadlock detected") - deadlocks - rival.ended
    result.reruns = count(server.log, "is run anew") - reruns
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="Mixed writes by 16 clients of 4 users.")
    parser.add_argument("seconds", nargs="?", type=float, default=30)
    parser.add_argument("--rival", action="store_true", help="make deadlocks on purpose")
    arguments = parser.parse_args()
    with running_server() as server:
        result = soak(server, arguments.seconds, with_rival=arguments.rival)
    lines = [f"{number:7} {kind}" for kind, number in sorted(result.answers.items())]
    lines += [f"{result.answers.total():7} answers", f"{result.deadlocks:7} deadlocks", f"{result.reruns:7} run anew"]
    lines += [f"{len(result.complaints):7} complaints", *result.complaints[:20]]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(bool(result.complaints))


if __name__ == "__main__":
    main()
