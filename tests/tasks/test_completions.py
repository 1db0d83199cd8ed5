"""Completions: a row for each time that a task was completed or skipped, and what takes one back."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.db import connection

from config.database.isolation import as_user
from tasks import services
from tasks.completions import Completion
from tasks.models import Task
from tests.client import Api, next_page
from tests.config.test_openapi import complaints, document
from tests.factories import make_project, make_task
from tests.problems import places_of, problem_of
from tests.tasks.test_recurring import NOW, TODAY, completed, make
from users.models import Change, User
from users.resources.undo import ChangedSince, undo


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW) as clock:
        yield clock


def state(task: Task) -> tuple[Any, ...]:
    """What undo has to bring back, and the rows that count."""
    task.refresh_from_db()
    counting = Completion.objects.filter(task=task, revoked_at=None).order_by("pk").values_list("pk", flat=True)
    names = ("status", "due_date", "due_at", "recurrence", "completions", "last_completed_at", "completed_at")
    return (*(getattr(task, name) for name in names), list(counting))


def test_a_plain_task_has_one_for_each_time(as_alice: Api, alice: User) -> None:
    task = make_task(alice, due_date=TODAY)
    as_alice.patch(f"{as_alice.tasks}/{task.pk}/complete")
    (row,) = as_alice.get(f"{as_alice.tasks}/{task.pk}/completions").json()
    stored = Completion.objects.get()
    assert row == {
        "id": stored.pk, "task_id": task.pk, "at": row["at"], "occurrence_date": "2026-11-28", "occurrence_at": None,
        "kind": "completed", "missed": 0, "revoked_at": None,
    }  # fmt: skip
    task.refresh_from_db()
    assert stored.at == task.completed_at == task.last_completed_at
    assert (stored.version, task.completions) == (task.version, 1)


def test_one_without_a_due_has_no_occurrence(alice: User) -> None:
    assert completed(services.complete_task(alice, make_task(alice).pk)) == [("completed", None, 0, True)]


def test_reopening_takes_the_last_one_back(as_alice: Api, alice: User) -> None:
    task = make_task(alice)
    for wanted in (True, False):
        shown = as_alice.patch(f"{as_alice.tasks}/{task.pk}/complete", {"completed": wanted}).json()
    assert (shown["completions"], shown["last_completed_at"]) == (0, None)
    row = Completion.objects.get()
    assert row.revoked_at == Task.objects.get().updated_at
    assert as_alice.get(f"{as_alice.tasks}/{task.pk}/completions").json()[0]["revoked_at"] == shown["updated_at"]


def test_reopening_an_ended_series_leaves_the_ones_before(alice: User) -> None:
    task = make(alice)
    first = services.complete_task(alice, task.pk, completed=True).last_completed_at
    services.complete_task(alice, task.pk, completed=True, ends_series=True)
    reopened = services.complete_task(alice, task.pk, completed=False)
    assert (reopened.completions, reopened.last_completed_at, reopened.status) == (1, first, "pending")
    assert [row[3] for row in completed(task)] == [True, False]
    assert services.complete_task(alice, task.pk, completed=True).due_date == dt.date(2026, 11, 30)


def test_cancelling_makes_none(alice: User) -> None:
    services.update_task(alice, make_task(alice).pk, {"status": "cancelled"})
    assert not Completion.objects.exists()


def test_a_task_that_was_completed_before_they_were_kept_can_be_reopened(alice: User) -> None:
    task = services.complete_task(alice, make_task(alice).pk)
    Completion.objects.all().delete()
    Task.objects.update(completions=0, last_completed_at=None)
    assert services.complete_task(alice, task.pk, completed=False).completions == 0


# --- Undo -------------------------------------------------------------------------------------------

CHANGES: dict[str, Callable[[User, Task], Any]] = {
    "advance": lambda user, task: services.complete_task(user, task.pk, completed=True),
    "end": lambda user, task: services.complete_task(user, task.pk, completed=True, ends_series=True),
    "skip": lambda user, task: services.skip_task(user, task.pk),
    "count": lambda user, task: services.update_task(user, task.pk, {"recurrence": {"rule": "FREQ=DAILY;COUNT=9"}}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_undo_and_redo_take_completions_along(alice: User, change: str) -> None:
    task = make(alice, "FREQ=DAILY;COUNT=5")
    services.complete_task(alice, task.pk, completed=True)
    before = state(task)
    operation = CHANGES[change](alice, task).operation
    after = state(task)
    for expected in (before, after, before, after):
        (row,) = undo(alice, operation)
        assert state(task) == expected
        operation = row.operation
    assert set(Change.objects.filter(undoes__isnull=False).values_list("kind", flat=True)) == {"undone"}


def test_undo_of_a_reopening_counts_it_again(alice: User) -> None:
    task = make_task(alice)
    services.complete_task(alice, task.pk)
    done = state(task)
    operation = services.complete_task(alice, task.pk).operation
    opened = state(task)
    for expected in (done, opened, done):
        (row,) = undo(alice, operation)
        assert state(task) == expected
        operation = row.operation


def test_an_earlier_reopening_is_redone_also_after_a_later_one(alice: User) -> None:
    """Both have taken the same completion back."""
    task = services.complete_task(alice, make_task(alice).pk)
    done, undone = state(task), []
    for _ in range(2):
        reopened = services.complete_task(alice, task.pk)
        opened = state(task)
        undone += undo(alice, reopened.operation)
    (row,) = undo(alice, undone[0].operation)
    assert state(task) == opened
    undo(alice, row.operation)
    assert state(task) == done


def test_undo_of_a_batch_that_completes_and_reopens_changes_no_completion(as_alice: Api, alice: User) -> None:
    task = make_task(alice, title="Before")
    steps = [{"op": "complete", "type": "task", "id": task.pk, "body": {"completed": each}} for each in (True, False)]
    steps.append({"op": "update", "type": "task", "id": task.pk, "body": {"title": "After"}})
    operation = as_alice.post("/api/me/batch", {"operations": steps}).json()["operation"]
    before = list(Completion.objects.values())
    undo(alice, operation)
    assert list(Completion.objects.values()) == before
    assert before[0]["revoked_at"] is not None


def test_undo_of_a_due_ends_what_recurs_by_it(alice: User) -> None:
    task = make_task(alice)
    operation = services.update_task(alice, task.pk, {"due_date": TODAY}).operation
    services.update_task(alice, task.pk, {"recurrence": {"rule": "FREQ=DAILY"}})
    (row,) = undo(alice, operation)
    task.refresh_from_db()
    assert (task.due_date, task.recurrence) == (None, None)
    undo(alice, row.operation)
    task.refresh_from_db()
    assert (task.due_date, task.recurrence and task.recurrence["rule"]) == (TODAY, "FREQ=DAILY")


def test_a_completion_since_is_in_the_way_of_undo(alice: User) -> None:
    task = make(alice)
    operation = services.complete_task(alice, task.pk, completed=True).operation
    services.complete_task(alice, task.pk, completed=True)
    with pytest.raises(ChangedSince):
        undo(alice, operation)
    assert Completion.objects.counted().count() == 2


def test_a_new_task_that_is_done_goes_to_the_trash_with_its_completion(alice: User) -> None:
    task = make_task(alice, status="completed")
    (row,) = undo(alice, task.operation)
    assert not Completion.objects.counted().exists()
    undo(alice, row.operation)
    assert Completion.objects.counted().count() == 1


# --- The list ---------------------------------------------------------------------------------------


def complete_each(user: User, clock: Any, **tasks: Task) -> None:
    for task in tasks.values():
        clock.shift(1)
        services.complete_task(user, task.pk, completed=True)


def test_the_list_has_those_of_all_tasks_the_newest_first(as_alice: Api, alice: User, clock: Any) -> None:
    first, second = make_task(alice), make_task(alice)
    complete_each(alice, clock, first=first, second=second)
    rows = as_alice.get("/api/me/completions").json()
    assert [row["task_id"] for row in rows] == [second.pk, first.pk]
    schema = document()["components"]["schemas"]["Completion"]
    assert [complaints(row, schema) for row in rows] == [[], []]


def test_pages_lead_on_and_end(as_alice: Api, alice: User, clock: Any) -> None:
    tasks = {str(number): make_task(alice) for number in range(5)}
    complete_each(alice, clock, **tasks)
    page, seen = "/api/me/completions?limit=2&since=2026-11-28T00:00:00Z", []
    while page:
        answer = as_alice.get(page)
        seen += [row["task_id"] for row in answer.json()]
        page = next_page(answer)  # type: ignore[assignment]
    assert seen == [task.pk for task in reversed(tasks.values())]


def test_filters(as_alice: Api, alice: User, clock: Any) -> None:
    project, archived = make_project(alice).pk, make_project(alice, is_archived=True).pk
    tagged, inside = make_task(alice, tags=["Home"]), make_task(alice, project_id=project)
    complete_each(alice, clock, tagged=tagged, inside=inside)
    over = services.complete_task(alice, make_task(alice, project_id=archived).pk, completed=True)
    found = {
        query: [row["task_id"] for row in as_alice.get(f"/api/me/completions?{query}").json()]
        for query in (
            "tag=HOME", f"project={project}", "project=inbox", "since=2026-11-28T10:00:02Z",
            "until=2026-11-28T10:00:02Z", "tag=none", "project=active", f"project={project}&project={archived}",
            f"project={archived}", "project=",
        )
    }  # fmt: skip
    assert list(found.values()) == [
        [tagged.pk], [inside.pk], [tagged.pk], [over.pk, inside.pk], [tagged.pk], [],
        [inside.pk, tagged.pk], [over.pk, inside.pk], [over.pk], [over.pk, inside.pk, tagged.pk],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("since=yesterday", "since"),
        ("project=kitchen", "project"),
        ("limit=201", "limit"),
        ("cursor=abc", "cursor"),
        ("sort=at", "sort"),
        ("tag=a&tag=b", "tag"),
        ("project=99999999999999999999", "project"),
        ("project=inbox&project=1", "project"),
        ("&".join(f"project={number}" for number in range(1, 22)), "project"),
    ],
)
def test_bad_parameters_are_named(as_alice: Api, query: str, name: str) -> None:
    assert places_of(as_alice.get(f"/api/me/completions?{query}"), "parameter") == [name]


def test_those_of_another_are_not_there(as_alice: Api, bob: User) -> None:
    task = services.complete_task(bob, make_task(bob).pk)
    assert as_alice.get("/api/me/completions").json() == []
    assert problem_of(as_alice.get(f"{as_alice.tasks}/{task.pk}/completions"), 404)["code"] == "task_not_found"
    assert problem_of(as_alice.get(f"/api/{bob.public_id}/completions"), 403)["code"] == "permission_denied"


def test_the_queries_do_not_grow_with_the_rows(
    as_alice: Api, alice: User, django_assert_num_queries: Any, clock: Any
) -> None:
    tasks = {str(number): make_task(alice) for number in range(20)}
    complete_each(alice, clock, **tasks)
    for limit in (1, 20):
        with django_assert_num_queries(2):
            assert len(as_alice.get(f"/api/me/completions?limit={limit}").json()) == limit


@pytest.mark.parametrize("wall", ["filter", "policy"])
def test_each_wall_alone_isolates(as_alice: Api, alice: User, bob: User, wall: str) -> None:
    services.complete_task(bob, make_task(bob).pk)
    if wall == "filter":
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE tasks_completion DISABLE ROW LEVEL SECURITY")
        assert as_alice.get("/api/me/completions").json() == []
    else:
        with as_user(alice.pk):
            assert not Completion.objects.exists()
        with as_user(bob.pk):
            assert Completion.objects.exists()


def test_a_version_that_does_not_know_them_can_insert_tasks(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, column_default, is_nullable FROM information_schema.columns"
            " WHERE table_name = 'tasks_task' AND column_name = ANY(%s)",
            [["recurrence", "completions", "last_completed_at"]],
        )
        assert set(cursor.fetchall()) == {
            ("recurrence", None, "YES"), ("completions", "0", "NO"), ("last_completed_at", None, "YES"),
        }  # fmt: skip


def test_they_go_with_the_tombstone(alice: User) -> None:
    task = services.complete_task(alice, make_task(alice).pk)
    services.delete_task(alice, task.pk)
    assert Completion.objects.exists()
    Task.objects.filter(pk=task.pk).delete()
    assert not Completion.objects.exists()
