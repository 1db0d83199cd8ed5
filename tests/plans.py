"""What PostgreSQL does for a request: the statements that it ran, and their plans, as the service's role."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection, reset_queries
from django.test.utils import CaptureQueriesContext

from config.database.isolation import as_user
from config.database.session import statement_of
from users.models import User


def statements(call: Callable[[], Any], verb: str = "SELECT", containing: str = "tasks_task") -> list[str]:
    """Those about tasks, or whatever their text contains, as they were sent."""
    reset_queries()  # Django's log has room for 9,000
    with CaptureQueriesContext(connection) as captured:
        call()
    found = [sql.strip() for query in captured.captured_queries for sql in statement_of(query["sql"]).split("; ")]
    return [sql for sql in found if sql.startswith(verb) and containing in sql]


def explain(user: User, sql: str, options: str = "COSTS OFF") -> dict[str, Any]:
    """As this user, behind row level security."""
    with as_user(user.pk), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN ({options}, FORMAT JSON) {sql}")
        (answer,) = cursor.fetchone()
    explained: dict[str, Any] = (json.loads(answer) if isinstance(answer, str) else answer)[0]
    return explained


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def indexes(user: User, sql: str) -> set[str]:
    """The names of the indexes that the plan reads."""
    return {node["Index Name"] for node in nodes(explain(user, sql)["Plan"]) if "Index Name" in node}
