"""What clients keep is not taken for another state after a real restore; and a real promotion is noticed."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import httpx
import pytest

from tests.chaos.failover import pair
from tests.commands.databases import Database
from tests.factories import PASSWORD
from tests.server import Server

pytestmark = pytest.mark.process

TASKS = "/api/me/tasks"


class Kept(NamedTuple):
    """What a user's device remembers of an address until it asks again."""

    client: "Client"
    path: str
    etag: str


class Client:
    def __init__(self, server: Server, name: str) -> None:
        self.base = server.base
        account = {"email": f"{name}@example.com", "password": PASSWORD}
        tokens = httpx.post(f"{self.base}/api/auth/register", json=account).raise_for_status().json()
        self.headers = {"Authorization": f"Bearer {tokens['access']}"}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return httpx.request(method, f"{self.base}{path}", json=body, headers={**self.headers, **headers})

    def write(self, method: str, path: str, title: str) -> list[Kept]:
        """The task as it was answered, and the list of then."""
        written = self.call(method, path, {"title": title}).raise_for_status()
        listed = self.call("GET", TASKS).raise_for_status()
        task = f"{TASKS}/{written.json()['id']}"
        return [Kept(self, task, written.headers["ETag"]), Kept(self, TASKS, listed.headers["ETag"])]


def status(kept: Kept, method: str, header: str, body: Any = None) -> int:
    return kept.client.call(method, kept.path, body, **{header: kept.etag}).status_code


def test_what_was_kept_of_a_former_history_matches_nothing() -> None:
    """Each history gives out the same ids as the one before, and begins with the same backup."""
    histories: list[list[Kept]] = []
    with TemporaryDirectory(prefix="tickbase-") as name:
        server, backup = Server(Path(name) / "data"), str(Path(name) / "backup")
        with server:
            ada, carl = Client(server, "ada"), Client(server, "carl")
            task = ada.write("POST", TASKS, "Before")[0].path
            server.manage("backup", backup)
            histories.append(live(ada, carl, task))
        for _ in range(2):
            server.manage("restore", backup, "--replace")
            with server:
                present = live(ada, carl, task)
                for kept in sum(histories, []):
                    assert status(kept, "GET", "If-None-Match") == 200, kept
                    assert kept.path == TASKS or status(kept, "PATCH", "If-Match", {"title": "Late"}) == 412, kept
                assert [status(kept, "GET", "If-None-Match") for kept in present[-2:]] == [304, 304]
            histories.append(present)
    assert len({tuple(kept.path for kept in history) for history in histories}) == 1


def live(ada: Client, carl: Client, task: str) -> list[Kept]:
    """A change, a creation, and the first write of an account."""
    return [*ada.write("PATCH", task, "Changed"), *ada.write("POST", TASKS, "New"), *carl.write("POST", TASKS, "First")]


def test_a_promotion_is_told_until_a_new_epoch_begins() -> None:
    with pair(is_synchronous=True) as (primary, standby):
        assert Database(primary.url).manage("migrate", "-v0").returncode == 0
        primary.kill()
        database = Database(standby.url)
        assert epoch_of(database)["state"] == "ok"  # in recovery it has no timeline of its own
        standby.promote()
        assert epoch_of(database)["state"] == "warning"
        assert database.manage("new_epoch").returncode == 0
        assert epoch_of(database)["state"] == "ok"


def epoch_of(database: Database) -> dict[str, str]:
    findings = json.loads(database.manage("doctor", "--json").stdout)
    [found] = [each for each in findings if each["name"] == "epoch"]
    return dict(found)
