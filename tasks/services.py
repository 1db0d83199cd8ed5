"""Every write to tasks: one function and one transaction each."""

import datetime as dt
from collections.abc import Collection
from functools import partial
from typing import TypedDict, Unpack

from django.utils import timezone
from django.utils.crypto import salted_hmac

from config.environment.rates import Rate
from config.errors import LimitReached
from config.http.limits import counters
from tasks.choices import Status
from tasks.models import Task
from users.models import Kind, User
from users.resources import feed, log, operations, writes
from users.resources.log import RowChange
from users.tokens.callers import Actor

# Timed tasks that changes of an account's time zone may recompute. A hundred thousand take seconds; meanwhile the
# account is locked, and sign-ins to it block the one thread that hashes passwords.
MOVED = Rate(300_000, 3600)


class TaskFields(TypedDict, total=False):
    description: str
    status: str
    is_completed: bool  # a view on the status
    priority: str
    tags: list[str]
    due_date: dt.date | None
    due_at: dt.datetime | None


class TaskChanges(TaskFields, total=False):
    title: str
    uid: str  # must be the stored one


TaskNotFound = writes.not_found(Task)


def create_task(user: Actor, *, title: str, uid: str | None = None, **fields: Unpack[TaskFields]) -> Task:
    """Store a new task.

    Raises Invalid (also ConflictingMembers), UidTaken, which carries the existing task unless that one was
    deleted, LimitReached, and AccountGone when the account is deleted meanwhile.
    """
    return writes.insert(user, Task, {"title": title, "uid": uid, **fields})


def update_task(
    user: Actor, task_id: int, changes: TaskChanges, *, expected_version: Collection[int] | None = None
) -> Task:
    """Change some fields. If nothing differs, no version is taken.

    Raises TaskNotFound, StaleVersion unless the version is among the expected ones, and Invalid (also
    ImmutableUid and ConflictingMembers).
    """
    return writes.change(user, Task, task_id, lambda task: changes, expected_version)


def complete_task(
    user: Actor, task_id: int, completed: bool | None = None, *, expected_version: Collection[int] | None = None
) -> Task:
    """Complete or reopen; None toggles. Raises TaskNotFound and StaleVersion."""

    return writes.change(user, Task, task_id, partial(_completion, completed), expected_version)


def complete_tasks(user: Actor, task_ids: Collection[int], completed: bool) -> list[Task]:
    """Complete or reopen those that are there, as one operation. Returns those that have changed."""
    return operations.change(user, Task, task_ids, partial(_completion, completed))


def _completion(completed: bool | None, task: Task) -> TaskChanges:
    wanted = not task.is_completed if completed is None else completed
    return {"status": Status.COMPLETED if wanted else Status.PENDING}


def delete_task(user: Actor, task_id: int, *, expected_version: Collection[int] | None = None) -> Task:
    """Turn the task into a tombstone. Raises TaskNotFound and StaleVersion."""
    return writes.bury(user, Task, task_id, expected_version)


def delete_tasks(user: Actor, task_ids: Collection[int]) -> list[Task]:
    """Turn those that are there into tombstones, as one operation."""
    return operations.bury(user, Task, task_ids)


def restore_tasks(user: Actor, task_ids: Collection[int]) -> list[Task]:
    """Restore those that are tombstones, as one operation. Raises LimitReached."""
    return operations.revive(user, Task, task_ids)


def restore_task(user: Actor, task_id: int, *, expected_version: Collection[int] | None = None) -> Task:
    """Take a task out of the trash. Raises TaskNotFound for all that is not in it, StaleVersion and LimitReached."""
    return writes.revive(user, Task, task_id, expected_version)


def recompute_days(user: User) -> None:
    """Recompute `due_date` of timed tasks for an account's new time zone: one operation, with a version for each task.

    Runs within the transaction that changes the time zone and has locked the account. Tombstones follow when they are
    restored. In the log the actor is Tickbase itself, so that `undo` takes nothing of it back. Raises LimitReached.
    """
    locked, now = feed.lock(user), timezone.now()
    timed = Task.objects.for_user(user).visible().exclude(due_at=None).order_by("version")
    _count_moved(user, timed.count())
    changes = []
    for task in timed.only("user_id", "version", "due_at", "due_date", "deleted_at"):
        before = {"due_date": task.due_date}
        task.follow_zone(user)
        if diff := task.diff(before):
            changes.append(RowChange(task, Kind.UPDATED, diff))
    for start in range(0, len(changes), operations.MAX_ROWS):
        operations.store(user, locked, changes[start : start + operations.MAX_ROWS], now, actor=log.WORKER)


def _count_moved(user: User, tasks: int) -> None:
    """Count against MOVED before the tasks are read; a rollback takes it back. While anything is left of the limit, a
    change may be of any size."""
    key = salted_hmac("tasks.moved", str(user.pk), algorithm="sha256").hexdigest()[:32]
    limit = MOVED.limit
    if tasks and not counters.take(key, tasks, MOVED).granted(tasks, limit):
        raise LimitReached(
            f"Changes of your time zone took {limit:,} timed tasks along within an hour; try again in an hour.",
            limit=limit,
        )
