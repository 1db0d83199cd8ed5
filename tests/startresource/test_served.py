"""The examples in a copy of the project: generated, checked, migrated, served and driven."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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
def served(copy: Path) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory(prefix="tickbase-") as folder:
        patch.setattr(servers, "ROOT", copy)
        with Server(Path(folder)) as running:
            yield running


@pytest.fixture(scope="module")
def shell(copy: Path, served: Server) -> Callable[[str], str]:
    """Runs Python beside the server, as a user of whom row level security shows the rows; returns what it prints."""

    def run(code: str) -> str:
        lines = ["from django.db import connection", "from config.database.isolation import as_user", code]
        return served.manage("shell", "--no-imports", "--command", "\n".join(lines)).strip()

    return run


def account(base: str, name: str) -> httpx.Client:
    sent = {"email": f"{name}@example.com", "password": "correct horse battery"}
    token = httpx.post(f"{base}/api/auth/register", json=sent).raise_for_status().json()["access"]
    return httpx.Client(base_url=f"{base}/api/me/", headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
def ada(served: Server) -> Iterator[httpx.Client]:
    with account(served.base, "ada") as client:
        yield client


@pytest.fixture(scope="module")
def bob(served: Server) -> Iterator[httpx.Client]:
    with account(served.base, "bob") as client:
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
    names = ("habits", "sections", "labels")
    run(copy, str(program / "mypy"), *(f"tasks/{name}" for name in names), *(f"tests/{name}" for name in names))


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


def test_the_page_leads_to_a_habit_tracker_that_answers(served: Server) -> None:
    [code] = blocks(PAGE.read_text(), "sh")
    [shown] = blocks(PAGE.read_text(), "text")
    done = subprocess.run(
        ["bash", "-euc", code.replace("http://127.0.0.1:8000", served.base)], capture_output=True, text=True, check=True
    )
    assert done.stdout == shown


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


def test_a_label_is_on_many_tasks_and_leaves_what_is_deleted(ada: httpx.Client, bob: httpx.Client) -> None:
    one, other = (made(ada, "tasks", title=title) for title in ("Paint", "Dry"))
    foreign = made(bob, "tasks", title="Foreign")
    wet = made(ada, "labels", name="Wet", task_uids=[other["uid"], one["uid"]])
    assert wet["task_ids"] == [one["id"], other["id"]]
    refused = ada.post("labels", json={"name": "A", "task_ids": [one["id"], foreign["id"]]}).json()
    assert (refused["errors"][0]["code"], refused["errors"][0]["pointer"]) == ("unknown_task", "/task_ids")
    assert [each["id"] for each in ada.get(f"labels?task={one['id']}").json()] == [wet["id"]]
    ada.delete(f"tasks/{one['id']}")
    assert ada.get(f"labels/{wet['id']}").json()["task_ids"] == [other["id"]]
    assert ada.post("undo").status_code == 200
    assert ada.get(f"labels/{wet['id']}").json()["task_ids"] == [one["id"], other["id"]]


def test_a_token_needs_the_scopes_of_the_resource(ada: httpx.Client, served: Server) -> None:
    sent = {"name": "Reader", "scopes": ["labels:read"]}
    token = ada.post("../users/me/tokens", json=sent).raise_for_status().json()["token"]
    with httpx.Client(base_url=f"{served.base}/api/me/", headers={"Authorization": f"Bearer {token}"}) as reader:
        assert reader.get("labels").status_code == 200
        assert [reader.get("habits").status_code, reader.post("labels", json={"name": "B"}).status_code] == [403, 403]


def test_postgresql_hides_and_refuses_what_is_another_users(
    ada: httpx.Client, bob: httpx.Client, shell: Callable[[str], str]
) -> None:
    task, label = made(bob, "tasks", title="Of Bob"), made(ada, "labels", name="Of Ada")
    project = made(bob, "projects", name="Of Bob")
    section = made(ada, "sections", name="Shelf", project_id=made(ada, "projects", name="Of Ada")["id"])
    made(ada, "labels", name="Two", task_ids=[made(ada, "tasks", title="Of Ada")["id"]])
    owners = [client.get("../users/me").json()["id"] for client in (ada, bob)]
    tables = ("habits_habit", "sections_section", "labels_label", "labels_labeltasks")
    count = "; ".join(f"print(connection.cursor().execute('SELECT FROM {table}').rowcount)" for table in tables)
    seen = [[int(each) for each in shell(f"with as_user({owner}): {count}").split()] for owner in owners]
    assert min(seen[0]) > 0 and seen[1] == [0] * len(tables)
    for sql in (
        f"UPDATE sections_section SET project_id = {project['id']} WHERE id = {section['id']}",
        f"UPDATE labels_label SET task_ids = '{{{task['id']}}}' WHERE id = {label['id']}",
    ):
        write = f'with as_user({owners[0]}): connection.cursor().execute("{sql}")'
        told = shell(f"try:\n    {write}\nexcept Exception as error:\n    print(error)")
        assert "violates foreign key constraint" in told


def test_a_page_follows_another_and_a_key_is_replayed(ada: httpx.Client) -> None:
    for number in range(3):
        made(ada, "sections", name=f"Row {number}", project_id=made(ada, "projects", name="Many")["id"])
    first = ada.get("sections?limit=2&sort=name")
    second = ada.get(str(first.links["next"]["url"]))
    assert [len(first.json()), *{each["id"] for each in second.json()} & {each["id"] for each in first.json()}] == [2]
    again = [ada.post("labels", json={"name": "Once"}, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert again[0].json() == again[1].json() and again[1].headers["Idempotency-Replayed"] == "true"


def test_they_are_in_changes_batches_and_the_export(ada: httpx.Client) -> None:
    body = {"op": "create", "type": "label", "body": {"name": "Urgent", "uid": "urgent"}}
    assert ada.post("batch", json={"operations": [body]}).json()["results"][0]["status"] == 201
    types = {each["type"] for each in ada.get("changes").json()["changes"]}
    assert {"habit", "label", "section"} <= types
    exported = ada.get("../users/me/export").json()
    assert "Urgent" in [each["name"] for each in exported["labels"]]


# --- Another spec -----------------------------------------------------------------------------------


def respecify(copy: Path, name: str, *changes: tuple[str, str]) -> tuple[str, str]:
    """The command that writes the example again, and its spec of before."""
    path = copy / f"docs/examples/{name}.yaml"
    before = path.read_text()
    text = before
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return f"docs/examples/{name}.yaml", before


def refusal(copy: Path, *command: str) -> str:
    environment = {**os.environ, "DATABASE_URL": "postgresql://types@need/no-database"}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr


def test_a_field_that_is_dropped_and_one_that_every_row_has(
    copy: Path, served: Server, shell: Callable[[str], str], ada: httpx.Client
) -> None:
    changes = [
        ("  due:   {type: date, null: true}", "  rank:  {type: int, required: true, min: 0, max: 9, example: 4}"),
        ("[[kind, due]]", "[[kind, rank]]"), ("due_before, due_after, ", ""), ("[name, due]", "[name, rank]"),
    ]  # fmt: skip
    path, _ = respecify(copy, "habit", *changes)
    command = (sys.executable, "manage.py", "startresource", path)
    assert "the field due is dropped" in refusal(copy, *command)
    run(copy, *command, "--destructive")
    run(copy, str(Path(sys.executable).with_name("ruff")), "check", "tasks/habits", "tests/habits")
    assert served.manage("makemigrations", "--check").startswith("No changes detected")
    served.manage("migrate", "--verbosity=0")
    columns = "SELECT rank FROM habits_habit WHERE deleted_at IS NULL"
    code = (
        f"with all_users():\n    cursor = connection.cursor()\n    cursor.execute('{columns}')\n    print(set(cursor))"
    )
    assert shell(f"from config.database.isolation import all_users\n{code}") == "{(4,)}"
    served.stop()
    served.start()
    assert made(ada, "habits", name="Sing", rank=2)["rank"] == 2
    assert ada.post("habits", json={"name": "Hum"}).json()["errors"][0]["pointer"] == "/rank"


def test_a_relation_to_many_comes_later_and_goes_again(copy: Path, served: Server, ada: httpx.Client) -> None:
    path, before = respecify(copy, "section", ("relations:", "relations:\n  labels: {to: label, many: true, max: 3}"))
    command = (sys.executable, "manage.py", "startresource", path)
    run(copy, *command)
    assert served.manage("makemigrations", "--check").startswith("No changes detected")
    served.manage("migrate", "--verbosity=0")
    served.stop()
    served.start()
    label, project = made(ada, "labels", name="Later"), made(ada, "projects", name="Later")
    assert made(ada, "sections", name="A", project_id=project["id"], label_ids=[label["id"]])["label_ids"] == [
        label["id"]
    ]
    assert "sections refer to it" in refusal(copy, sys.executable, "manage.py", "startresource", "label", "--remove")
    (copy / path).write_text(before)
    assert "the relation label_ids is dropped" in refusal(copy, *command)
    run(copy, *command, "--destructive")
    served.manage("migrate", "--verbosity=0")
    assert served.manage("makemigrations", "--check").startswith("No changes detected")


# --- The end ----------------------------------------------------------------------------------------


def test_a_resource_is_taken_out_when_it_is_empty_or_that_is_meant(copy: Path, served: Server) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        served.manage("startresource", "section", "--remove")
    assert "rows of it; say --destructive to lose them" in refused.value.stderr
    assert (copy / "tasks/sections").exists()
    assert "Migrations of sections depend on it" in refusal(
        copy, sys.executable, "manage.py", "startresource", "label", "--remove", "--destructive"
    )
    for name in ("section", "label"):
        told = served.manage("startresource", name, "--remove", "--destructive")
        assert f"tasks/{name}s is gone" in told
    left = run(copy, "grep", "-rlE", r"labels?\b", "--include=*.py", "config", "users", "tasks")
    assert "tasks/labels" not in left and "tasks.labels" not in (copy / "config/settings.py").read_text()
    for path in ("tasks/labels", "tests/labels", "docs/guide/labels.md"):
        assert not (copy / path).exists()
    assert "labels" not in (copy / "docs/guide/README.md").read_text() + (copy / "pyproject.toml").read_text()
    assert served.manage("makemigrations", "--check").startswith("No changes detected")


def test_one_that_was_never_migrated_is_taken_out_too(copy: Path, served: Server) -> None:
    served.manage("startresource", "mood", "name:text!")
    assert "tasks/moods is gone" in served.manage("startresource", "mood", "--remove")
    assert served.manage("makemigrations", "--check").startswith("No changes detected")


def test_who_had_rows_of_it_syncs_on_without_them(ada: httpx.Client, served: Server) -> None:
    """The log still tells of them."""
    served.stop()
    served.start()
    assert ada.get("labels").status_code == 404
    first = ada.get("changes?limit=1").json()
    since = ada.get(f"changes?since={first['cursor']}&limit=1000").json()
    assert {each["type"] for each in since["changes"]} <= {"habit", "comment", "task", "project"}
    assert ada.get("history?limit=200").status_code == 200
    made(ada, "tasks", title="Afterwards")
    assert [each["type"] for each in ada.get(f"changes?since={since['cursor']}").json()["changes"]] == ["task"]
