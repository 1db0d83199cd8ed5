"""What each route costs the database: queries, and round trips with BEGIN, COMMIT and ROLLBACK."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.client import Api
from tests.factories import make_task, make_user
from users.models import User

Call = Callable[[Api, str], Any]
TASK = {"title": "A", "description": "Some words", "tags": ["a"], "due_date": "2026-12-01"}

# The first query is always the user of the token.
COSTS: list[tuple[str, int, int, Call]] = [
    ("list", 3, 3, lambda api, path: api.get("/api/me/tasks")),
    ("list, unchanged", 2, 2, lambda api, path: api.get("/api/me/tasks", if_none_match="*")),
    ("list with total", 4, 4, lambda api, path: api.get("/api/me/tasks?total=true&status=pending")),
    ("get", 2, 2, lambda api, path: api.get(path)),
    ("create", 3, 5, lambda api, path: api.post("/api/me/tasks", TASK)),
    ("put", 4, 6, lambda api, path: api.put(path, TASK)),
    ("patch", 4, 6, lambda api, path: api.patch(path, {"title": "B"}, if_match='"1"')),
    ("complete", 4, 6, lambda api, path: api.patch(f"{path}/complete")),
    ("delete", 4, 6, lambda api, path: api.delete(path)),
    ("stale patch", 3, 5, lambda api, path: api.patch(path, {"title": "B"}, if_match='"7"')),
    ("not modified patch", 3, 5, lambda api, path: api.patch(path, {"priority": "medium"})),
    ("foreign path", 1, 1, lambda api, path: api.get("/api/999/tasks")),
    ("invalid body", 1, 1, lambda api, path: api.post("/api/me/tasks", {"title": ""})),
]


@pytest.fixture
def account(transactional_db: None) -> User:
    """Committed for real, so that the transactions of the requests are the outermost ones."""
    return make_user()


@pytest.mark.parametrize(("queries", "round_trips", "call"), [pytest.param(*row[1:], id=row[0]) for row in COSTS])
def test_cost_of_a_route(account: User, queries: int, round_trips: int, call: Call, tmp_path: Path) -> None:
    path = f"/api/me/tasks/{make_task(account).pk}"
    api = Api(account)
    with CaptureQueriesContext(connection) as captured, wire(tmp_path / "trace") as waits:
        assert call(api, path).status_code < 500
    statements = [query["sql"] for query in captured.captured_queries]
    assert len([sql for sql in statements if sql not in ("BEGIN", "COMMIT", "ROLLBACK")]) == queries, statements
    assert len(waits) == round_trips, statements


@contextmanager
def wire(trace: Path) -> Iterator[list[str]]:
    """Collects the messages of the frontend that wait for an answer, as libpq sends them."""
    waits: list[str] = []
    connection.ensure_connection()
    pgconn = connection.connection.pgconn
    with trace.open("w") as file:
        pgconn.trace(file.fileno())
        yield waits
        pgconn.untrace()
    waits += [line for line in trace.read_text().splitlines() if re.search(r"\bF\t\d+\t(Query|Sync)\b", line)]
