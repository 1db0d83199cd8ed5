"""What does an idle worker cost? `python -m tests.benchmarks.work [--seconds 60]`

Transactions a second, its CPU and its memory, with 1,000 accounts of which 100 have a webhook. Goals: 2 statements a
second, 110 MiB.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.server import Server
from tests.workers import superuser, wait_for, worker_of

STATEMENTS = "SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database WHERE datname = 'tickbase'"
ENDPOINTS = """
    INSERT INTO webhooks_endpoint (user_id, url, events, secret, old_secret, is_active, version, created_at, updated_at,
        due_at, cursor_epoch, cursor_version, cursor_event, failures, last_error, is_slow)
    SELECT id, 'https://192.0.2.1/hook', '{*}', 'whsec_', '', true, 1, now(), now(), now(),
        (SELECT value FROM users_epoch), head, 0, 0, '', false
    FROM users_user JOIN tasks_feed ON user_id = id ORDER BY id LIMIT 100
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tickbase-") as folder, Server(Path(folder) / "data") as server:
        server.manage("seed_demo", "--users", "1000", "--tasks", "10")
        with superuser(server) as other:
            other.execute(ENDPOINTS)
        server.stop()
        server.environment["BACKGROUND"] = "on"
        server.start()
        worker = worker_of(server)
        with superuser(server) as other:
            wait_for(lambda: worker.num_threads() > 1)
            time.sleep(5)  # the chores that are due at the first start

            def count() -> int:
                (found,) = other.execute(STATEMENTS).fetchone() or (0,)
                return int(str(found))

            before, cpu, began = count(), sum(worker.cpu_times()[:2]), time.monotonic()
            time.sleep(options.seconds)
            seconds = time.monotonic() - began
            done, used = count() - before - 1, sum(worker.cpu_times()[:2]) - cpu
        memory = worker.memory_info().rss / 2**20
        told = f"{done / seconds:.2f} transactions a second, {used / seconds:.1%} of a core, {memory:.0f} MiB"
        sys.stdout.write(f"{told}\n")


if __name__ == "__main__":
    main()
