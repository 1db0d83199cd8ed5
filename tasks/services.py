"""Every write to tasks: one function and one transaction each."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, TypedDict, Unpack

from django.utils import timezone

from config.database.transactions import retried_transaction
from config.errors import Conflict, NotFound
from config.values import is_storable
from tasks import moves, recurring, reminding
from tasks.choices import OPEN, Status
from tasks.models import MAX_TAG, Task, TaskTag
from tasks.text import tag_key
from users.models import Kind, User
from users.resources import errors, feed, log, operations, writes
from users.resources.log import RowChange
from users.resources.operations import Operation
from users.resources.references import Family
from users.services import count_moved
from users.tokens.callers import Actor, Caller


class TaskFields(TypedDict, total=False):
    description: str
    status: str
    is_completed: bool  # a view on the status
    priority: str
    tags: list[str]
    due_date: dt.date | None
    due_at: dt.datetime | None
    project_id: int | None
    project_uid: str | None
    parent_id: int | None
    parent_uid: str | None
    position: str
    extra: dict[str, Any]
    recurrence: Mapping[str, Any] | None  # `rule`, and perhaps `zone` and `from`
    reminders: Sequence[Mapping[str, Any]]  # each `at` or `minutes_before`, and perhaps a `uid`


class TaskChanges(TaskFields, total=False):
    title: str
    uid: str  # must be the stored one


class _Closing(TaskChanges, total=False):
    ends_series: bool  # to be completed for good
    is_skipped: bool


class NotCurrent(Conflict):
    code = "not_current"
    title = "This is not the present occurrence"


class NotRecurring(Conflict):
    code = "not_recurring"
    title = "The task does not recur"


class Place(TypedDict, total=False):
    """Where a task moves to; of a member and its `uid`, at most one."""

    project_id: int | None
    project_uid: str | None
    parent_id: int | None
    parent_uid: str | None
    after_id: int | None
    before_id: int | None


class TagNotFound(NotFound):
    code = "tag_not_found"
    title = "No such tag"


TaskNotFound = errors.not_found(Task)
_DUE = frozenset({"due_date", "due_at"})
_NO_DEFAULT = "account.default_reminder_minutes IS NULL"
# Fields whose change may concern other tasks of the tree.
_OF_TREE = frozenset({"status", "is_completed", "project_id", "project_uid", "parent_id", "parent_uid"})


def create_task(user: Actor, *, title: str, uid: str | None = None, **fields: Unpack[TaskFields]) -> Task:
    """Store a new task.

    Raises Invalid (also ConflictingMembers), UidTaken, which carries the existing task unless that one was
    deleted, LimitReached, and AccountGone when the account is deleted meanwhile.
    """
    sent = {"title": title, "uid": uid, **fields}
    if "reminders" in sent or _DUE.isdisjoint(sent):
        return writes.insert(user, Task, sent)
    # A due time needs the account anyway; for a day alone, that is only read where it makes a difference.
    if isinstance(user, Caller) and sent.get("due_at") is None:
        try:
            return writes.insert(user, Task, sent, assuming=_NO_DEFAULT)
        except feed.NotAsAssumed:
            pass
    return writes.insert(user, Task, _with_default_reminders(user, sent))


def create_tasks(user: Actor, rows: Sequence[Mapping[str, Any]]) -> list[Task]:
    """Store new tasks as one operation, which take their versions in this order; all of them name the same project and
    parent. Raises what `writes.insert_many` raises."""
    return writes.insert_many(
        user,
        Task,
        [row if "reminders" in row or _DUE.isdisjoint(row) else _with_default_reminders(user, row) for row in rows],
    )


def _with_default_reminders(user: Actor, sent: Mapping[str, Any]) -> Mapping[str, Any]:
    if all(sent.get(name) is None for name in _DUE):
        return sent
    return {**sent, "reminders": reminding.by_default(user.account.default_reminder_minutes)}


def update_task(
    user: Actor, task_id: int, changes: TaskChanges, *, expected_version: Collection[int] | None = None
) -> Task:
    """Change some fields. If nothing differs, no version is taken.

    Completing, reopening and moving take others of the tree along, as `complete_task` and `move_task` do. Raises
    TaskNotFound, StaleVersion unless the version is among the expected ones, and Invalid (also ImmutableUid,
    ConflictingMembers, Cycle, TooDeep, UnknownParent, UnknownProject and ProjectFollowsParent); LimitReached.
    """
    if _OF_TREE.isdisjoint(changes):
        return writes.change(user, Task, task_id, changes, expected_version)
    return writes.change_family(user, Task, task_id, changes, expected_version, _take_along)


def complete_task(
    user: Actor,
    task_id: int,
    completed: bool | None = None,
    *,
    with_subtasks: bool = True,
    ends_series: bool = False,
    occurrence: dt.date | None = None,
    expected_version: Collection[int] | None = None,
) -> Task:
    """Complete or reopen; None toggles. A task that recurs goes on to its next occurrence, unless it `ends_series`.

    Completing completes the open tasks within it, if they shall; reopening opens the closed ones that it is within.
    Raises TaskNotFound, StaleVersion, and NotCurrent unless the `occurrence`, if one is named, is the present due.
    """
    consequences = _take_along if with_subtasks else _reopen_above
    closing = partial(_completion, completed, ends_series=ends_series, occurrence=occurrence)
    return writes.change_family(user, Task, task_id, closing, expected_version, consequences)


def complete_as_sent(
    user: Actor, task_id: int, sent: Mapping[str, Any], *, expected_version: Collection[int] | None = None
) -> Task:
    """`complete_task` by the members of a request: `completed`, what becomes of `subtasks` and the `series`, and the
    `occurrence` that is meant."""
    return complete_task(
        user,
        task_id,
        sent.get("completed"),
        with_subtasks=sent.get("subtasks") != "leave",
        ends_series=sent.get("series", False),
        occurrence=sent.get("occurrence"),
        expected_version=expected_version,
    )


def skip_task(
    user: Actor, task_id: int, sent: Mapping[str, Any] | None = None, *, expected_version: Collection[int] | None = None
) -> Task:
    """Go on to the next occurrence without completing this one; after the last one the series is over.

    `sent` is that of a request, which names at most the `occurrence`. Raises TaskNotFound, StaleVersion, NotCurrent,
    and NotRecurring for a task that does not recur, or whose series is over.
    """
    skipping = partial(_skipping, (sent or {}).get("occurrence"))
    return writes.change_family(user, Task, task_id, skipping, expected_version, _take_along)


def complete_tasks(user: Actor, task_ids: Collection[int], completed: bool) -> list[Task]:
    """`complete_task` those that are there, as one operation. Returns those that have changed."""
    return writes.change_many(user, Task, task_ids, partial(_completion, completed), _take_along)


def _completion(
    completed: bool | None, task: Task, *, ends_series: bool = False, occurrence: dt.date | None = None
) -> _Closing:
    if occurrence is not None:
        _require_current(task, occurrence)
    wanted = not task.is_completed if completed is None else completed
    closing: _Closing = {"status": Status.COMPLETED if wanted else Status.PENDING}
    return {**closing, "ends_series": True} if ends_series else closing


def _skipping(occurrence: dt.date | None, task: Task) -> _Closing:
    if task.recurrence is None or task.status not in OPEN:
        raise NotRecurring("There is no next occurrence to go on to.", current=task)
    if occurrence is not None:
        _require_current(task, occurrence)
    return {"is_skipped": True}


def _require_current(task: Task, occurrence: dt.date) -> None:
    if occurrence != recurring.due_of(task):
        raise NotCurrent("The task has another due now; look at `current`.", current=task)


def _take_along(operation: Operation, family: Family[Task], before: Mapping[str, Any]) -> None:
    row = family.row
    assert row is not None
    if row.is_completed and before["status"] != Status.COMPLETED:
        for task in _checklist(family):
            if task.status in OPEN:
                operation.apply(task, {"status": Status.COMPLETED})
    elif row.step is not None and row.step.kind in (Kind.ADVANCED, Kind.SKIPPED):
        days, zone = recurring.days_passed(row, before)
        for task in _checklist(family):
            if task.is_completed:
                recurring.begin_again(task, days, zone, operation.user)
    _reopen_above(operation, family, before)


def _checklist(family: Family[Task]) -> list[Task]:
    """The descendants that do not recur, without those of one that does, which are the checklist of that one."""
    apart: set[int] = set()
    found = []
    for task in family.below:  # level by level
        if task.recurrence is not None or task.parent_id in apart:
            apart.add(task.pk)
        else:
            found.append(task)
    return found


def _reopen_above(operation: Operation, family: Family[Task], before: Mapping[str, Any]) -> None:
    row = family.row
    assert row is not None
    if row.status not in OPEN or before["status"] in OPEN:
        return
    above = family.above
    if row.parent_id != before["parent_id"]:  # those of the new parent are not read yet, but for their references
        rows = Task.objects.for_user(operation.user).filter(pk__in=[task.pk for task in above])
        above = operation.read(rows.select_for_update().order_by("pk"))
    for task in above:
        if task.status not in OPEN:
            operation.apply(task, {"status": Status.PENDING})


def move_task(user: Actor, task_id: int, place: Place, *, expected_version: Collection[int] | None = None) -> Task:
    """Move a task with all that is within it. Raises TaskNotFound, StaleVersion and what `moves.move` raises."""
    return moves.move(user, Task, task_id, place, expected_version)


def move_tasks(user: Actor, task_ids: Collection[int], project_id: int | None) -> list[Task]:
    """Move those that are there to a project, or to the inbox, with those within them, as one operation.

    They keep their order. One whose parent stays where it is leaves it. Returns those of them that were moved.
    Raises UnknownProject.
    """
    place: Place = {"project_id": project_id}

    def changes(task: Task) -> Mapping[str, Any]:
        # One whose parent was moved before it is there already.
        return {} if task.project_id == project_id else {**place, "parent_id": None}

    return writes.change_many(user, Task, task_ids, changes, naming=place)


def delete_task(user: Actor, task_id: int, *, expected_version: Collection[int] | None = None) -> Task:
    """Turn the task and those within it into tombstones. Raises TaskNotFound and StaleVersion."""
    return writes.delete(user, Task, task_id, expected_version)


def delete_tasks(user: Actor, task_ids: Collection[int]) -> list[Task]:
    """`delete_task` those that are there, as one operation."""
    return writes.delete_many(user, Task, task_ids)


def restore_tasks(user: Actor, task_ids: Collection[int]) -> list[Task]:
    """`restore_task` those that are tombstones, as one operation. Raises LimitReached."""
    return writes.restore_many(user, Task, task_ids)


def restore_task(user: Actor, task_id: int, *, expected_version: Collection[int] | None = None) -> Task:
    """Take a task out of the trash, with those that went there along with it; at the root if its parent is gone, and in
    the inbox if its project is. Raises TaskNotFound for all that is not in the trash, StaleVersion and LimitReached.
    """
    return writes.restore(user, Task, task_id, expected_version)


def rename_tag(user: Actor, tag: str, to: str) -> list[Task]:
    """Give the tasks with this tag, in any case, another one in its place, as one operation; where a task has both, one
    stays. Returns the tasks that have changed. Raises TagNotFound, Invalid and OperationTooLarge.
    """
    return _replace_tag(user, tag, {tag_key(tag), tag_key(to)}, to)


def delete_tag(user: Actor, tag: str) -> list[Task]:
    """Take a tag, in any case, off all tasks that have it, as one operation.

    Returns the tasks that have changed. Raises TagNotFound and OperationTooLarge.
    """
    return _replace_tag(user, tag, {tag_key(tag)}, None)


@retried_transaction
def _replace_tag(user: Actor, tag: str, keys: Collection[str], to: str | None) -> list[Task]:
    """Of the tasks with this tag, change the tags that have one of the keys. Tombstones keep theirs."""

    def tags(task: Task) -> TaskChanges:
        replaced = [to if tag_key(each) in keys else each for each in task.tags]
        return {"tags": [each for each in replaced if each is not None]}

    if len(tag) > MAX_TAG or not is_storable(tag):
        raise _no_such_tag()
    tagged = TaskTag.objects.filter(user=user.pk, tag_key=tag_key(tag)).values("task")
    changed = writes.change_many(user, Task, tagged, tags)
    if not changed and not Task.objects.for_user(user).visible().filter(pk__in=tagged).exists():
        raise _no_such_tag()
    return changed


def _no_such_tag() -> TagNotFound:
    return TagNotFound("None of your tasks has this tag.")


def recompute_days(user: User) -> None:
    """Recompute `due_date` of timed tasks for an account's new time zone: one operation, with a version for each task.

    Runs within the transaction that changes the time zone and has locked the account. Tombstones follow when they are
    restored. In the log the actor is Tickbase itself, so that `undo` takes nothing of it back. Raises LimitReached.
    """
    locked, now = feed.lock(user), timezone.now()
    timed = Task.objects.for_user(user).visible().exclude(due_at=None).order_by("version")
    count_moved(user, timed.count())
    changes = []
    for task in timed.only("user_id", "version", "due_at", "due_date", "deleted_at", "reminders", "remind_from"):
        before = {"due_date": task.due_date}
        task.follow_zone(user)
        if diff := task.diff(before):
            changes.append(RowChange(task, Kind.UPDATED, diff))
    for start in range(0, len(changes), operations.MAX_ROWS):
        operations.store(user, locked, changes[start : start + operations.MAX_ROWS], now, actor=log.WORKER)
