"""A task's representation by attributes equals that of its declared fields, beyond what tests/resources tries."""

import datetime as dt
from typing import Any
from unittest.mock import Mock

import pytest
from rest_framework.serializers import Serializer

from config.http.json import to_json
from tasks.choices import Priority, Status
from tasks.models import Task
from tasks.serializers import TaskSerializer
from tests.factories import make_task
from users.models import User

FULL: dict[str, Any] = {
    "title": 'Ä "quoted" \\ title\u2028',
    "description": "Some\nlines\t😀",
    "status": Status.COMPLETED,
    "priority": Priority.HIGH,
    "tags": ["a", "ü"],
    "due_at": dt.datetime(2026, 12, 1, 9, 30, tzinfo=dt.UTC),
}
CASES: list[dict[str, Any]] = [{}, FULL, *({name: value} for name, value in FULL.items())]


@pytest.mark.parametrize("fields", CASES, ids=lambda fields: "+".join(fields) or "nulls")
@pytest.mark.parametrize("is_stored", [True, False])
def test_what_is_answered_is_what_is_declared(alice: User, fields: dict[str, Any], is_stored: bool) -> None:
    task = make_task(alice, **fields)
    if is_stored:
        task = Task.objects.get(pk=task.pk)
    serializer = TaskSerializer(task, context={"request": Mock(user=alice)})
    declared = Serializer.to_representation(serializer, task) | {"user_id": alice.public_id}
    assert to_json(serializer.data) == to_json(declared)


@pytest.mark.parametrize("microseconds", [0, 1, 250_000])
def test_instants_are_rfc_3339_in_utc(alice: User, microseconds: int) -> None:
    due_at = dt.datetime(2026, 12, 1, 9, 30, 0, microseconds, tzinfo=dt.UTC)
    make_task(alice, due_at=due_at)
    serializer = TaskSerializer(Task.objects.get(), context={"request": Mock(user=alice)})
    written = due_at.isoformat().replace("+00:00", "Z")
    assert f'"due_at":"{written}"'.encode() in to_json(serializer.data)
