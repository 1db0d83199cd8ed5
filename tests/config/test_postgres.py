"""The embedded PostgreSQL: who may reach it, and what it survives."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import psutil
import pytest
from django.conf import settings

from config.database import embedded

pytestmark = pytest.mark.process

CHECK = [sys.executable, "manage.py", "check"]
# A holder: it has the server while it waits for its standard input to end.
HOLD = "import django; django.setup(); print('held', flush=True); input()"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only as root PostgreSQL runs as another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="tickbase-") as name:
        yield Path(name)


def environment(data_dir: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return {**inherited, "DATA_DIR": str(data_dir), "DJANGO_SETTINGS_MODULE": "config.settings"}


def run(data_dir: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *CHECK], cwd=settings.BASE_DIR, env=environment(data_dir), capture_output=True, text=True
    )


@pytest.mark.parametrize("name", ["with a space", "x" * 100])
def test_a_directory_that_cannot_hold_the_socket_is_refused(folder: Path, name: str) -> None:
    done = run(folder / name)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "Set DATA_DIR to another directory" in done.stderr
    assert not (folder / name / "postgres").exists()


def test_data_and_socket_are_for_the_owner_only(folder: Path) -> None:
    assert run(folder / "data").returncode == 0
    assert stat.S_IMODE((folder / "data" / "postgres").stat().st_mode) == 0o700


def test_it_has_a_share_of_the_memory_until_the_operator_says_otherwise(folder: Path) -> None:
    assert run(folder / "data").returncode == 0
    configuration = folder / "data" / "postgres" / "postgresql.conf"
    memory = psutil.virtual_memory().total // 2**20
    assert int(shown(folder / "data", "shared_buffers")) * 8 // 1024 == max(128, min(memory // 4, 1024))
    configuration.write_text(configuration.read_text() + "shared_buffers = 64MB\n")
    assert int(shown(folder / "data", "shared_buffers")) * 8 // 1024 == 64
    assert configuration.read_text().count("Tickbase") == 1


@pytest.mark.parametrize(
    ("limit", "buffers"), [("max\n", 1024), (f"{2**30}\n", 256), (f"{2**28}\n", 128), (None, 1024)]
)
def test_its_memory_is_that_of_its_container(
    folder: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None, buffers: int
) -> None:
    if limit is not None:
        (folder / "memory.max").write_text(limit)
    monkeypatch.setattr(embedded, "MEMORY_LIMIT", folder / "memory.max")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=64 * 2**30))
    assert embedded._buffers() == buffers


def shown(data_dir: Path, setting: str) -> str:
    code = (
        "import django; django.setup(); from django.db import connection; cursor = connection.cursor(); "
        f"cursor.execute(\"SELECT setting FROM pg_settings WHERE name = '{setting}'\"); print(*cursor.fetchone())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=settings.BASE_DIR,
        env=environment(data_dir),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@needs_root
def test_directories_above_the_data_are_opened_to_pass_and_not_to_read(folder: Path) -> None:
    (folder / "home").mkdir(mode=0o700)
    assert run(folder / "home" / "data").returncode == 0
    assert stat.S_IMODE((folder / "home").stat().st_mode) == 0o711


def test_a_torn_list_of_holders_is_begun_anew(folder: Path) -> None:
    assert run(folder / "data").returncode == 0
    (folder / "data" / "postgres" / ".handle_pids.json").write_text("[12")
    assert run(folder / "data").returncode == 0


@needs_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv takes the capability away")
def test_a_process_that_may_not_look_at_others_leaves_a_living_server_alone(folder: Path) -> None:
    """As root in most containers, which lack CAP_SYS_PTRACE."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        cwd=settings.BASE_DIR,
        env=environment(folder / "data"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    pid_file = folder / "data" / "postgres" / "postmaster.pid"
    before = pid_file.read_text()
    blind = run(folder / "data", "setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace")
    assert (blind.returncode, pid_file.read_text()) == (0, before), blind.stderr
    holder.communicate("\n", timeout=30)
    assert (holder.returncode, pid_file.exists()) == (0, False)
