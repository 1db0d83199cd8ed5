"""schemathesis with a personal token that may only read: whatever is sent, nothing of its user's is written."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.fuzz.test_api import UNFUZZED, Account, failures
from tests.server import ROOT, Server
from users.resources.resource import registered

# All that there is but for what would be written, and the import, which is a write.
READING = [*(each.read_scope for each in registered()), "account:read", "feeds:read"]
OWN = {"personal_tokens", "idempotency_keys"}  # when the token was used; a preview is a POST that writes nothing else


def data(account: Account) -> dict[str, Any]:
    found = account.data()
    return {name: value for name, value in found.items() if name not in OWN}


def test_a_token_that_may_read_writes_nothing(server: Server, tmp_path: Path) -> None:
    logged = len(server.log.read_text())
    alice = Account(server, "alice")
    alice.make_task()
    alice.make_project()
    body = {"name": "Reader", "scopes": READING}
    answer = httpx.post(f"{server.base}/api/users/me/tokens", json=body, headers=alice.bearer)
    token = answer.raise_for_status().json()["token"]
    before = data(alice)
    report, output = fuzz(server, token, tmp_path)
    assert report["failures"] == report["errors"] == [], output
    assert report["operations"]["tested"] == report["operations"]["total"] - len(UNFUZZED) > 40
    assert report["test_cases"]["generated"] > 400, report["test_cases"]
    assert data(alice) == before
    assert failures(server, logged) == []


def fuzz(server: Server, token: str, folder: Path) -> tuple[dict[str, Any], str]:
    """Run schemathesis; returns its report and what it printed."""
    config, report = folder / "schemathesis.toml", folder / "report.json"
    config.write_text(
        f'workers = 1\nrequest-timeout = 20\n[cache]\nenabled = false\n[generation]\ndatabase = "none"\n'
        f"[[operations]]\ninclude-operation-id = {json.dumps(sorted(UNFUZZED))}\nenabled = false\n"
        '[parameters]\n"path.user_id" = "me"\n'
    )
    command = [sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(config), "run"]
    options = [
        f"{server.base}/api/schema", "--url", server.base, "--header", f"Authorization: Bearer {token}",
        "--checks", "not_a_server_error", "--phases", "examples,fuzzing", "--max-examples=10",
        "--generation-deterministic", "--report", "json", "--report-json-path", str(report),
    ]  # fmt: skip
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True)
    return json.loads(report.read_text()), done.stdout + done.stderr
