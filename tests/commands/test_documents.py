"""docs/commands.md is true: its lines run, in their order, on the service that they are about."""

import re
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from django.conf import settings
from django.core.management import load_command_class

from tests.server import ROOT, Server

TEXT = (settings.BASE_DIR / "docs" / "commands.md").read_text()
SCRIPT = "".join(re.findall(r"^```bash\n(.*?)^```$", TEXT, re.M | re.S))
COMMANDS = {
    "backup": "config", "doctor": "config", "restore": "config", "prune": "users", "seed_demo": "tasks",
    "create_token": "users", "delete_user": "users", "export_user": "users", "invite": "users",
    "import_tasks": "tasks", "export_tasks": "tasks",
    "work": "config",
}  # fmt: skip


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="tickbase-") as name:
        yield Path(name)


@pytest.mark.process
def test_its_lines_run(folder: Path) -> None:
    with Server(folder / "data", BACKGROUND="on") as server:
        script = SCRIPT.replace("python manage.py", f"{sys.executable} {ROOT}/manage.py")
        script += 'test -n "$TOKEN"\n'
        checkout, home = folder / "checkout", folder / "home"
        checkout.mkdir()
        home.mkdir()
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=checkout,
            env={**server.environment, "HOME": str(home)},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name for path in home.iterdir()) == ["demo1.json", "tasks.json", "tickbase.dump"]
    assert list(checkout.iterdir()) == []
    assert "Restored 7 accounts, 700 tasks and 42 projects." in done.stdout


def test_each_command_is_in_it() -> None:
    assert set(re.findall(r"manage\.py (\w+)", SCRIPT)) == {"version", *COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_reads_well(name: str) -> None:
    parser = load_command_class(COMMANDS[name], name).create_parser("manage.py", name)
    out = StringIO()
    parser.print_help(out)
    assert len(parser.description or "") > 60
    for action in parser._actions:
        assert action.help, f"{action.dest} is not explained"


def test_what_deletes_can_be_tried_dry() -> None:
    for name in ("delete_user", "prune", "restore"):
        out = StringIO()
        load_command_class(COMMANDS[name], name).create_parser("manage.py", name).print_help(out)
        assert "--dry-run" in out.getvalue()
