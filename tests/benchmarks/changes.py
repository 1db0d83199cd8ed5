"""What a page of changes costs beside a page of a list: CPU of the process, on a new PostgreSQL.

`python -m tests.benchmarks.changes`. In turns, so that whatever else the machine does falls on all of them alike.
"""

import logging
import os
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import django
from django.core.management import call_command
from django.test import RequestFactory

from tests.benchmarks.run import data_dir

TASKS = 600
TURNS = 100


def rows() -> Iterator[str]:
    os.environ |= {"DATA_DIR": str(data_dir()), "DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": ""}
    django.setup()
    call_command("migrate", verbosity=0)
    from config.database.isolation import all_users
    from tests.factories import make_task, make_user
    from users.resources import feed
    from users.sync.cursors import Cursor

    logging.disable()
    with all_users():
        user = make_user()
        for _ in range(TASKS):
            make_task(user, description="About the invoice of last year", tags=["health", "home"])
        bounds = feed.Bounds(*_run(feed.bounds(user))[0])
        head = Cursor.at_head(user, bounds)
        start, end = head._replace(version=0).encode(), head.encode()
        tag = {"If-None-Match": f'"{bounds.head}"'}
        asked: dict[str, Any] = {
            "list of 50": ("/api/me/tasks?limit=50", {}, 200),
            "first sync, 500": ("/api/me/changes", {}, 200),
            "changes, 500": (f"/api/me/changes?since={start}", {}, 200),
            "changes, 50": (f"/api/me/changes?since={start}&limit=50", {}, 200),
            "nothing new": (f"/api/me/changes?since={end}", {}, 200),
            "304": (f"/api/me/changes?since={end}", tag, 304),
        }
        times = _measured(user, asked)
    base = times["list of 50"]
    for name, spent in times.items():
        yield f"{name:16}{spent:8.2f} ms {spent / base:6.2f} x"


def _run(statement: Any) -> Any:
    from config.database.queries import run

    return run(statement)


def _measured(user: Any, asked: dict[str, Any]) -> dict[str, float]:
    """The median of each, in milliseconds."""
    from config.wsgi import Application
    from tests.benchmarks.yardsticks import _ask
    from tests.factories import make_tokens

    application, token = Application(), make_tokens(user).access
    spent: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(TURNS):
        for name, (path, headers, status) in asked.items():
            environ = (
                RequestFactory(SERVER_NAME="localhost", headers={"Authorization": f"Bearer {token}", **headers})
                .get(path)
                .environ
            )
            began = time.process_time()
            _ask(application, environ, status)
            spent[name].append((time.process_time() - began) * 1000)
    return {name: statistics.median(each[TURNS // 10 :]) for name, each in spent.items()}


if __name__ == "__main__":
    sys.stdout.write("\n".join(rows()) + "\n")
