"""What each route costs the database: statements, messages, and round trips with COMMIT and ROLLBACK."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config.database.session import statement_of
from tests.client import Api
from tests.factories import make_task, make_user
from users.models import User

Call = Callable[[Api, str], Any]
TASK = {"title": "A", "description": "Some words", "tags": ["a"], "due_date": "2026-12-01"}
TIMED = {"title": "A", "due_at": "2026-12-01T09:00:00Z"}  # needs the time zone of the account

# Statements, the messages that carry them, and round trips. Each statement contains the caller's standing.
COSTS: list[tuple[str, int, int, int, Call]] = [
    ("list", 2, 1, 1, lambda api, path: api.get("/api/me/tasks")),
    ("list, unchanged", 1, 1, 1, lambda api, path: api.get("/api/me/tasks", if_none_match="*")),
    ("list, changed", 3, 2, 2, lambda api, path: api.get("/api/me/tasks", if_none_match='"99"')),
    ("list with total", 3, 2, 2, lambda api, path: api.get("/api/me/tasks?total=true&status=pending")),
    ("search", 2, 1, 1, lambda api, path: api.get("/api/me/tasks?search=a")),
    ("overdue", 3, 2, 2, lambda api, path: api.get("/api/me/tasks?overdue=true")),
    ("get", 1, 1, 1, lambda api, path: api.get(path)),
    ("create", 1, 1, 1, lambda api, path: api.post("/api/me/tasks", TASK)),
    ("create, due at a moment", 2, 2, 2, lambda api, path: api.post("/api/me/tasks", TIMED)),
    ("put", 2, 2, 2, lambda api, path: api.put(path, TASK)),
    ("patch", 2, 2, 2, lambda api, path: api.patch(path, {"title": "B"}, if_match='"1"')),
    # Under the lock of the feed, with the tasks above and below.
    ("complete", 6, 2, 2, lambda api, path: api.patch(f"{path}/complete")),
    ("delete", 4, 2, 2, lambda api, path: api.delete(path)),
    ("stale patch", 1, 1, 1, lambda api, path: api.patch(path, {"title": "B"}, if_match='"7"')),
    ("not modified patch", 1, 1, 1, lambda api, path: api.patch(path, {"priority": "medium"})),
    ("foreign path", 0, 0, 0, lambda api, path: api.get("/api/999/tasks")),
    ("invalid body", 0, 0, 0, lambda api, path: api.post("/api/me/tasks", {"title": ""})),
]


@pytest.fixture
def account(transactional_db: None) -> User:
    """Committed for real, so that the transactions of the requests are the outermost ones."""
    return make_user()


@pytest.mark.parametrize(
    ("statements", "messages", "round_trips", "call"), [pytest.param(*row[1:], id=row[0]) for row in COSTS]
)
def test_cost_of_a_route(
    account: User, statements: int, messages: int, round_trips: int, call: Call, tmp_path: Path
) -> None:
    path = f"/api/me/tasks/{make_task(account).pk}"
    api = Api(account)
    with CaptureQueriesContext(connection) as captured, wire(tmp_path / "trace") as waits:
        assert call(api, path).status_code < 500
    sent = [statement_of(query["sql"]) for query in captured.captured_queries]
    asked = [sql for sql in sent if sql not in ("BEGIN", "COMMIT", "ROLLBACK")]
    assert len([text for sql in asked for text in sql.split("; ")]) == statements, sent
    assert len(asked) == messages, sent
    assert len(waits) == round_trips, sent


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
