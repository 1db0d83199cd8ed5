"""Are 10,000 reminders of a minute told in time? `python -m tests.benchmarks.reminders`

Starts PostgreSQL as `make run` does, an SMTP server (aiosmtpd) in this process, and one `manage.py work`. Prints how
long after its moment each mail was handed over, and what the worker took.
"""

import argparse
import asyncio
import email
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import psycopg
from aiosmtpd.controller import Controller

from tests.benchmarks.memory import peak, rss, tell
from tests.server import ROOT, Server, free_port

ADVANCE = 10.0  # seconds from the start of the worker to the first reminder
PATIENCE = 120.0  # seconds after the last one was due
# Each user's tasks take turns with others'; all of them are due within the minute, evenly.
_SEED = """
    SELECT set_config('tickbase.user_id', '0', false);
    INSERT INTO users_user (id, password, is_superuser, email, email_canonical, name, timezone, is_active, is_staff,
        created_at, token_version, email_verified_at)
    SELECT id, '!', false, email, email, '', 'Europe/Berlin', true, false, now(), 0, now()
    FROM (SELECT id, 'user' || id || '@example.com' AS email FROM generate_series(1, {users}) AS id);
    INSERT INTO tasks_feed (user_id, head, floor) SELECT id, {count}, 0 FROM users_user;
    INSERT INTO tasks_task (user_id, uid, title, description, status, priority, tags, created_at, updated_at, version,
        tag_keys, search_text, title_key, due_date, due_at, reminders, remind_from)
    SELECT 1 + number % {users}, gen_random_uuid(), 'Task ' || number, '', 'pending', 'medium', '{{}}', now(), now(),
        number + 1, '{{}}', 'task ' || number, 'task ' || number, (due_at AT TIME ZONE 'Europe/Berlin')::date, due_at,
        '[{{"uid": "a", "minutes_before": 30}}]', due_at
    FROM (
        SELECT number, to_timestamp({first} + {seconds} * number / {count}::float8) + interval '30 min' AS due_at
        FROM generate_series(0, {count} - 1) AS number
    ) AS row;
    ANALYZE;
"""


class Mailbox:
    """When the mail of each task was taken."""

    def __init__(self) -> None:
        self.taken: dict[int, list[float]] = {}

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (its interface)
        now = time.time()
        subject = str(email.message_from_bytes(envelope.content)["Subject"])
        if found := re.fullmatch(r"Reminder: Task (\d+)", subject):
            self.taken.setdefault(int(found[1]), []).append(now)
        return "250 OK"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="reminders, default %(default)s")
    parser.add_argument("--users", type=int, default=2_000, help="whose they are, default %(default)s")
    parser.add_argument("--seconds", type=float, default=60, help="in which they are due, default %(default)s")
    arguments = parser.parse_args()
    box, port = Mailbox(), free_port()
    mails = Controller(box, hostname="127.0.0.1", port=port, loop=asyncio.new_event_loop())
    mails.start()
    try:
        settings = {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(port), "EMAIL_SECURITY": "none"}
        settings |= {"API_URL": "https://api.example.com", "APP_URL": "https://app.example.com", "LOG_LEVEL": "WARNING"}
        with TemporaryDirectory(prefix="tickbase-") as folder, Server(Path(folder), **settings) as server:
            measure(server, box, arguments.count, arguments.users, arguments.seconds)
    finally:
        mails.stop()


def measure(server: Server, box: Mailbox, count: int, users: int, seconds: float) -> None:
    first = time.time() + ADVANCE + count / 2_000
    host = server.data_dir / "postgres"
    with psycopg.connect(f"host={host} user=postgres dbname=tickbase", autocommit=True) as superuser:
        superuser.execute(_SEED.format(users=users, count=count, first=first, seconds=seconds).encode())
    loads = [os.getloadavg()[0]]
    worker = subprocess.Popen([sys.executable, "manage.py", "work"], cwd=ROOT, env=server.environment)
    process = psutil.Process(worker.pid)
    try:
        wait(first - 2)
        idle, used = rss(process), cpu(process)
        deadline = first + seconds + PATIENCE
        while len(box.taken) < count and time.time() < deadline:
            time.sleep(0.2)
        loads.append(os.getloadavg()[0])
        report(box, first, count, seconds)
        busy = cpu(process) - used
        tell(f"worker: {idle:.0f} MiB before, {rss(process):.0f} MiB after, {peak(process):.0f} MiB at most")
        tell(f"worker: {busy:.1f} s of CPU, {busy / max(1, len(box.taken)) * 1000:.2f} ms for each")
        tell(f"load average of the machine: {loads[0]:.1f} before, {loads[1]:.1f} after; {os.cpu_count()} cores")
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(40)


def wait(until: float) -> None:
    if (seconds := until - time.time()) > 0:
        time.sleep(seconds)
    else:
        tell(f"the worker was not there in time, by {-seconds:.1f} s")


def cpu(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))


def report(box: Mailbox, first: float, count: int, seconds: float) -> None:
    late = sorted(taken[0] - (first + seconds * number / count) for number, taken in box.taken.items())
    again = sum(len(taken) - 1 for taken in box.taken.values())
    tell(f"{len(late)} of {count} handed over, {again} of them again, {sum(each < 0 for each in late)} early")
    if len(late) > 1:
        last = max(taken[0] for taken in box.taken.values())
        tell(
            f"the last one {last - first:.1f} s after the first was due, {last - first - seconds:.1f} s after the last"
        )
        p99 = statistics.quantiles(late, n=100)[98]
        tell(f"lateness, s: p50 {statistics.median(late):.2f}, p99 {p99:.2f}, most {late[-1]:.2f}")


if __name__ == "__main__":
    main()
