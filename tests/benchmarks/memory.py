"""What memory does a worker take? `python -m tests.benchmarks.memory [--requests 100000] [--tasks 10000 1000000]`

Starts Tickbase as `make run` does. First mixed requests over 16 connections, then a user whose tasks are listed
page by page and exported. Linux only: it tells, and forgets, what a process took at most.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from tests.server import Server

HERE = Path(__file__).parent
PASSWORD = "correct horse battery"
USERS, TASKS = 20, 200
CONNECTIONS = 16
SLICE_SECONDS = 2
GOAL = 120.0  # MiB
MEMBER = b'"title":'
FLAT = 2.0  # MiB that the last half of the requests may add


def main() -> None:
    parser = argparse.ArgumentParser(description="What memory does a worker take?")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--tasks", type=int, nargs="*", default=[10_000, 1_000_000])
    arguments = parser.parse_args()
    if arguments.requests:
        if shutil.which("wrk") is None:
            raise SystemExit("The load comes from wrk, which is not installed; on Debian and Ubuntu: apt install wrk")
        with started() as server:
            mixed(server, arguments.requests)
    for count in arguments.tasks:
        with started() as server:
            large(server, count)


@contextmanager
def started() -> Iterator[Server]:
    with TemporaryDirectory(prefix="tickbase-") as folder, Server(Path(folder)) as server:
        yield server


# --- Mixed requests ---------------------------------------------------------------------------------


def mixed(server: Server, requests: int) -> None:
    """Print what the worker takes at each tenth, and what the last half added."""
    worker = server.workers()[0]
    emails = [f"user{number}@example.com" for number in range(USERS)]
    for email in emails:
        seed(server, sign_up(server, email), TASKS)
    first, tokens = first_tasks(server), server.data_dir / "tokens"
    tell(f"at the start {rss(worker):6.1f} MiB")
    made, samples = 0, [rss(worker)]
    for tenth in range(1, 11):
        if made < requests * tenth // 10:
            lines = [f"{sign_in(server, email)} {task} {TASKS}" for email, task in zip(emails, first, strict=True)]
            tokens.write_text("\n".join(lines))
        while made < requests * tenth // 10:
            made += load(server, tokens)
        samples.append(rss(worker))
        tell(f"{made:8} requests {samples[-1]:6.1f} MiB")
    growth = samples[10] - samples[5]
    tell(f"the last half added {growth:+.1f} MiB; at most {peak(worker):.1f} MiB, while passwords were hashed")
    if samples[-1] >= GOAL or growth > FLAT:
        raise SystemExit(f"The goal is less than {GOAL} MiB, and at most {FLAT} MiB more in the last half.")


def load(server: Server, tokens: Path) -> int:
    """A slice of the load, short as access tokens are; returns the number of requests."""
    command = [
        "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SLICE_SECONDS}s", "--timeout", "30s",
        "-s", str(HERE / "memory.lua"), server.base,
    ]  # fmt: skip
    environment = {**os.environ, "TOKENS": str(tokens)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SLICE_SECONDS + 60)
    found = json.loads(done.stdout.partition("JSON")[2].partition("\n")[0] or "null")
    if found is None or found["bad"]:
        raise SystemExit(f"Not all requests were answered as they should be:\n{done.stdout}{done.stderr}")
    requests: int = found["requests"]
    return requests


# --- A list and an export of many tasks -------------------------------------------------------------


def large(server: Server, tasks: int) -> None:
    """Print the most that the worker takes while it lists and exports all tasks of a user."""
    worker = server.workers()[0]
    seed(server, sign_up(server, "ada@example.com"), tasks)
    with httpx.Client(base_url=server.base, timeout=600) as client:
        client.headers["Authorization"] = f"Bearer {sign_in(server, 'ada@example.com')}"
        for name, read in (("list", read_list), ("export", read_export)):
            before = rss(worker)
            forget_peak(worker)
            start = time.perf_counter()
            found = read(client)
            seconds = time.perf_counter() - start
            if found != tasks:
                raise SystemExit(f"The {name} holds {found} of {tasks} tasks.")
            tell(f"{name:6} of {tasks:8} tasks in {seconds:6.1f} s: {before:6.1f} MiB, at most {peak(worker):6.1f} MiB")


def read_list(client: httpx.Client) -> int:
    found, url = 0, "/api/me/tasks?limit=200"
    while url:
        page = client.get(url).raise_for_status()
        found += len(page.json())
        link = page.links.get("next")
        url = str(page.url.join(link["url"])) if link else ""
    return found


def read_export(client: httpx.Client) -> int:
    """How often a member comes that each task has once; the document itself is too large to hold."""
    found, rest = 0, b""
    with client.stream("GET", "/api/users/me/export") as answer:
        answer.raise_for_status()
        for chunk in answer.iter_bytes():
            text = rest + chunk
            found += text.count(MEMBER)
            rest = text[-len(MEMBER) + 1 :]
    return found


# --- Accounts, tasks and memory ---------------------------------------------------------------------


def sign_up(server: Server, email: str) -> int:
    answer = post(server, "register", {"email": email, "password": PASSWORD, "name": "Ada"})
    return int(answer["user"]["id"])


def sign_in(server: Server, email: str) -> str:
    return str(post(server, "login", {"email": email, "password": PASSWORD})["access"])


def post(server: Server, path: str, body: dict[str, str]) -> Any:
    return httpx.post(f"{server.base}/api/auth/{path}", json=body, timeout=30).raise_for_status().json()


def superuser(server: Server) -> psycopg.Connection:
    socket = str(server.data_dir / "postgres")
    return psycopg.connect(make_conninfo(host=socket, user="postgres", dbname="tickbase"), autocommit=True)


def seed(server: Server, user: int, count: int) -> None:
    with superuser(server) as connection:
        connection.execute((HERE / "memory.sql").read_bytes(), {"user": user, "count": count})
        connection.execute(
            "INSERT INTO tasks_feed (user_id, head, floor) VALUES (%(user)s, %(count)s, 0)"
            " ON CONFLICT (user_id) DO UPDATE SET head = EXCLUDED.head",
            {"user": user, "count": count},
        )
        connection.execute("ANALYZE tasks_task")


def first_tasks(server: Server) -> list[int]:
    """In the order in which the users were made."""
    with superuser(server) as connection:
        rows = connection.execute("SELECT min(id) FROM tasks_task GROUP BY user_id ORDER BY user_id")
        return [task for (task,) in rows]


def rss(process: psutil.Process) -> float:
    """MiB."""
    return float(process.memory_info().rss) / 2**20


def forget_peak(process: psutil.Process) -> None:
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def peak(process: psutil.Process) -> float:
    """MiB that it took at most since it began, or since `forget_peak`."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
