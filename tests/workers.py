"""The worker of deferred work that a server has started, for tests that kill it."""

import time
from collections.abc import Callable
from contextlib import suppress

import psutil
import psycopg

from tests.server import Server


def wait_for(found: Callable[[], object], seconds: float = 120.0) -> None:
    """A machine that is busy takes many times as long to start a worker as one that is not."""
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "it has not come"
        time.sleep(0.05)


def worker_of(server: Server) -> psutil.Process:
    """Waits until there is one."""
    found: list[psutil.Process] = []

    def look() -> bool:
        found.clear()
        for child in psutil.Process(server.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # it has just been killed
                found.extend([child] if "work" in child.cmdline() else [])
        return bool(found)

    wait_for(look)
    return found[0]


def kill_worker(server: Server, *tables: str) -> None:
    """What it held of these tables is free at once, so that the test need not wait for a minute."""
    worker = worker_of(server)
    worker.kill()
    wait_for(lambda: is_gone(worker))
    with superuser(server) as connection:
        for table in tables:
            connection.execute(f"UPDATE {table} SET leased_until = now() WHERE leased_until IS NOT NULL".encode())


def is_gone(process: psutil.Process) -> bool:
    """Its own parent has to reap it."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    return True


def superuser(server: Server) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(f"host={server.data_dir / 'postgres'} user=postgres dbname=tickbase", autocommit=True)
