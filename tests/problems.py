"""What every refusal has in common: the format of a problem, and that nothing was stored."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction

from tasks.models import Task
from tests.client import Answer, Api
from users.models import User

REQUIRED = {"type", "title", "status", "detail", "code", "request_id"}
WRITES = ["POST", "PUT", "PATCH"]
MAX_BYTES = 150_000  # a hundred errors, each with a long name
INTERNALS = re.compile(
    r"Traceback|File \\?\"|\.py\b|site-packages|psycopg|django|ErrorDetail|SELECT |INSERT |tasks_\w+|notes_\w+"
)


def problem_of(answer: Answer, status: int) -> dict[str, Any]:
    """The answer's body, once it is a well-formed problem that tells nothing of the inside."""
    text = answer.content.decode()
    problem: dict[str, Any] = json.loads(text)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json"), text
    assert REQUIRED <= problem.keys() <= REQUIRED | {"errors", "current", "limit", "changes"}
    assert (problem["status"], problem["request_id"]) == (status, answer["X-Request-ID"])
    assert problem["type"] == f"urn:tickbase:problem:{problem['code']}"
    assert re.fullmatch(r"[a-z_]+", problem["code"])
    assert problem["title"] and problem["detail"] and problem["request_id"]
    assert len(answer.content) < MAX_BYTES
    assert not any(secret in text for secret in (str(settings.BASE_DIR), settings.SECRET_KEY, settings.JWT_SIGNING_KEY))
    assert not INTERNALS.search(text), text
    return problem


def places_of(answer: Answer, location: str) -> list[str]:
    """Which pointers, parameters or headers a 400 names."""
    errors = problem_of(answer, 400)["errors"]
    assert all(error.keys() == {location, "code", "detail"} and error["code"] and error["detail"] for error in errors)
    return [error[location] for error in errors]


def stored(user_id: int | None = None) -> list[list[str]]:
    """All rows that users have, or those of one, by table, as PostgreSQL writes them; in one statement."""
    columns = {
        field.model._meta.db_table: field.column
        for relation in User._meta.related_objects
        if (field := relation.field).name == "user"
    }
    where = "" if user_id is None else "WHERE {} = %(user)s "
    rows = ", ".join(
        f"ARRAY(SELECT row::text FROM {table} AS row {where.format(column)}ORDER BY 1)"
        for table, column in {**columns, User._meta.db_table: "id"}.items()
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {rows}", {"user": user_id})
        return list(cursor.fetchone())


@contextmanager
def rolled_back() -> Iterator[None]:
    """One of many requests that begin with the same rows: those are made once."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def send(
    api: Api, method: str, path: str, body: Any = b"", content_type: str = "application/json", **environ: str
) -> Answer:
    """Send a body as it stands if it is bytes, else as JSON that escapes what UTF-8 cannot hold."""
    client: Any = api.client  # whose stubs know no bytes
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer: Answer = client.generic(method, path, data, content_type, **environ)
    return answer


def exact(answer: Any) -> list[Any]:
    """Each byte of an answer, to compare it with another one to a request of the same id."""
    return [answer.status_code, answer.content, *answer.items()]


def cases(table: dict[str, Any]) -> list[Any]:
    """The rows of a table as parameters, under their names."""
    return [pytest.param(value, id=name) for name, value in table.items()]


def address(method: str, task: Task) -> str:
    """Where a request of this method would write."""
    return "/api/me/tasks" if method == "POST" else f"/api/me/tasks/{task.pk}"
