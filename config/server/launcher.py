"""Launches the service: reserves its port, sets the limits of processes, and starts granian and its children."""

import asyncio
import ctypes
import gc
import logging
import multiprocessing
import os
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections
from django.utils.module_loading import import_string
from fasteners import InterProcessLock
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from config.environment import memory
from config.environment.variables import HASHING_LOCK, STREAM_PLACES
from config.server import streams
from config.server.bridge import Bridge
from config.server.responses import FILES

logger = logging.getLogger(__name__)

APPLICATION = "config.asgi.application"
CONNECTIONS = 4096  # of each worker, at once
OTHER_FILES = 256 + FILES  # to the database, logs, temporary files
HEAD_SECONDS = 30
BUFFER = 32 * 1024  # bytes of a head, and of what the server holds of an answer, for each connection
SWITCH_SECONDS = 0.001
# Linux's filter.h and asm-generic/socket.h.
BPF_RETURN, SO_ATTACH_FILTER = 0x06, 26
CLOSING_SECONDS = 0.5  # of DRAIN_SECONDS, the last, in which no new connection is taken
WATCH_SECONDS = 0.5  # between two looks whether the worker of deferred work still runs
MOST_PAUSE = 30.0  # seconds before such a worker is started again
WORK_STOP_SECONDS = 40
TRIM_SECONDS = 10.0  # between two looks whether memory can be given back
ORPHAN_SECONDS = 3  # the worker of a killed server needs a moment to notice


class LaunchError(Exception):
    """Why the service cannot start, and what to do about it."""


@contextmanager
def reserved_port() -> Iterator[None]:
    """Hold the lock of the port, and require that it is free: two starts at once would both find it so."""
    lock = InterProcessLock(_path_of("lock"))
    if not lock.acquire(timeout=ORPHAN_SECONDS):
        raise LaunchError(f"Another Tickbase starts or serves on port {settings.PORT}; choose another port.")
    try:
        _require_free_port()
        yield
    finally:
        lock.release()


def _path_of(kind: str) -> Path:
    """A path that belongs to the service on this port; a start finds what a killed one has left there."""
    return Path(tempfile.gettempdir()) / f"tickbase-{os.getuid()}-{settings.PORT}.{kind}"


def _require_free_port() -> None:
    """granian shares its port (SO_REUSEPORT): two servers would answer in turns, each with its own data."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while True:
        with socket.socket(socket.AF_INET6 if ":" in settings.HOST else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of a past server do not count
            try:
                # Not listen: a client that connects meanwhile would be reset. What listens conflicts by itself.
                return probe.bind((settings.HOST, settings.PORT))
            except OSError as error:
                if time.monotonic() > deadline:
                    raise LaunchError(
                        f"Cannot listen on {settings.HOST}:{settings.PORT}: {error.strerror}. "
                        "Stop the other program, choose another port (PORT=8001 make run), or correct HOST."
                    ) from error
        time.sleep(0.1)


def run(on_startup: Callable[[], None]) -> None:
    """Serve until a signal, with the embedded PostgreSQL and the folder of metrics if they are needed."""
    connections.close_all()  # where the workers are forked, they must not inherit them
    server = make_server(f"{__name__}:worker")
    server.on_startup(on_startup)
    # granian reloads on SIGHUP; but when the terminal is closed, what it started should end.
    server.on_startup(lambda: signal.signal(signal.SIGHUP, server.signal_handler_interrupt))
    with ExitStack() as children:
        if settings.EMBEDDED_DATABASE:
            from config.database import embedded  # as in the settings: of no use with a DATABASE_URL

            children.enter_context(embedded.kept_running(settings.DATA_DIR))
        if settings.METRICS:
            children.enter_context(_metrics_folder())
        for variable, kind in ((HASHING_LOCK, "hashing"), (STREAM_PLACES, "streams")):
            # Of a new name, which no stranger can have taken.
            lock = children.enter_context(tempfile.NamedTemporaryFile(prefix=f"{_path_of(kind).name}-"))
            os.environ[variable] = lock.name
        if settings.BACKGROUND:
            children.enter_context(_deferred_work())
        server.serve()


@contextmanager
def _deferred_work() -> Iterator[None]:
    """A process that runs `manage.py work`, started again whenever it ends. It leaves before the database does."""
    is_over = threading.Event()
    # Of a process group of its own: Ctrl-C reaches this process alone, which ends its children in order. `serve` has
    # made the checks, which would load all that requests need.
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "work", "--skip-checks"]
    command.append(f"--child-of={os.getpid()}")

    def supervise() -> None:
        pause = 1.0
        while not is_over.is_set():
            began = time.monotonic()
            try:
                with start(command) as child:
                    while child.poll() is None and not is_over.wait(WATCH_SECONDS):
                        pass
                    if is_over.is_set():
                        return _end(child)
                ending = f"has ended with status {child.returncode}"
            except OSError as error:  # no memory or no process is left: likely just after it was killed for that
                ending = f"does not start ({error})"
            pause = 1.0 if time.monotonic() - began > MOST_PAUSE else min(pause * 2, MOST_PAUSE)
            logger.error("the worker %s; starting it again in %.0f s", ending, pause)
            is_over.wait(pause)

    supervisor = threading.Thread(target=supervise, name="work-watch")
    supervisor.start()
    try:
        yield
    finally:
        is_over.set()
        supervisor.join()


# Held by who forks, so that no child inherits the pipe that `start` waits for to be closed, and keeps it open.
_starting = threading.Lock()
os.register_at_fork(before=_starting.acquire, after_in_parent=_starting.release, after_in_child=_starting.release)


def start(command: list[str]) -> subprocess.Popen[bytes]:
    """In a process group of its own. Waits until no other thread forks: a child that lives on would hold this up."""
    with _starting:
        return subprocess.Popen(command, process_group=0)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(WORK_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()  # what it was about is tried again, by the next one


def make_server(target: str) -> Any:
    return Granian(
        target,
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
        workers_kill_timeout=settings.DRAIN_SECONDS + 10,
        # One that dies within seconds of its start ends the service: whatever supervises it should know.
        respawn_failed_workers=True,
        log_level=LogLevels.warning,
        # As all other records: through the root's handler. Its lines of requests (log_access) stay off.
        log_dictconfig={"loggers": {"_granian": {"propagate": True}}},
    )


def _connections() -> int:
    """CONNECTIONS, or fewer if the limit of open files is low; raises the soft limit, which is often 1024."""
    wanted = CONNECTIONS + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return CONNECTIONS
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, soft - OTHER_FILES)


@contextmanager
def _metrics_folder() -> Iterator[None]:
    """A new folder for the metrics of the workers (PROMETHEUS_MULTIPROC_DIR), as counts belong to one run."""
    prefix = _path_of("metrics")
    for left in prefix.parent.glob(f"{prefix.name}-*"):  # by a server that was killed
        shutil.rmtree(left, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=f"{prefix.name}-")  # of a new name, which no stranger can have taken
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    try:
        yield
    finally:
        shutil.rmtree(folder)


def worker() -> Bridge:
    """The ASGI application of a worker process, which ends by SIGTERM, also when its parent was killed.

    Ctrl-C must reach the parent alone, hence the process group: a worker that gets the terminal's SIGINT
    and then its parent's SIGTERM hangs in most cases (granian 2.8). A worker whose parent was killed
    would go on answering on the port, beside the worker of the next start.
    """
    # Until granian sets its own handler: the server's, which a fork inherits, would swallow what `_leave_with` sends.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.setpgrp()
    # Not the present parent: the server may have been killed while this process started.
    server = multiprocessing.parent_process()
    assert server is not None and server.pid is not None
    threading.Thread(target=_leave_with, args=[server.pid], daemon=True).start()
    application: Bridge = import_string(APPLICATION)
    loop = asyncio.get_event_loop_policy().get_event_loop()  # which runs later
    _call_on_stop(loop, application.stop)
    loop.call_soon(_drop_unresponsive_clients)

    # What is there now stays: the collector need not look at all of it again whenever it looks at what requests leave
    # behind, which it does less often, too. It took a sixth of the time of a list.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    memory.return_large_blocks()
    loop.call_soon(_give_memory_back, loop, memory.resident())
    # Threads that work without waiting keep the others from it for so long, at each of their steps.
    sys.setswitchinterval(SWITCH_SECONDS)
    return application


def _give_memory_back(loop: asyncio.AbstractEventLoop, before: int) -> None:
    loop.call_later(TRIM_SECONDS, _give_memory_back, loop, memory.give_back(before))


def _call_on_stop(loop: Any, stop: Callable[[], None]) -> None:
    """Call it on the event loop when the worker is told to stop; granian is told DRAIN_SECONDS later.

    granian waits for the requests that are open, so streams have to end by themselves; connections without one it
    closes at once, with the request that a proxy may be sending over one. It tells nobody: it sets its signal handlers
    after this, on the event loop that is there already.
    """
    add = loop.add_signal_handler

    def add_after_stop(signum: int, handle: Callable[..., None], *args: Any) -> None:
        def stop_and_handle() -> None:
            stop()
            loop.call_later(max(0, settings.DRAIN_SECONDS - CLOSING_SECONDS), _drop_new_connections)
            loop.call_later(settings.DRAIN_SECONDS, handle, *args)

        add(signum, stop_and_handle)

    loop.add_signal_handler = add_after_stop


def _drop_unresponsive_clients() -> None:
    """Let Linux end a connection whose client has taken nothing of what is sent for so long (TCP_USER_TIMEOUT).

    The buffers of a connection take megabytes, tens of thousands of events, before `send` waits; and a client that has
    gone without a word is noticed after a quarter of an hour. Connections inherit this from the listening socket, which
    granian opens by itself, before the event loop runs.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        for listening in _listening_sockets():
            milliseconds = round(streams.SEND_SECONDS * 1000)
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def _drop_new_connections() -> None:
    """Let Linux drop what comes for the listening socket, by a filter of one instruction (SO_ATTACH_FILTER).

    When granian closes the socket, the kernel resets the connections that wait to be accepted, and granian ends those
    that have sent nothing yet: both with a request that a proxy has just sent, and does not send again. A connection
    that is dropped now is tried again after a second, finds the port closed, and goes to another instance.
    """
    if sys.platform != "linux":
        return
    instruction = ctypes.create_string_buffer(struct.pack("HBBI", BPF_RETURN, 0, 0, 0))
    for listening in _listening_sockets():
        program = struct.pack("HP", 1, ctypes.addressof(instruction))
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def _listening_sockets() -> Iterator[socket.socket]:
    for number in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):  # closed meanwhile, or of another family
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as each:
                if each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    yield each


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
