"""schemathesis against the running service: every operation, phase and check, as alice, who must see nothing of bob's.

`make fuzz` runs the long form.
"""

import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import httpx
from hypothesis import settings

from tests.factories import PASSWORD
from tests.resources.declared import NEEDED, declared_of, label, needed, required
from tests.server import ROOT, Server
from users.resources.resource import Resource, registered

CONFIG = Path(__file__).with_name("schemathesis.toml")
UNFUZZED = {"getStream", "getCalendar", *(f"stream{each.titles}" for each in registered())}  # as schemathesis.toml says
FAILURE = re.compile(r"^(?:Traceback|\S+ (?:ERROR|CRITICAL) ).*(?:\n(?!\d\d:).*)*", re.MULTILINE)


def _said_of(resource: Resource) -> dict[str, Any]:
    """What the hooks need, which have no models: its names, the least and the whole of a body, what it refers to."""
    example = {name: value for name, value in resource.example.items() if not name.endswith("_id")}
    return {
        "plural": resource.plural,
        "title": resource.title,
        "titles": resource.titles,
        "label": label(resource),
        "body": required(resource),
        "example": example,
        "needs": sorted({declared_of(each.related_model).name for each in needed(resource.model)}),
        "references": {each.name: declared_of(each.related_model).name for each in resource.model.references()},
        "lists": {each.stem: declared_of(each.target).name for each in resource.model.many()},
    }


KINDS = {each.name: _said_of(each) for each in registered()}


class Size(NamedTuple):
    options: list[str]
    least: int  # test cases


SIZES = {
    "suite": Size(["--max-examples=3", "--generation-deterministic"], 1000),
    "fuzz": Size(["--max-examples=200"], 5000),
}


class Account:
    """Whoever registers here, and what is theirs."""

    def __init__(self, server: Server, name: str) -> None:
        self.name, self.email = name, f"{uuid4()}@example.com"
        account = {"email": self.email, "password": PASSWORD, "name": name}
        signed_in = httpx.post(f"{server.base}/api/auth/register", json=account).raise_for_status().json()
        self.id = signed_in["user"]["id"]
        self.base, self.bearer = server.base, {"Authorization": f"Bearer {signed_in['access']}"}

    def make_task(self) -> int:
        """One with the account's name wherever a task holds text."""
        return self.make("task", title=self.name, tags=[self.name], description=self.name, extra={self.name: self.name})

    def make_project(self) -> int:
        return self.make("project", name=self.name, description=self.name, extra={self.name: self.name})

    def make_webhook(self) -> int:
        body = {"url": f"https://1.1.1.1/{self.name}"}
        answer = httpx.post(f"{self.base}/api/me/webhooks", json=body, headers=self.bearer)
        return int(answer.raise_for_status().json()["id"])

    def make(self, kind: str, **body: Any) -> int:
        """A row with what it cannot be without; also its uid has the name."""
        said: dict[str, Any] = KINDS[kind]
        for each in said["needs"]:
            self.make(each, **{KINDS[each]["label"]: self.name}, uid=NEEDED)
        sent = {"uid": f"{self.name} {uuid4()}", **said["body"], said["label"]: f"{self.name} {uuid4()}", **body}
        place = f"{self.base}/api/me/{said['plural']}/by-uid/{quote(sent.pop('uid'))}"
        answer = httpx.put(place, json=sent, headers=self.bearer)
        return int(answer.raise_for_status().json()["id"])

    def data(self) -> dict[str, Any]:
        """All but what signing in and exporting change: the first is done to check what alice may read."""
        answer = httpx.get(f"{self.base}/api/users/me/export", headers=self.bearer)
        data: dict[str, Any] = answer.raise_for_status().json()
        del data["sessions"], data["account"]["last_login"]
        own = ("account.signed_in", "account.exported")
        data["events"] = [event for event in data["events"] if event["action"] not in own]
        return data


def test_no_generated_request_breaks_what_the_document_promises(server: Server, tmp_path: Path) -> None:
    size, logged = SIZES[settings.get_current_profile_name()], len(server.log.read_text())
    alice, bob = Account(server, "alice"), Account(server, f"canary-{uuid4()}")
    own = {"task": bob.make_task, "project": bob.make_project}
    rows = {kind: [own.get(kind, partial(bob.make, kind))() for _ in range(3)] for kind in KINDS}
    rows["webhook"] = [bob.make_webhook() for _ in range(3)]
    before = bob.data()
    report, output = fuzz(server, alice, bob, rows, tmp_path, *size.options)
    print(output)  # noqa: T201 (pytest shows it when something failed, `make fuzz` always)
    assert report["exit_code"] == 0, output
    assert report["failures"] == report["errors"] == [] and not any(report["warnings"].values()), output
    assert {name: phase["status"] for name, phase in report["phases"].items()} == dict.fromkeys(
        ("examples", "coverage", "fuzzing", "stateful"), "success"
    )
    assert report["operations"]["tested"] == report["operations"]["total"] - len(UNFUZZED) > 20
    assert report["test_cases"]["generated"] >= size.least
    assert bob.data() == before
    assert failures(server, logged) == []


def failures(server: Server, logged: int) -> list[str]:
    """What the log tells of errors after so many characters: a test before may have ended the worker on purpose."""
    return FAILURE.findall(server.log.read_text()[logged:])


def fuzz(
    server: Server, alice: Account, bob: Account, rows: dict[str, list[int]], folder: Path, *options: str
) -> tuple[dict[str, Any], str]:
    """Run schemathesis; returns its report and what it printed."""
    config, report = folder / "schemathesis.toml", folder / "report.json"
    ids = {"user_ids": ["me"] * 9 + [bob.id], **{f"{kind}_of_bob": found for kind, found in rows.items()}}
    dictionaries = "".join(f"[dictionaries.{name}]\nvalues = {json.dumps(values)}\n" for name, values in ids.items())
    places = "".join(
        f'"path.{kind}_id" = {{ dictionary = "{kind}_of_bob", probability = 0.1 }}\n' for kind in rows
    )  # of `[parameters]`, which is the last part
    config.write_text(CONFIG.read_text() + places + dictionaries)
    command = [sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(config), "run"]
    arguments = [
        f"{server.base}/api/schema",
        "--url",
        server.base,
        "--report",
        "json",
        "--report-json-path",
        str(report),
    ]
    told = {"BASE": server.base, "ALICE": alice.email, "BOB": bob.email, "PASSWORD": PASSWORD, "CANARY": bob.name}
    told |= {"ROWS": json.dumps({kind: found[0] for kind, found in rows.items()}), "KINDS": json.dumps(KINDS)}
    done = subprocess.run(
        [*command, *arguments, *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **{f"FUZZ_{name}": value for name, value in told.items()}},
        capture_output=True,
        text=True,
    )
    return json.loads(report.read_text()), done.stdout + done.stderr
