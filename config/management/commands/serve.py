"""`manage.py serve`: the whole service in one process tree."""

import ctypes
import gc
import multiprocessing
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core import checks
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connection, connections
from fasteners import InterProcessLock
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from config.environment.variables import HASHING_LOCK
from config.server.answers import FILES
from config.server.bridge import Bridge

LISTENING = "Tickbase is serving; it listens on {base}."
CONNECTIONS = 4096  # of each worker, at once
OTHER_FILES = 256 + FILES  # to the database, logs, temporary files
HEAD_SECONDS = 30
BUFFER = 32 * 1024  # bytes of a head, and of what the server holds of an answer, for each connection
SWITCH_SECONDS = 0.001
M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
ORPHAN_SECONDS = 3  # the worker of a killed server needs a moment to notice
BANNER = """
  Tickbase is serving.

    API docs  {base}/api/docs
    Admin     {admin}
    Data      {data}

  Make an account:
    curl {base}/api/auth/register -H 'Content-Type: application/json' \\
      -d '{{"email": "ada@example.com", "password": "correct horse battery", "name": "Ada"}}'
  Make a staff account, in another terminal:
    {python} manage.py createsuperuser

  Ctrl-C stops everything.
"""


class Command(BaseCommand):
    help = "Serve the API, the docs and the admin; the embedded PostgreSQL too while DATABASE_URL is unset."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--migrate", action="store_true", help="apply missing migrations first")

    def handle(self, *args: Any, migrate: bool, **options: Any) -> None:
        lock = InterProcessLock(_port_lock())
        if not lock.acquire(timeout=ORPHAN_SECONDS):
            raise CommandError(f"Another Tickbase starts or serves on port {settings.PORT}; choose another port.")
        try:
            _require_free_port()
            self._serve(migrate)
        finally:
            lock.release()

    def _serve(self, migrate: bool) -> None:
        _require_database()
        if migrate:
            call_command("migrate", interactive=False, verbosity=0)
        # In development, with whatever database is at hand, the first wall may do.
        fail_level = checks.ERROR if settings.PRODUCTION else checks.CRITICAL
        self.check(tags=[checks.Tags.database], databases=[DEFAULT_DB_ALIAS], fail_level=fail_level)
        # Where the workers are forked, they must not inherit this process's connections and pool threads.
        connections.close_all()
        for each in connections.all():
            each.close_pool()  # type: ignore[attr-defined]
        server = self._server()
        server.on_startup(self._print_banner)
        # granian reloads on SIGHUP; but when the terminal is closed, what it started should end.
        server.on_startup(lambda: signal.signal(signal.SIGHUP, server.signal_handler_interrupt))
        with _database_kept_running(), _counters(), _hashing_lock():
            server.serve()

    def _server(self) -> Any:
        return Granian(
            f"{__name__}:application",
            factory=True,
            address=settings.HOST,
            port=settings.PORT,
            interface=Interfaces.ASGINL,
            websockets=False,
            # A connection that has said nothing yet has a deadline only where it cannot turn out to be HTTP/2.
            http=HTTPModes.http1,
            workers=settings.WORKERS,
            backpressure=_connections(),
            # Also for how long a connection without a request stays open: clients and proxies expect no less.
            http1_settings=HTTP1Settings(header_read_timeout=HEAD_SECONDS * 1000, max_buffer_size=BUFFER),
            workers_kill_timeout=10,
            # One that dies within seconds of its start ends the service: whatever supervises it should know.
            respawn_failed_workers=True,
            log_level=LogLevels.warning,
            # As all other records: through the root's handler. Its lines of requests (log_access) stay off.
            log_dictconfig={"loggers": {"_granian": {"propagate": True}}},
        )

    def _print_banner(self) -> None:
        host = _reachable(settings.HOST)
        base = f"http://[{host}]:{settings.PORT}" if ":" in host else f"http://{host}:{settings.PORT}"
        data = settings.DATA_DIR if settings.EMBEDDED_DATABASE else "in the database that DATABASE_URL names"
        # In production, addresses are the proxy's matter.
        banner = LISTENING if settings.PRODUCTION else BANNER
        admin = f"{base}/{settings.ADMIN_PATH}" if settings.ADMIN_PATH else "off"
        python = os.path.relpath(sys.executable)
        self.stdout.write(banner.format(base=base, admin=admin, data=data, python=python))
        self.stdout.flush()


def _reachable(host: str) -> str:
    """What listens on every address can be called on the loopback."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return ("127.0.0.1" if address.version == 4 else "::1") if address.is_unspecified else host


def application() -> Bridge:
    """What each worker process runs; it leaves when its parent says so or is gone.

    Ctrl-C must reach the parent alone, hence the process group: a worker that gets the terminal's SIGINT
    and then its parent's SIGTERM hangs in most cases (granian 2.8). A worker whose parent was killed
    would go on answering on the port, beside the worker of the next start.
    """
    os.setpgrp()
    # Not whoever is the parent now: it may have been killed while this process started.
    server = multiprocessing.parent_process()
    assert server is not None and server.pid is not None
    threading.Thread(target=_leave_with, args=[server.pid], daemon=True).start()
    from config.asgi import application

    # What is there now stays: the collector need not look at all of it again whenever it looks at what requests leave
    # behind, which it does less often, too. It took a sixth of the time of a list.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    _give_memory_back()
    # Threads that work without waiting keep the others from it for so long, at each of their steps.
    sys.setswitchinterval(SWITCH_SECONDS)
    return application


def _give_memory_back() -> None:
    """Of answers of megabytes, glibc would keep what it took for them; from this size on, it is not to learn that."""
    with suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 128 * 1024)


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


def _database_kept_running() -> AbstractContextManager[None]:
    if not settings.EMBEDDED_DATABASE:
        return nullcontext()
    from config.database import embedded  # as in the settings: of no use with a DATABASE_URL

    return embedded.kept_running(settings.DATA_DIR)


@contextmanager
def _counters() -> Iterator[None]:
    """A folder where the workers count, if metrics are on; empty, for counts belong to one run of the service."""
    if not settings.METRICS:
        yield
        return
    own = _own("metrics")
    for left in own.parent.glob(f"{own.name}-*"):  # by a server that was killed
        shutil.rmtree(left, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=f"{own.name}-")  # of a new name, which no stranger can have taken
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    try:
        yield
    finally:
        shutil.rmtree(folder)


@contextmanager
def _hashing_lock() -> Iterator[None]:
    """Of a new name, which no stranger can have taken."""
    with tempfile.NamedTemporaryFile(prefix=f"{_own('hashing').name}-") as file:
        os.environ[HASHING_LOCK] = file.name
        yield


def _connections() -> int:
    """CONNECTIONS, or what the system lets a process have; its soft limit is often 1024."""
    wanted = CONNECTIONS + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return CONNECTIONS
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, soft - OTHER_FILES)


def _require_database() -> None:
    """Connect once without the pool, which would only say that it waited in vain."""
    try:
        psycopg.connect(**connection.get_connection_params()).close()
    except psycopg.OperationalError as error:
        reason = str(error).partition("\n")[0]
        raise CommandError(f"The database cannot be reached; check DATABASE_URL. The reason: {reason}") from error


def _port_lock() -> Path:
    """Held while serving: two that start at the same moment would both find the port free."""
    return _own("lock")


def _own(kind: str) -> Path:
    """A path that belongs to the service on this port; a start finds what a killed one has left there."""
    return Path(tempfile.gettempdir()) / f"tickbase-{os.getuid()}-{settings.PORT}.{kind}"


def _require_free_port() -> None:
    """granian shares its port (SO_REUSEPORT): two servers would answer in turns, each with its own data."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while error := _listen_error():
        if time.monotonic() > deadline:
            raise CommandError(
                f"Cannot listen on {settings.HOST}:{settings.PORT}: {error.strerror}. "
                "Stop the other program, choose another port (PORT=8001 make run), or correct HOST."
            )
        time.sleep(0.1)


def _listen_error() -> OSError | None:
    family = socket.AF_INET6 if ":" in settings.HOST else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of a past server do not count
        try:
            probe.bind((settings.HOST, settings.PORT))
            probe.listen()
        except OSError as error:
            return error
    return None
