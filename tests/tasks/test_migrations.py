"""Migrations of tasks, forward and back, with rows that are in their way."""

from importlib import import_module
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection

from tasks.models import Task
from tests.client import Api
from tests.factories import make_task, make_user

BEFORE, AFTER = "0008", "0011"  # of texts that are folded in another way


def migrate(*name: str) -> None:
    """To this one, or to the latest of every app, which the service needs."""
    call_command("migrate", *(("tasks", *name) if name else ()), verbosity=0)


@pytest.mark.process
@pytest.mark.usefixtures("migrated_again")
def test_descriptions_of_before_may_grow() -> None:
    task = make_task(make_user(), description="x" * 10_000)
    migrate("0006")
    with pytest.raises(IntegrityError, match="tasks_task_description"):
        Task.objects.filter(pk=task.pk).update(description="x" * 10_001)
    migrate("0008")
    assert Task.objects.filter(pk=task.pk).update(description="x" * 20_000) == 1
    with pytest.raises(IntegrityError, match="tasks_task_description"):
        Task.objects.filter(pk=task.pk).update(description="x" * 20_001)
    with pytest.raises(IntegrityError, match="tasks_task_description"):
        migrate("0006")


def set_back(task: Task, **columns: Any) -> None:
    """Raw, as the older table has other columns than the model."""
    assignments = ", ".join(f"{name} = %s" for name in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE tasks_task SET {assignments} WHERE id = %s", [*columns.values(), task.pk])


def columns(*names: str) -> list[Any]:
    return list(Task.objects.order_by("pk").values_list(*names))


@pytest.mark.process
@pytest.mark.usefixtures("migrated_again")
def test_texts_of_before_are_found_sorted_and_filtered_as_new_ones() -> None:
    user = make_user()
    tasks = [
        make_task(user, title="۲۷", description="ة"),
        make_task(user, title="Plain", tags=["Work", "work", "CAFE\u0301"]),
        make_task(user, title="Quite plain", description="a\nb"),
    ]
    migrate(BEFORE)
    set_back(tasks[0], search_text="۲۷\nة", title_key="۲۷")
    set_back(tasks[1], search_text="plain\n\nwork\nwork\ncafe", tags=["Work", "work", "CAFE\u0301"])
    set_back(tasks[2], search_text="quite plain\na\nb")
    migrate(AFTER)
    assert columns("search_text", "title_key", "tag_keys") == [
        ("27\x1fه", "27", []),
        ("plain\x1f\x1fwork\x1fwork\x1fcafe", "plain", ["work", "work", "caf\u00e9"]),
        ("quite plain\na\nb", "quite plain", []),  # which only separates its texts in another way
    ]
    migrate()
    for query, task in {"search=27": tasks[0], "tag=WORK": tasks[1], "search=quite%20b": tasks[2]}.items():
        assert [found["id"] for found in Api(user).get(f"/api/me/tasks?{query}").json()] == [task.pk]
    assert columns("version", "updated_at") == [(task.version, task.updated_at) for task in tasks]


@pytest.mark.process
@pytest.mark.usefixtures("migrated_again")
def test_uids_of_before_are_in_nfc_unless_another_task_has_it() -> None:
    alice, bob = make_user("alice"), make_user("bob")
    sent = ["cafe\u0301", "nai\u0308ve", "na\u00efve", "plain", "\u0958" * 200]
    made = [make_task(alice) for _ in sent]
    bobs = make_task(bob)
    migrate(BEFORE)
    for task, uid in zip([*made, bobs], [*sent, "cafe\u0301"], strict=True):
        set_back(task, uid=uid)
    migrate(AFTER)
    kept = [uid for (uid,) in columns("uid")]
    assert kept == ["caf\u00e9", "nai\u0308ve", "na\u00efve", "plain", "\u0958" * 200, "caf\u00e9"]
    migrate()
    # A client sends it as it gets it.
    assert Api(alice).patch(f"/api/me/tasks/{made[1].pk}", {"uid": kept[1], "title": "B"}).status_code == 200


@pytest.mark.process
@pytest.mark.usefixtures("migrated_again")
def test_many_tasks_are_folded_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user()
    tasks = [make_task(user, title=f"Task {number}", tags=["A"]) for number in range(5)]
    migrate(BEFORE)
    migration = import_module("tasks.migrations.0011_fold_anew")
    monkeypatch.setattr(migration, "BATCH", 2)
    migrate(AFTER)
    assert columns("tag_keys") == [(["a"],)] * len(tasks)


@pytest.mark.process
@pytest.mark.usefixtures("migrated_again")
def test_they_can_be_undone_and_done_again() -> None:
    user = make_user()
    task = make_task(user, tags=["A"])
    migrate("0001")
    migrate(AFTER)
    assert columns("pk", "tag_keys") == [(task.pk, ["a"])]
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'tasks_task_due'")
        assert "due_at" in cursor.fetchone()[0]
