"""The embedded PostgreSQL: who can connect to it, and what it survives."""

import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import psutil
import psycopg
import pytest
from django.conf import settings

from config.database import embedded

pytestmark = pytest.mark.process

CHECK = [sys.executable, "manage.py", "check"]
# A holder: it has the server while it waits for its standard input to end.
HOLD = "import django, sys; django.setup(); print('held', flush=True); sys.stdin.read()"
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


def test_only_the_owner_can_hold_its_locks(folder: Path) -> None:
    """Who may only read a file may lock it: a stranger's shared lock kept every start and stop waiting."""
    locks = [folder / "data" / name for name in ("start.lock", "holders.lock")]
    locks[0].parent.mkdir()
    locks[0].touch(0o644)  # of an older Tickbase
    assert run(folder / "data").returncode == 0
    assert {stat.S_IMODE(lock.stat().st_mode) for lock in locks} == {0o600}


def test_it_has_a_share_of_the_memory_until_the_operator_says_otherwise(folder: Path) -> None:
    assert run(folder / "data").returncode == 0
    configuration = folder / "data" / "postgres" / "postgresql.conf"
    memory = psutil.virtual_memory().total // 2**20
    assert int(shown(folder / "data", "shared_buffers")) * 8 // 1024 == max(128, min(memory // 4, 1024))
    changed = configuration.read_text() + "shared_buffers = 64MB\n"
    configuration.write_text(changed)
    assert int(shown(folder / "data", "shared_buffers")) * 8 // 1024 == 64
    assert configuration.read_text() == changed


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


# --- Those who share it -------------------------------------------------------------------------------


@contextmanager
def holder(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the server until the block ends, or it is killed."""
    process = started(data_dir)
    try:
        assert has_it(process)
        yield process
    finally:
        let_go(process)


def started(data_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD],
        cwd=settings.BASE_DIR,
        env=environment(data_dir),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def has_it(process: subprocess.Popen[str]) -> bool:
    assert process.stdout is not None
    line: str = process.stdout.readline()
    return line == "held\n"


def let_go(process: subprocess.Popen[str]) -> int:
    """Returns its exit status."""
    with process:  # at the end its standard input is closed, and it is waited for
        pass
    return process.returncode


def postgres(data_dir: Path) -> psutil.Process | None:
    return embedded._main_process(data_dir / "postgres")


def test_the_server_ends_with_the_last_who_uses_it_and_not_with_the_first(folder: Path) -> None:
    with holder(folder) as first, holder(folder):
        main = postgres(folder)
        assert main is not None
        assert let_go(first) == 0
        assert main.is_running()
        assert run(folder).returncode == 0
        assert postgres(folder) == main
    assert postgres(folder) is None
    assert not main.is_running()


def test_who_is_killed_holds_it_no_longer(folder: Path) -> None:
    with holder(folder):
        with holder(folder) as killed:
            killed.kill()
        assert postgres(folder) is not None
    assert postgres(folder) is None


def test_starts_at_the_same_moment_share_one_server(folder: Path) -> None:
    processes = [started(folder) for _ in range(3)]
    assert [has_it(process) for process in processes] == [True] * 3
    for process in processes:
        assert postgres(folder) is not None
        assert let_go(process) == 0
    assert postgres(folder) is None
    assert (folder / "postgres" / "log").read_text().count("database system is ready") == 1


def test_a_start_waits_for_a_backend_that_outlived_its_server(folder: Path) -> None:
    """Both would write to the same files."""
    with holder(folder) as killed:
        main = postgres(folder)
        assert main is not None
        with psycopg.connect(host=str(folder / "postgres"), user="postgres") as connection:
            backend = psutil.Process(connection.info.backend_pid)
            backend.suspend()
            try:
                main.kill()
                killed.kill()
                psutil.wait_procs([main])
                waiting = started(folder)
                with pytest.raises(subprocess.TimeoutExpired):
                    waiting.wait(3)
                assert (folder / "postgres" / "log").read_text().count("starting PostgreSQL") == 1
            finally:
                backend.resume()
    assert has_it(waiting)
    assert (let_go(waiting), postgres(folder)) == (0, None)


@needs_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv takes the capability away")
def test_a_process_that_may_not_look_at_others_leaves_a_living_server_alone(folder: Path) -> None:
    """As root in most containers, which lack CAP_SYS_PTRACE."""
    pid_file = folder / "data" / "postgres" / "postmaster.pid"
    with holder(folder / "data") as process:
        before = pid_file.read_text()
        blind = run(folder / "data", "setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace")
        assert (blind.returncode, pid_file.read_text()) == (0, before), blind.stderr
    assert (process.returncode, pid_file.exists()) == (0, False)


def test_it_is_started_again_although_looking_for_it_failed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """psutil reads of a process that just ends may find nothing; then a service stayed without its database."""
    failures, is_tried = [IndexError("list index out of range")], threading.Event()
    process_iter: Callable[..., Iterator[psutil.Process]] = psutil.process_iter

    def failing_once(*arguments: Any) -> Iterator[psutil.Process]:
        if failures:
            raise failures.pop()
        is_tried.set()
        return process_iter(*arguments)

    with holder(folder):
        monkeypatch.setattr(psutil, "process_iter", failing_once)
        monkeypatch.setattr(embedded, "RETRY_SECONDS", 1)
        monkeypatch.setattr(embedded, "WATCH_SECONDS", 0.01)
        with embedded.kept_running(folder):
            main = postgres(folder)
            assert main is not None
            main.kill()
            assert is_tried.wait(10)
