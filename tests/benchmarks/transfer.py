"""How long do import and export take, and how much memory? `python -m tests.benchmarks.transfer [--tasks 10000]`

Against the real server with one worker: seconds, seconds to the first byte, and MiB that the worker took at most beyond
what it had before. Goals: 10,000 tasks imported in 10 s and 100 MiB; exported in 2 s; 100,000 of them, made by
`import_tasks`, exported in 50 MiB, with the first byte after 1 s.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.server import Server
from tests.workers import wait_for, worker_of

ACCOUNT = {"email": "mover@example.com", "password": "correct horse battery"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=90_000, help="more, by the command (default %(default)s)")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="tickbase-") as folder,
        Server(Path(folder) / "data", BACKGROUND="on") as server,
    ):
        deferred = worker_of(server)
        (worker,) = (each for each in server.workers() if each != deferred)
        client = httpx.Client(base_url=server.base, timeout=600)
        access = client.post("/api/auth/register", json=ACCOUNT).json()["access"]
        client.headers["Authorization"] = f"Bearer {access}"
        client.get("/api/me/export?format=tickbase").raise_for_status()
        with measured(f"import of {options.tasks:,}", worker), measured("    in the worker", deferred):
            answer = client.post("/api/me/imports", content=file_of(options.tasks)).raise_for_status()
            address = f"/api/me/imports/{answer.json()['id']}"
            wait_for(lambda: client.get(address).json()["status"] == "done", 600)
        for name in ("tickbase", "csv"):
            export(client, worker, name)
        if options.many:
            path = Path(folder) / "many.json"
            path.write_bytes(file_of(options.many, "m"))
            begun = time.monotonic()
            server.manage("import_tasks", ACCOUNT["email"], str(path))
            say(f"import_tasks of {options.many:,}: {time.monotonic() - begun:.1f} s")
            export(client, worker, "tickbase")


def export(client: httpx.Client, worker: psutil.Process, name: str) -> None:
    with measured(f"export as {name}", worker):
        begun, size, first = time.monotonic(), 0, 0.0
        with client.stream("GET", f"/api/me/export?format={name}") as answer:
            for piece in answer.iter_raw():
                first = first or time.monotonic() - begun
                size += len(piece)
    say(f"    first byte after {first:.2f} s, {size / 2**20:.1f} MiB")


@contextmanager
def measured(what: str, worker: psutil.Process) -> Iterator[None]:
    before, highest, over = rss(worker), [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            highest[0] = max(highest[0], rss(worker))

    watching = threading.Thread(target=watch)
    watching.start()
    begun = time.monotonic()
    try:
        yield
    finally:
        seconds = time.monotonic() - begun
        over.set()
        watching.join()
        load = os.getloadavg()[0]
        say(f"{what}: {seconds:.1f} s, {highest[0] - before:.0f} MiB more than {before:.0f}, load {load:.1f}")


def rss(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20


def file_of(count: int, prefix: str = "") -> bytes:
    projects = [{"uid": f"{prefix}p{number}", "name": f"Project {number}"} for number in range(20)]
    tasks = [_task(number, prefix) for number in range(count)]
    return json.dumps({"format": "tickbase", "version": 1, "projects": projects, "tasks": tasks}).encode()


def _task(number: int, prefix: str) -> dict[str, Any]:
    """A third are subtasks, a third are done, a tenth recur."""
    is_child = number % 3 == 1
    task: dict[str, Any] = {
        "uid": f"{prefix}{number}",
        "title": f"Task {number} of a list that somebody has kept for years",
        "description": "Some words about what is to be done, and why. " * 4,
        "tags": ["home", f"tag{number % 50}"],
        "created_at": "2024-05-06T07:08:09.123456Z",
    }
    if is_child:
        task["parent_uid"] = f"{prefix}{number - 1}"
    else:
        task["project_uid"] = f"{prefix}p{number % 20}"
    if number % 3 == 2:
        task |= {"status": "completed", "completed_at": "2025-05-06T07:08:09Z"}
    if number % 10 == 0:
        task |= {"due_date": "2026-12-01", "recurrence": {"rule": "FREQ=WEEKLY", "zone": "Europe/Berlin"}}
    return task


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
