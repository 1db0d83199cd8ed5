"""Every command of the README and of docs/guide/ runs, and prints what the page shows."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.documents import BLOCK, GUIDE, README, Step, names_in, section, steps, table
from tests.server import NO_RATE_LIMITS, ROOT, Server

BASE = "http://127.0.0.1:8000"
GRACE = "grace@example.com"
# Members that differ from run to run; they are compared by type, so that null stays null.
VOLATILE = {
    "id", "uid", "user_id", "object_id", "request_id", "access", "refresh", "created_at", "updated_at", "completed_at",
    "deleted_at", "at", "actor", "position", "ticket", "task_id", "last_completed_at",
    "token", "prefix", "expires_at", "secret", "cursor",
}  # fmt: skip
SEPARATOR = "\x1e"
WALKED = [README, *GUIDE]
CASES = [(page, number) for page in WALKED for number in range(len(steps(page.read_text())))]
# Here people type what a mail says.
ASK = "printf 'The code: '; read -r CODE\n"
# The helpers of the shell, and an account: where each page of the guide begins.
BEGINNING = steps(section("The first steps")) + steps(section("Make an account"))


@pytest.fixture(scope="module")
def documented() -> Iterator[Server]:
    """With the rate limits of production, of which one page tells, and a worker, as `make run` has it."""
    shown = {names_in(row[0])[0]: names_in(row[1])[0] for row in table("Configuration") if "RATE_LIMIT_" in row[0]}
    defaults = {name: shown[name] for name in NO_RATE_LIMITS}
    defaults["RATE_LIMIT_REGISTER"] = "100/hour"  # each page registers, and all from one address
    own = {**defaults, "BACKGROUND": "on", "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
    with TemporaryDirectory(prefix="tickbase-") as folder, Server(Path(folder), **own) as server:
        yield server


@cache
def printed(server: Server, page: Path) -> list[str]:
    return walk(server, page)


def walk(server: Server, page: Path) -> list[str]:
    """What each step of the page prints, all run in one shell."""
    own = steps(page.read_text())
    before = [] if page == README else BEGINNING
    script = "".join(f"{step.code}printf '\\036'\n" for step in [*before, *own])
    assert script.count(f"BASE={BASE}\n") == 1
    ending = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"  # of what a page has started
    script = "set -euo pipefail\n" + ending + script.replace(BASE, server.base).replace(GRACE, f"{page.stem}.{GRACE}")
    for number in range(script.count(ASK)):
        script = script.replace(ASK, f"read -r CODE < <({mailed_code(server, f'{page.stem}.{GRACE}', number)})\n", 1)
    environment = {**server.environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    outputs = done.stdout.replace("\r", "").replace(server.base, BASE).replace(f"{page.stem}.{GRACE}", GRACE)
    parts = outputs.split(SEPARATOR)
    if done.returncode or done.stderr:
        step = [*before, *own][min(len(parts), len(before) + len(own)) - 1].code
        pytest.fail(f"exit status {done.returncode} in or after:\n{step}\n{parts[-1]}{done.stderr}")
    return parts[len(before) : -1]


def mailed_code(server: Server, address: str, number: int) -> str:
    """A command that waits for one of the mails to this address or to a new one of the user's, and prints the long code
    in it."""
    to = f'$0 == "To: {address}" || $0 == "To: new.{address}"'
    each = f"{to} {{ mine = 1 }} mine && /^[^ ]*:[^ ]*:[^ ]*$/ {{ print; mine = 0 }}"
    find = f"awk '{each}' {server.log} | sed -n {number + 1}p"
    return f'for _ in {{1..100}}; do code=$({find}); [ -z "$code" ] || break; sleep 0.1; done; echo "$code"'


def settled(value: Any) -> Any:
    """JSON with its volatile members replaced by the names of their types."""
    if isinstance(value, list):
        return [settled(item) for item in value]
    if isinstance(value, dict):
        return {name: type(member).__name__ if name in VOLATILE else settled(member) for name, member in value.items()}
    return value


@pytest.mark.parametrize(("page", "number"), CASES, ids=[f"{page.stem}-{number + 1}" for page, number in CASES])
@pytest.mark.process
def test_each_step_prints_what_the_page_shows(documented: Server, page: Path, number: int) -> None:
    step: Step = steps(page.read_text())[number]
    output = printed(documented, page)[number]
    if step.language == "json":
        assert settled(json.loads(output)) == settled(json.loads(step.shown))
    elif "…" in step.shown:
        assert re.fullmatch(re.escape(step.shown).replace("…", ".+"), output), output
    else:
        assert output == step.shown


@pytest.mark.process
def test_the_first_steps_may_be_taken_again(documented: Server) -> None:
    first, again = printed(documented, README), walk(documented, README)
    account, created, _ = [number for number, step in enumerate(steps(README.read_text())) if step.language == "json"]
    assert json.loads(again[account])["user"] == json.loads(first[account])["user"]
    assert json.loads(again[created])["id"] > json.loads(first[created])["id"]


REFUSED = [
    ('api "$BASE/api/me/tasks" | titles', "The token is invalid or has expired; sign in again.\n"),
    ('api "$BASE/api/me/tasks" | pick id', "The token is invalid or has expired; sign in again.\n"),
    ("curl -s http://127.0.0.1:1 | show", "No answer came: is Tickbase running?\n"),
    ("printf 'Bad gateway' | pick access", "Bad gateway\n"),
]


@pytest.mark.parametrize(("command", "said"), REFUSED)
@pytest.mark.process
def test_where_a_request_fails_the_helpers_tell_why(documented: Server, command: str, said: str) -> None:
    helpers, *_, token = (step.code for step in BEGINNING)
    script = f"""{helpers}ACCOUNT='{{"access": "wrong"}}'\n{token}{command}""".replace(BASE, documented.base)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


def test_every_page_of_the_guide_is_walked() -> None:
    assert {page.stem for page, _ in CASES} >= {
        "README", "batch", "errors", "history", "limits", "list", "mails", "move-in", "move-out", "offline", "projects",
        "recurrence", "sign-in", "stream", "subtasks", "sync", "tokens", "trash", "webhooks",
    }  # fmt: skip
    assert len(CASES) >= 60


def test_the_lines_can_be_pasted_into_bash_and_zsh() -> None:
    """A `read` would take the next line for what is typed, and zsh at a terminal knows no comments."""
    codes = [step.code for page in WALKED for step in steps(page.read_text())]
    assert [code for code in codes if re.search(r"\bread .*CODE$", code, re.M)] == [ASK] * 3
    assert [code for code in codes if re.search(r"(^|\s)#", code)] == []


def test_no_block_of_the_guide_is_in_a_language_that_no_test_knows() -> None:
    found = {language for page in WALKED for language, _ in BLOCK.findall(page.read_text())}
    assert found == {"bash", "json", "text", "sh", "ini", "js", "ts", "html"}
