"""Every write to tasks: one function, one transaction, one feed number each.

Lock order: the account, its feed, then the task; `users.api.idempotency` has the whole.
"""

import datetime as dt
from collections.abc import Collection
from typing import TypedDict, Unpack

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from config.database import session
from config.database.queries import run
from config.database.transactions import retried_transaction
from config.environment.rates import Rate
from config.errors import Conflict, LimitReached, NotFound, PreconditionFailed, violated_constraint
from config.http.limits.counters import PostgresCounters
from config.values import nfc
from tasks import feed, pruning, statements
from tasks.choices import Status
from tasks.models import Task, new_uid
from users.models import User

# Timed tasks that an account takes along from zone to zone, in a window. A hundred thousand take seconds, for which the
# account is locked, and sign-ins to it wait in the one thread that there is for those of everybody.
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
    uid: str  # only the one that the task has


class TaskNotFound(NotFound):
    code = "task_not_found"
    title = "No such task"


class UidTaken(Conflict):
    code = "uid_taken"
    title = "The uid is taken"


class StaleVersion(PreconditionFailed):
    """Carries the current task."""


def no_such_task() -> TaskNotFound:
    """The same for a task of another user and for one that never was."""
    return TaskNotFound("You have no task with this id.")


def create_task(user: User, *, title: str, uid: str | None = None, **fields: Unpack[TaskFields]) -> Task:
    """Store a new task.

    Raises Invalid (also ConflictingMembers), UidTaken, which carries the existing task unless that one was
    deleted, LimitReached, and AccountGone when the account is deleted meanwhile.
    """
    uid = nfc(uid) if uid else new_uid()
    try:
        return _insert(user, uid, title, fields)
    except feed.TombstonesFull:
        pruning.make_room(user)
        return create_task(user, title=title, uid=uid, **fields)
    except IntegrityError as error:
        if violated_constraint(error) == "tasks_task_uid":
            raise _uid_taken(user, uid) from error
        raise


@retried_transaction
def _insert(user: User, uid: str, title: str, fields: TaskFields) -> Task:
    now = timezone.now()
    task = Task(user=user, uid=uid, created_at=now, updated_at=now)
    task.apply({"title": title, **fields}, user.zone, now)
    task.version, task.pk = feed.advance(user, statements.insert(task), feed.CREATED, is_last=True)
    task._state.adding = False
    return task


@retried_transaction
def update_task(
    user: User,
    task_id: int,
    changes: TaskChanges,
    *,
    expected_version: Collection[int] | None = None,
) -> Task:
    """Change some fields. A change to what is stored already takes no number.

    Raises TaskNotFound, StaleVersion unless the version is among the expected ones, and Invalid (also
    ImmutableUid and ConflictingMembers).
    """
    task, version = _lock(user, task_id, expected_version)
    return _store(task, changes, version)


@retried_transaction
def complete_task(
    user: User,
    task_id: int,
    completed: bool | None = None,
    *,
    expected_version: Collection[int] | None = None,
) -> Task:
    """Complete or reopen; None toggles. Raises TaskNotFound and StaleVersion."""
    task, version = _lock(user, task_id, expected_version)
    if completed is None:
        completed = not task.is_completed
    return _store(task, {"status": Status.COMPLETED if completed else Status.PENDING}, version)


@retried_transaction
def delete_task(user: User, task_id: int, *, expected_version: Collection[int] | None = None) -> None:
    """Turn the task into a tombstone. Raises TaskNotFound and StaleVersion."""
    task, version = _lock(user, task_id, expected_version, feed.DELETED)
    task.deleted_at = task.updated_at = timezone.now()
    task.version = version
    run(statements.update(task, ["deleted_at", "updated_at", "version"]), is_last=True)


@retried_transaction
def restore_task(user: User, task_id: int) -> Task:
    """Make a tombstone the task that it was: its uid has stayed its own.

    Raises TaskNotFound for all but tombstones, and LimitReached.
    """
    version, task = feed.advance(user, statements.lock_tombstone(user.pk, task_id), feed.RESTORED)
    if task is None:
        raise TaskNotFound("There is no deleted task with this id; its tombstone may be gone.")
    task.user = user
    task.deleted_at, task.updated_at, task.version = None, timezone.now(), version
    if task.due_at is not None:
        task.due_date = task.due_at.astimezone(user.zone).date()  # they may have moved meanwhile
    run(statements.update(task, ["deleted_at", "due_date", "updated_at", "version"]), is_last=True)
    return task


def recompute_days(user: User) -> None:
    """The days of timed tasks where a locked account lives by now; as one change, of n numbers for n tasks.

    Within the transaction that moves the account. Tombstones follow when they are restored. Raises LimitReached.
    """
    feed.lock(user)
    timed = Task.objects.for_user(user).visible().exclude(due_at=None).order_by("version")
    _count_moved(user, timed.count())
    zone = user.zone
    days = {
        task_id: day
        for task_id, due_at, due_date in timed.values_list("pk", "due_at", "due_date")
        if due_at and (day := due_at.astimezone(zone).date()) != due_date
    }
    if days:
        version = feed.reserve({user.pk: len(days)})[user.pk]
        with session.local({"statement_timeout": "0"}):  # whoever has many tasks may move all the same
            run(statements.set_days(user.pk, days, version, timezone.now()))


def _count_moved(user: User, tasks: int) -> None:
    """Before they are read. In the transaction, which takes it back if it fails. What is left lets one move of any size
    pass."""
    key = salted_hmac("tasks.moved", str(user.pk), algorithm="sha256").hexdigest()[:32]
    limit = MOVED.limit
    if tasks and not PostgresCounters().take(key, tasks, MOVED).granted(tasks, limit):
        raise LimitReached(
            f"Changes of your time zone took {limit:,} timed tasks along within an hour; try again in an hour.",
            limit=limit,
        )


def _lock(
    user: User, task_id: int, expected_version: Collection[int] | None, growth: feed.Growth = feed.UNCHANGED
) -> tuple[Task, int]:
    """Take the next number, then read the task for update. Only here are versions compared: once, under the lock.

    The feed's lock keeps other services out; the task's keeps out whatever writes without them.
    """
    version, task = feed.advance(user, statements.lock(user.pk, task_id), growth)
    if task is None:
        raise no_such_task()
    task.user = user  # spares a query for what we know
    if expected_version is not None and task.version not in expected_version:
        raise StaleVersion(
            f"The task is at version {task.version} now; merge your change into `current` and try again.",
            current=task,
        )
    return task, version


def _store(task: Task, changes: TaskChanges, version: int) -> Task:
    """Save what differs, as `version`; give the number back if nothing does."""
    now = timezone.now()
    changed = task.apply({**changes}, task.user.zone, now)
    if not changed:
        transaction.set_rollback(True)
        return task
    task.version, task.updated_at = version, now
    run(statements.update(task, [*changed, "version", "updated_at"]), is_last=True)
    return task


def _uid_taken(user: User, uid: str) -> UidTaken:
    existing = Task.objects.for_user(user).visible().filter(uid=uid).first()
    if existing is None:
        return UidTaken("The task with this uid was deleted; choose another uid.", pointer="/uid")
    return UidTaken("You have a task with this uid already.", pointer="/uid", current=existing)
