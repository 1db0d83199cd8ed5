"""`import_tasks` and `export_tasks`."""

import datetime as dt
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tasks.models import Task
from tasks.projects.models import Project
from tasks.transfer import services
from tasks.transfer.models import Import
from tasks.transfer.report import Report
from tests.factories import make_project, make_task
from tests.problems import stored
from users.management.commands.prune import prunables
from users.models import User


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "list.csv"
    path.write_text("TYPE,CONTENT,PRIORITY,INDENT\ntask,Buy milk,1,1\ntask,Oat milk,4,2\n")
    return path


def test_a_file_is_imported_and_told(alice: User, file: Path) -> None:
    said = run("import_tasks", alice.email, str(file))
    assert "todoist-csv: 2 tasks and 0 projects in the file\n2 created, 0 updated, 0 unchanged, 0 skipped" in said
    assert f"Operation {Import.objects.get().operation}, which the account can undo." in said
    assert Task.objects.count() == 2
    assert "0 created, 0 updated, 2 unchanged" in run("import_tasks", alice.email, str(file))


def test_a_dry_run_stores_nothing(alice: User, file: Path) -> None:
    before = stored(alice.pk)
    assert "2 would be created" in run("import_tasks", alice.email, str(file), "--dry-run", "--format=todoist-csv")
    assert stored(alice.pk) == before


def test_a_large_file_is_several_operations(alice: User, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "SLICE", 1)
    assert "this is the last one" in run("import_tasks", alice.email, str(file))
    assert Import.objects.values_list("status", "done", "total", "operation").get() == ("done", 2, 2, 2)


def test_what_was_interrupted_goes_on_when_it_is_run_again(
    alice: User, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "SLICE", 1)
    stored_slice, calls = services._store_slice, [1, 2]

    def interrupted(*args: Any) -> Report:
        if not calls:
            raise KeyboardInterrupt
        calls.pop()
        return stored_slice(*args)

    monkeypatch.setattr(services, "_store_slice", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("import_tasks", alice.email, str(file))
    assert Import.objects.values_list("status", "done").get() == ("running", 1)
    monkeypatch.setattr(services, "_store_slice", stored_slice)
    assert "1 created, 0 updated, 1 unchanged" in run("import_tasks", alice.email, str(file))
    assert Task.objects.get(title="Oat milk").parent == Task.objects.get(title="Buy milk")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format=vikunja"], "[.]"),
        (["--zone=Mars/Olympus"], "time zone"),
        (["missing.csv"], "cannot be read"),
    ],
)
def test_what_cannot_be_done_is_an_error(alice: User, file: Path, arguments: list[str], said: str) -> None:
    path = str(file) if arguments[0].startswith("--") else str(file.parent / arguments.pop())
    with pytest.raises(CommandError, match=said):
        run("import_tasks", alice.email, path, *arguments)
    assert not Task.objects.exists()


def test_an_export_is_written(alice: User, tmp_path: Path) -> None:
    project = make_project(alice, uid="p")
    make_task(alice, title="In", project_id=project.pk)
    make_task(alice, title="Out")
    document = json.loads(run("export_tasks", alice.email, "--format=tickbase"))
    assert [each["title"] for each in document["tasks"]] == ["Out", "In"]
    path = tmp_path / "tasks.json"
    run("export_tasks", alice.email, "--format=tickbase", f"--project={project.pk}", f"--output={path}")
    assert [each["title"] for each in json.loads(path.read_text())["tasks"]] == ["In"]
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(CommandError, match="cannot be written"):
        run("export_tasks", alice.email, "--format=tickbase", f"--output={path}")


def test_a_project_of_somebody_else_is_none(alice: User, bob: User) -> None:
    for name in (str(make_project(bob).pk), "x", "0"):
        with pytest.raises(CommandError):
            run("export_tasks", alice.email, "--format=csv", f"--project={name}")


def test_reports_are_pruned_with_the_log(alice: User, file: Path) -> None:
    run("import_tasks", alice.email, str(file))
    Import.objects.update(created_at=timezone.now() - dt.timedelta(days=91))
    run("import_tasks", alice.email, str(file))
    pruned = {each.name: each for each in prunables(timezone.now(), 30, 90)}["imports older than 90 days"]
    assert (pruned.due(), sum(pruned.prune()), Import.objects.count()) == (1, 1, 1)
    assert Project.objects.count() == 0
