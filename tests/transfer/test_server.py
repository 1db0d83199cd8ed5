"""Imports through the real server: large bodies, two at once, a kill in the middle, and a move to another one."""

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from tests.benchmarks.transfer import file_of
from tests.factories import PASSWORD
from tests.server import Server
from tests.workers import kill_worker, superuser, wait_for

pytestmark = pytest.mark.process

MIB = 2**20
IMPORTS = "/api/me/imports"
WAITING = "SELECT count(*) FROM pg_locks WHERE relation = 'transfer_import'::regclass AND NOT granted"
CLIENTS: list[httpx.Client] = []  # to be closed


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="tickbase-") as name:
        yield Path(name)


@pytest.fixture(autouse=True)
def closed_clients() -> Iterator[None]:
    yield
    while CLIENTS:
        CLIENTS.pop().close()


def register(base: str, name: str) -> httpx.Client:
    client = httpx.Client(base_url=base, timeout=120)
    CLIENTS.append(client)
    account = {"email": f"{name}@example.com", "password": PASSWORD}
    answer = client.post("/api/auth/register", json=account)
    client.headers["Authorization"] = f"Bearer {answer.json()['access']}"
    return client


def pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), 64 * 1024):
        yield data[start : start + 64 * 1024]


def test_bodies_of_imports(server: Server) -> None:
    client = register(server.base, "bodies")
    large = file_of(6_000)
    assert len(large) > 2 * MIB
    trial = f"{IMPORTS}?dry_run=true"
    assert client.post(trial, content=large).json()["created"] == 6_020
    # Without a length, and as a form.
    assert client.post(trial, content=pieces(large)).json()["created"] == 6_020
    assert client.post(trial, files={"file": ("tasks.json", large)}).json()["created"] == 6_020
    for content in (bytes(21 * MIB), pieces(bytes(21 * MIB))):
        assert problem(client.post(IMPORTS, content=content)) == (413, "body_too_large")
    # Elsewhere, and for those who are nobody, the common limit holds.
    elsewhere = client.post("/api/me/batch", content=bytes(2 * MIB), headers={"Content-Type": "application/json"})
    assert problem(elsewhere) == (413, "body_too_large")
    for headers in ({}, {"Authorization": "Bearer x"}):
        assert httpx.post(f"{server.base}{IMPORTS}", content=large, headers=headers).status_code == 401
    assert client.get(f"{IMPORTS}").status_code == 200


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_of_two_at_once_one_is_refused_or_waits(server: Server) -> None:
    client = register(server.base, "twice")
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda: answers.append(client.post(IMPORTS, content=file_of(1_900)))) for _ in range(2)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(answer.status_code for answer in answers) in ([201, 201], [201, 429])
    assert sum(answer.json().get("created", 0) for answer in answers) == 1_920


def test_a_kill_in_the_middle_of_a_request_leaves_nothing(folder: Path) -> None:
    with Server(folder / "data") as server:
        client = register(server.base, "killed")
        before = client.get("/api/me/changes").json()["cursor"]
        importing = threading.Thread(target=_try, args=(client, file_of(1_900)))
        with superuser(server) as other, other.transaction():
            other.execute("LOCK TABLE transfer_import IN ACCESS EXCLUSIVE MODE")  # which the import writes at last
            importing.start()
            wait_for(lambda: other.execute(WAITING).fetchone() == (1,))
            for worker in server.workers():
                worker.kill()
        importing.join()
        wait_for(lambda: is_back(client))
        assert client.get("/api/me/tasks?total=true").headers["X-Total-Count"] == "0"
        assert client.get("/api/me/changes").json()["cursor"] == before
        assert client.get("/api/me/imports").json() == []
        assert client.post(IMPORTS, content=file_of(100)).json()["created"] == 120


def _try(client: httpx.Client, data: bytes) -> None:
    with suppress(httpx.TransportError):
        client.post(IMPORTS, content=data)


def is_back(client: httpx.Client) -> bool:
    with suppress(httpx.TransportError):
        return client.get("/api/me/changes").status_code == 200
    return False


def test_a_kill_of_the_worker_in_the_middle_loses_nothing_and_counts_nothing_twice(folder: Path) -> None:
    with Server(folder / "data", BACKGROUND="on") as server:
        client = register(server.base, "killed")
        answer = client.post(IMPORTS, content=file_of(10_000))
        assert answer.status_code == 202
        path = f"{IMPORTS}/{answer.json()['id']}"
        wait_for(lambda: client.get(path).json()["done"] > 500)
        kill_worker(server, "transfer_import")
        assert client.get(path).json()["done"] < 10_020, "it was over before the kill; let it be larger"
        wait_for(lambda: client.get(path).json()["status"] == "done", 120)
        shown = client.get(path).json()
        assert (shown["report"]["created"], shown["report"]["unchanged"], shown["done"]) == (10_020, 0, 10_020)
        assert client.get("/api/me/tasks?total=true").headers["X-Total-Count"] == "10000"


# --- A move ----------------------------------------------------------------------------------------


def test_an_account_moves_to_another_server(folder: Path) -> None:
    with Server(folder / "old") as old, Server(folder / "new") as new:
        here, there = register(old.base, "mover"), register(new.base, "mover")
        furnish(here)
        exported = here.get("/api/me/export?format=tickbase").content
        whole = here.get("/api/users/me/export").json()
        assert {"projects", "tasks", "completions", "imports"} <= whole.keys()
        shown = everything(here)
        here.request("DELETE", "/api/users/me", json={"password": PASSWORD}).raise_for_status()
        report = there.post(IMPORTS, content=exported).json()
        assert (report["degraded"], report["skipped"]) == ([], [])
        assert everything(there) == shown
        again = there.get("/api/me/export?format=tickbase").content
        assert without_times(again) == without_times(exported)


def furnish(client: httpx.Client) -> None:
    def post(path: str, **body: Any) -> Any:
        answer = client.post(f"/api/me/{path}", json=body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    home = post("projects", name="Home", color="#123456", extra={"a": {"b": [1, 2.5, None]}})
    old = post("projects", name="Old", parent_id=home["id"], description="Long ago")
    client.patch(f"/api/me/projects/{old['id']}", json={"archived": True}).raise_for_status()
    post("tasks", title="In an archived one", project_id=old["id"], priority="high", tags=["Ä", "b"])
    parent = post("tasks", title="Parent", project_id=home["id"], due_at="2026-12-01T09:30:00Z")
    first = post("tasks", title="First", parent_id=parent["id"])
    post(f"tasks/{post('tasks', title='Second', parent_id=parent['id'])['id']}/move", before_id=first["id"])
    weekly = {"rule": "FREQ=WEEKLY;COUNT=9", "zone": "Europe/Berlin"}
    series = post("tasks", title="Weekly", due_date="2026-11-02", recurrence=weekly, extra={"mine": True})
    for _ in range(2):
        client.patch(f"/api/me/tasks/{series['id']}/complete", json={"completed": True}).raise_for_status()
    post(f"tasks/{series['id']}/skip")
    done = post("tasks", title="Done", completed=True)
    client.patch(f"/api/me/tasks/{done['id']}/complete", json={"completed": False}).raise_for_status()
    client.patch(f"/api/me/tasks/{done['id']}/complete", json={"completed": True}).raise_for_status()
    post("tasks", title="Cancelled", status="cancelled")
    client.delete(f"/api/me/tasks/{post('tasks', title='In the trash')['id']}").raise_for_status()


NOT_KEPT = {"id", "user_id", "version", "updated_at", "task_id", "parent_id", "project_id"}


def everything(client: httpx.Client) -> dict[str, Any]:
    """All that a client sees, with uids in place of ids, and without what a move does not keep."""
    projects = client.get("/api/me/projects?archived=all").json()
    tasks = client.get("/api/me/tasks?sort=position").json()
    uids = {(kind, each["id"]): each["uid"] for kind, rows in (("p", projects), ("t", tasks)) for each in rows}

    def shown(row: dict[str, Any]) -> dict[str, Any]:
        kinds = {"task_id": "t", "project_id": "p", "parent_id": "t" if "title" in row else "p"}
        references = {name: uids.get((kind, row[name])) for name, kind in kinds.items() if name in row}
        return {name: value for name, value in row.items() if name not in NOT_KEPT} | references

    completions = client.get("/api/me/completions").json()
    return {
        "projects": sorted(map(shown, projects), key=lambda row: row["uid"]),
        "tasks": sorted(map(shown, tasks), key=lambda row: row["uid"]),
        "completions": [shown(row) for row in completions if row["revoked_at"] is None],
        "occurrences": [
            client.get(f"/api/me/tasks/{row['id']}/occurrences?limit=10").json()
            for row in tasks
            if row["recurrence"] is not None
        ],
        "tags": client.get("/api/me/tags").json(),
    }


def without_times(exported: bytes) -> Any:
    document = json.loads(exported)
    for row in [*document["projects"], *document["tasks"]]:
        del row["updated_at"]
    return document
