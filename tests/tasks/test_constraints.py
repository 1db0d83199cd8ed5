"""What gets past the validation in Python is still refused by PostgreSQL."""

from typing import Any

import pytest
from django.db import DataError, IntegrityError, transaction
from django.utils import timezone

from tasks.models import Task
from tests.factories import make_task
from users.models import Kind, User
from users.resources import feed, log, statements

NOW = timezone.now()
TODAY = NOW.date()
TOO_LONG = {"uid": "x" * 256, "title": "x" * 201, "description": "x" * 20_001}
UNEQUAL: list[tuple[str, dict[str, Any]]] = [
    ("tasks_task_uid_not_empty", {"uid": ""}),
    ("tasks_task_valid", {"title": ""}),
    ("tasks_task_valid", {"tags": ["x"] * 21}),
    ("tasks_task_valid", {"status": "done"}),
    ("tasks_task_valid", {"status": "completed"}),
    ("tasks_task_valid", {"completed_at": NOW}),
    ("tasks_task_valid", {"priority": "urgent"}),
    ("tasks_task_valid", {"due_at": NOW}),
]
ALLOWED: list[dict[str, Any]] = [
    {"uid": "x" * 255, "title": "\U0001f41b" * 200, "description": "x" * 20_000, "tags": ["x"] * 20},
    {"uid": "x", "title": "x", "description": "", "tags": []},
    {"status": "completed", "completed_at": NOW},
    {"status": "cancelled", "priority": "high", "due_at": NOW, "due_date": TODAY},
    {"due_date": TODAY},
]


def write(task: Task, columns: dict[str, Any]) -> None:
    with transaction.atomic():
        Task.objects.filter(pk=task.pk).update(**columns)


@pytest.mark.parametrize(("constraint", "columns"), UNEQUAL)
def test_a_rule_that_is_broken_is_refused(alice: User, constraint: str, columns: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match=constraint):
        write(make_task(alice), columns)


@pytest.mark.parametrize("column", TOO_LONG)
def test_a_text_that_is_too_long_is_refused(alice: User, column: str) -> None:
    with pytest.raises(DataError, match="value too long"):
        write(make_task(alice), {column: TOO_LONG[column]})


@pytest.mark.parametrize("columns", ALLOWED)
def test_what_is_allowed_is_stored(alice: User, columns: dict[str, Any]) -> None:
    task = make_task(alice)
    write(task, columns)
    task.refresh_from_db()
    assert {name: getattr(task, name) for name in columns} == columns


@pytest.mark.parametrize("column", TOO_LONG)
def test_the_insert_of_the_service_truncates_nothing(alice: User, column: str) -> None:
    task = make_task(alice)
    task.uid = "another"
    setattr(task, column, TOO_LONG[column])
    entry = log.append_params(alice, log.RowChange(task, Kind.CREATED, {}), task.updated_at)
    with pytest.raises(DataError, match="value too long"), transaction.atomic():
        feed.advance(alice, statements.of(Task).insert(task, entry))
    assert Task.objects.count() == 1
