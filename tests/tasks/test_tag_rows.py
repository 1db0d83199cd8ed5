"""The index of tags holds what the tasks have, whoever writes them."""

import datetime as dt
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from config.database.isolation import as_user
from tasks import services
from tasks.demo.bulk import NewRow, create_rows
from tasks.models import Task, TaskTag
from tests.client import Api
from tests.factories import make_task, make_user
from users.models import User
from users.resources import pruning

NOW = timezone.now()


def entries() -> set[tuple[Any, ...]]:
    return set(TaskTag.objects.values_list("user_id", "tag_key", "created_at", "task_id"))


def is_true() -> bool:
    """Nothing is missing, and nothing left behind."""
    tasks = Task.objects.values_list("user_id", "tag_keys", "created_at", "pk")
    return entries() == {(user, key, created, pk) for user, keys, created, pk in tasks for key in keys}


def execute(sql: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def test_it_follows_the_requests_of_a_client(alice: User, as_alice: Api) -> None:
    created = as_alice.post(as_alice.tasks, {"title": "A", "tags": ["Work", "Home"]}).json()
    path = f"{as_alice.tasks}/{created['id']}"
    assert {key for _, key, *_ in entries()} == {"work", "home"}
    assert as_alice.patch(path, {"tags": ["Garden", "home"]}).status_code == 200
    assert {key for _, key, *_ in entries()} == {"garden", "home"}
    assert as_alice.patch(path, {"title": "B"}).status_code == 200
    assert is_true()
    assert as_alice.patch(path, {"tags": []}).status_code == 200
    assert entries() == set()


def test_a_tombstone_keeps_its_entries_until_it_is_erased(alice: User) -> None:
    task = make_task(alice, tags=["a"])
    services.delete_task(alice, task.pk)
    assert len(entries()) == 1
    services.restore_task(alice, task.pk)
    assert [found["id"] for found in Api(alice).get("/api/me/tasks?tag=a").json()] == [task.pk]
    services.delete_task(alice, task.pk)
    assert Api(alice).get("/api/me/tasks?tag=a").json() == []
    assert sum(pruning.empty_trash(Task, timezone.now() + dt.timedelta(days=1))) == 1
    assert entries() == set()


def test_a_deleted_account_leaves_nothing(alice: User, bob: User) -> None:
    make_task(alice, tags=["a"])
    kept = make_task(bob, tags=["a"])
    alice.delete()
    assert {pk for *_, pk in entries()} == {kept.pk}


def test_it_follows_bulk_inserts(alice: User) -> None:
    like = Task(title="A", tags=["a", "b"])
    like.update_derived_fields(NOW)
    create_rows([NewRow(alice.pk, like, NOW)] * 2)
    assert len(entries()) == 4
    assert is_true()


@pytest.mark.parametrize(
    "change",
    [
        "tag_keys = '{b,c}'",
        "tag_keys = '{a,a}'",  # two tags that are one since migration 0011
        "created_at = created_at - interval '1 day'",
        "user_id = (SELECT max(id) FROM users_user)",
        "id = id + 1000",
    ],
)
def test_it_follows_sql_by_hand(alice: User, bob: User, change: str) -> None:
    make_task(alice, tags=["a"])
    before = entries()
    execute(f"UPDATE tasks_task SET {change}")
    assert is_true()
    assert (entries() == before) == (change == "tag_keys = '{a,a}'")
    execute("DELETE FROM tasks_task")
    assert entries() == set()


def test_a_user_finds_no_tag_of_another(alice: User, bob: User) -> None:
    make_task(alice, tags=["secret"])
    with as_user(bob.pk):
        assert entries() == set()
    assert Api(bob).get("/api/me/tasks?tag=secret").json() == []


@pytest.mark.thorough
def test_the_tags_of_before_are_filled_in(transactional_db: None) -> None:
    user = make_user()
    for tags in (["a", "b"], [], ["a"]):
        make_task(user, tags=tags)
    services.delete_task(user, make_task(user, tags=["c"]).pk)
    before = entries()
    call_command("migrate", "tasks", "0015", verbosity=0)
    call_command("migrate", verbosity=0)
    assert len(before) == 4
    assert entries() == before
    Task.objects.all().delete()
    user.delete()
