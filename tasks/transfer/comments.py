"""The comments of imported tasks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tasks.comments.models import Comment
from tasks.formats import drafts
from tasks.formats.drafts import TaskDraft
from tasks.transfer import placing
from tasks.transfer.report import Report
from users.resources.log import RowChange
from users.resources.operations import Operation

CHUNK = 500  # of one statement


def store(
    operation: Operation,
    tasks: Sequence[TaskDraft],
    ids: Mapping[str, int],
    report: Report,
    advance: Callable[[int], None],
) -> None:
    """By the uid of the file, the `ids` of tasks that are there. New ones are made, and older ones brought up to date;
    one that is in the trash, or of another task, stays where it is. `advance` may raise, as it does of drafts."""
    said = [(task, each) for task in tasks if task.comments and task.uid in ids for each in task.comments]
    if not said:
        return
    known, anew = placing.look_up(operation, Comment, [each.uid for _, each in said])
    new, changed = [], {}
    for task, each in said:
        row = known.get(each.uid)
        if row is None:
            new.append(_row(operation, each, anew.get(each.uid, each.uid), ids[task.uid]))
        elif row.deleted_at is not None:
            report.skip(task, f"a comment is in the trash since {row.deleted_at:%Y-%m-%d %H:%M} UTC; restore it there")
        elif each.modified_at is not None and each.modified_at > row.updated_at:
            changed[row.id] = each
        else:
            report.unchanged += 1
    report.created += len(new)
    for start in range(0, len(new), CHUNK):
        operation.insert(new[start : start + CHUNK])
        advance(0)
    pks = [*changed]
    for start in range(0, len(pks), CHUNK):
        _change(operation, pks[start : start + CHUNK], changed, report)
        advance(0)


def _row(operation: Operation, draft: drafts.Comment, uid: str, task_id: int) -> Comment:
    now = operation.now
    created_at = draft.created_at or now
    row = Comment.made_of(user_id=operation.user.pk, uid=uid, created_at=created_at, updated_at=now)
    row.apply({"text": draft.text, "task_id": task_id}, operation.user, now)
    return row


def _change(operation: Operation, pks: Sequence[int], changed: Mapping[int, drafts.Comment], report: Report) -> None:
    rows: Any = Comment.objects.for_user(operation.user).visible().filter(pk__in=pks).select_for_update().order_by("pk")
    changes = []
    for row in rows:
        if diff := row.apply({"text": changed[row.pk].text}, operation.user, operation.now):
            changes.append(RowChange(row, row.kind_of(diff), diff))
        else:
            report.unchanged += 1
    operation.store_changes(changes)
    report.updated += len(changes)
