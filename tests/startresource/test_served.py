"""The examples in a copy of the project: generated, checked, migrated, served and driven."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from tests import server as servers
from tests.documents import blocks
from tests.server import Server

pytestmark = pytest.mark.process
ROOT = servers.ROOT
PAGE = ROOT / "docs/resources.md"
COPIED = ("config", "users", "tasks", "tests", "docs", "manage.py", "pyproject.toml")


def run(copy: Path, *command: str) -> str:
    environment = {**os.environ, "DATABASE_URL": "postgresql://types@need/no-database"}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def copy() -> Iterator[Path]:
    """With the habit of the page, and the other examples."""
    with TemporaryDirectory(prefix="tickbase-") as folder:
        path = Path(folder)
        ignored = shutil.ignore_patterns("__pycache__", "node_modules", ".data")
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, path / name, ignore=ignored)
            else:
                shutil.copy(ROOT / name, path / name)
        (path / ".venv").symlink_to(Path(sys.prefix))
        run(path, "sh", "-euc", "".join(blocks(PAGE.read_text(), "bash")))
        for name in ("section", "label"):
            run(path, sys.executable, "manage.py", "startresource", f"docs/examples/{name}.yaml")
        yield path


@pytest.fixture(scope="module")
def served(copy: Path) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory(prefix="tickbase-") as folder:
        patch.setattr(servers, "ROOT", copy)
        with Server(Path(folder)) as running:
            yield running.base


def account(base: str, name: str) -> httpx.Client:
    sent = {"email": f"{name}@example.com", "password": "correct horse battery"}
    token = httpx.post(f"{base}/api/auth/register", json=sent).raise_for_status().json()["access"]
    return httpx.Client(base_url=f"{base}/api/me/", headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
def ada(served: str) -> Iterator[httpx.Client]:
    with account(served, "ada") as client:
        yield client


@pytest.fixture(scope="module")
def bob(served: str) -> Iterator[httpx.Client]:
    with account(served, "bob") as client:
        yield client


def made(client: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    answer = client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    row: dict[str, Any] = answer.json()
    return row


# --- The code ---------------------------------------------------------------------------------------


def test_what_is_written_passes_the_checks_of_the_house(copy: Path) -> None:
    program = Path(sys.executable).parent
    run(copy, str(program / "ruff"), "check", ".")
    run(copy, str(program / "ruff"), "format", "--check", ".")
    run(copy, str(program / "lint-imports"))
    run(copy, str(program / "mypy"), "tasks/habits", "tasks/sections", "tasks/labels", "tests/habits", "tests/sections")


def test_the_migrations_are_those_of_the_models(copy: Path) -> None:
    assert "No changes detected" in run(copy, sys.executable, "-W", "ignore", "manage.py", "makemigrations", "--check")


def test_the_same_spec_again_makes_no_difference(copy: Path) -> None:
    for name in ("habit", "section", "label", "comment"):
        run(copy, sys.executable, "manage.py", "startresource", f"docs/examples/{name}.yaml", "--check")


def test_generation_takes_less_than_five_seconds(copy: Path) -> None:
    begun = time.monotonic()
    run(copy, sys.executable, "manage.py", "startresource", "docs/examples/habit.yaml", "--dry-run")
    assert time.monotonic() - begun < 15  # of a machine that is busy with other tests; 2 on a quiet one


# --- The routes -------------------------------------------------------------------------------------


def test_a_habit_is_made_listed_changed_deleted_and_brought_back(ada: httpx.Client) -> None:
    read = made(ada, "habits", name="Read", goal=5, due="2026-12-01")
    assert (read["kind"], read["color"], read["version"]) == ("build", None, 1)
    smoke = made(ada, "habits", name="Smoke", kind="quit")
    assert [each["id"] for each in ada.get("habits?kind=quit").json()] == [smoke["id"]]
    assert [each["id"] for each in ada.get("habits?sort=due").json()] == [read["id"], smoke["id"]]
    assert [each["id"] for each in ada.get("habits?search=REA&due_before=2026-12-02").json()] == [read["id"]]
    page = ada.get("habits?limit=1&sort=name")
    assert [each["id"] for each in page.json()] == [read["id"]] and page.links["next"]["url"]
    path = f"habits/{read['id']}"
    assert ada.patch(path, json={"goal": 6}, headers={"If-Match": '"9"'}).status_code == 412
    assert ada.patch(path, json={"goal": 6}, headers={"If-Match": '"1"'}).json()["goal"] == 6
    assert ada.patch(path, json={"goal": 8}).json()["errors"][0]["pointer"] == "/goal"
    assert ada.delete(path).status_code == 204 and ada.get(path).status_code == 404
    assert ada.post("undo").status_code == 200 and ada.get(path).json()["goal"] == 6


def test_a_name_is_unique_among_those_that_are_there(ada: httpx.Client) -> None:
    first = made(ada, "labels", name="Home", color="#3366cc")
    assert ada.post("labels", json={"name": "Home"}).json()["code"] == "taken"
    ada.delete(f"labels/{first['id']}")
    made(ada, "labels", name="Home")
    assert ada.post(f"labels/{first['id']}/restore").json()["code"] == "taken"


def test_a_section_goes_with_its_project_and_belongs_to_its_owner(ada: httpx.Client, bob: httpx.Client) -> None:
    project, foreign = made(ada, "projects", name="Kitchen"), made(bob, "projects", name="Garden")
    section = made(ada, "sections", name="Walls", project_id=project["id"])
    for sent in ({"project_id": foreign["id"]}, {"project_uid": foreign["uid"]}):
        assert ada.post("sections", json={"name": "A", **sent}).json()["errors"][0]["code"] == "unknown_project"
    assert bob.get(f"sections/{section['id']}").status_code == 404
    assert bob.get("sections").json() == []
    assert bob.get(f"../{section['user_id']}/sections").status_code == 403
    ada.delete(f"projects/{project['id']}")
    assert ada.get(f"sections/{section['id']}").status_code == 404
    ada.post(f"projects/{project['id']}/restore")
    assert ada.get(f"sections/{section['id']}").status_code == 200


def test_they_are_in_changes_batches_and_the_export(ada: httpx.Client) -> None:
    body = {"op": "create", "type": "label", "body": {"name": "Urgent", "uid": "urgent"}}
    assert ada.post("batch", json={"operations": [body]}).json()["results"][0]["status"] == 201
    types = {each["type"] for each in ada.get("changes").json()["changes"]}
    assert {"habit", "label", "section"} <= types
    exported = ada.get("../users/me/export").json()
    assert "Urgent" in [each["name"] for each in exported["labels"]]
