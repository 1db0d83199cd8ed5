"""The migrations that give tasks a place: old rows are in the order of creation, and the old version can go on."""

import datetime as dt
from importlib import import_module
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection
from django.db.migrations.recorder import MigrationRecorder

from tasks import positions
from tasks.models import Task
from tests.factories import make_task, make_user
from users.models import User

BEFORE, PLACES, FILLED, REFERENCES, LAST = "0019", "0020", "0021", "0022", "0023"
START = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("migrated_again")]


def migrate(name: str) -> None:
    call_command("migrate", "tasks", name, verbosity=0)


def execute(sql: str, *params: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall()) if cursor.description else []


def old_tasks(user: User, count: int) -> list[int]:
    """Of before, a millisecond after each other, the latest first by id."""
    tasks = [make_task(user).pk for _ in range(count)]
    migrate(BEFORE)
    for number, pk in enumerate(tasks):
        execute(
            "UPDATE tasks_task SET created_at = %s WHERE id = %s", START - number * dt.timedelta(milliseconds=1), pk
        )
    return tasks


def insert_as_before(user: User, uid: str) -> None:
    """As the version does that knows no places."""
    execute(
        "INSERT INTO tasks_task (user_id, uid, title, description, status, priority, tags, created_at, updated_at,"
        " version, tag_keys, search_text, title_key)"
        " VALUES (%s, %s, 'A', '', 'pending', 'medium', '{}', now(), now(), 9, '{}', 'a', 'a')",
        user.pk,
        uid,
    )


def in_order() -> list[int]:
    rows = execute("SELECT id, position, extra::text, parent_id, project_id FROM tasks_task ORDER BY position, id")
    assert all(positions.is_valid(position) for _, position, *_ in rows)
    assert {tuple(rest) for _, _, *rest in rows} == {("{}", None, None)}
    return [pk for pk, *_ in rows]


def is_there(name: str) -> bool:
    """An index that is valid, or a constraint that was validated."""
    found = execute(
        "SELECT indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relname = %s"
        " UNION ALL SELECT convalidated FROM pg_constraint WHERE conname = %s AND contype = 'f'",
        name,
        name,
    )
    return found == [(True,)]


INDEXES = [f"tasks_task_{name}" for name in ("inbox", "project", "place", "parent", "own")]
CONSTRAINTS = ["tasks_task_project_id", "tasks_task_parent_id"]


def test_old_tasks_are_in_the_order_of_creation(monkeypatch: pytest.MonkeyPatch) -> None:
    """In batches, each in a transaction; no version is taken."""
    user = make_user()
    tasks = old_tasks(user, 5)
    before = execute("SELECT id, version, updated_at FROM tasks_task ORDER BY id")
    monkeypatch.setattr(import_module("tasks.migrations.0021_fill_places"), "BATCH", 2)
    migrate(LAST)
    assert in_order() == tasks[::-1]
    assert execute("SELECT id, version, updated_at FROM tasks_task ORDER BY id") == before
    assert [name for name in [*INDEXES, *CONSTRAINTS] if not is_there(name)] == []
    call_command("migrate", verbosity=0)
    assert make_task(user).position > max(Task.objects.filter(pk__in=tasks).values_list("position", flat=True))


def test_a_new_key_is_what_the_service_itself_makes() -> None:
    for moment in (START, dt.datetime(1900, 1, 2, tzinfo=dt.UTC), dt.datetime(2999, 12, 30, tzinfo=dt.UTC)):
        ((key,),) = execute("SELECT tasks_position(%s)", moment)
        assert (key[:-2], positions.is_valid(key)) == (positions.newest(moment)[:-2], True)


@pytest.mark.parametrize("reached", [PLACES, FILLED, REFERENCES, LAST])
def test_the_old_version_inserts_and_updates_at_each_step(reached: str) -> None:
    user = make_user()
    (old,) = old_tasks(user, 1)
    migrate(reached)
    insert_as_before(user, "new")
    assert execute("UPDATE tasks_task SET title = 'B' WHERE id = %s RETURNING id", old) == [(old,)]
    migrate(LAST)
    ((new,),) = execute("SELECT id FROM tasks_task WHERE uid = 'new'")
    assert in_order() == [old, new]
    with pytest.raises(IntegrityError, match="tasks_task_parent_id"):
        execute("UPDATE tasks_task SET parent_id = %s WHERE id = %s", 2**40, new)
        execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_an_interrupted_run_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a batch, and with an index that is only half built."""
    tasks = old_tasks(make_user(), 5)
    migration = import_module("tasks.migrations.0021_fill_places")
    fill_batch = migration.fill_batch
    done: list[int] = []

    def killed(connection: Any, after: int) -> None:
        if done:
            raise KeyboardInterrupt
        done.append(after)
        fill_batch(connection, after)

    monkeypatch.setattr(migration, "BATCH", tasks[1])
    monkeypatch.setattr(migration, "fill_batch", killed)
    with pytest.raises(KeyboardInterrupt):
        migrate(LAST)
    filled = dict(execute("SELECT id, position FROM tasks_task WHERE position <> 'a0'"))
    assert filled.keys() == set(tasks[:2])
    execute("CREATE INDEX tasks_task_inbox ON tasks_task (user_id)")
    monkeypatch.setattr(migration, "fill_batch", fill_batch)
    migrate(LAST)
    assert in_order() == tasks[::-1]
    assert filled.items() <= dict(execute("SELECT id, position FROM tasks_task")).items()
    assert "created_at" in execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'tasks_task_inbox'")[0][0]


def test_what_is_done_but_not_written_down_can_be_done_again() -> None:
    tasks = old_tasks(make_user(), 3)
    migrate(LAST)
    positions_before = execute("SELECT id, position FROM tasks_task ORDER BY id")
    for name in ("0021_fill_places", "0022_references", "0023_validate_references"):
        MigrationRecorder(connection).record_unapplied("tasks", name)
    # 0022 is one transaction with what Django writes down.
    execute("ALTER TABLE tasks_task DROP CONSTRAINT tasks_task_project_id, DROP CONSTRAINT tasks_task_parent_id")
    migrate(LAST)
    assert execute("SELECT id, position FROM tasks_task ORDER BY id") == positions_before
    assert (in_order(), [name for name in [*INDEXES, *CONSTRAINTS] if not is_there(name)]) == (tasks[::-1], [])
