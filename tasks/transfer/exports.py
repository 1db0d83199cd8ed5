"""Export: projects and tasks as drafts, which a format writes as a file; read in batches, without instances."""

import datetime as dt
from array import array
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast
from zoneinfo import ZoneInfo

from config.database.isolation import each_as
from tasks.choices import ACTIVE, INBOX
from tasks.comments.models import Comment
from tasks.completions import Completion
from tasks.formats import drafts, ics, registry
from tasks.formats.drafts import Completed, ProjectDraft, Reminding, TaskDraft, WritableFormat
from tasks.models import Task
from tasks.projects.models import Project
from tasks.transfer.fitting import TICKBASE
from users.resources.querysets import one_of
from users.tokens.callers import Actor

BATCH = 500  # tasks with all their texts that are in memory at once
WRITABLE = {each.NAME: each for each in registry.WRITABLE}
Place = str | int | tuple[int, ...] | None  # INBOX, ACTIVE, or ids of projects; None is all there is

_PROJECT = (
    "id", "uid", "name", "description", "color", "archived_at", "position", "extra", "created_at", "updated_at",
    "parent_id",
)  # fmt: skip
_TASK = (
    "id", "uid", "title", "description", "status", "priority", "tags", "due_date", "due_at", "completed_at",
    "recurrence", "position", "extra", "created_at", "updated_at", "project_id", "reminders",
    "parent__uid",
)  # fmt: skip


def write(user: Actor, zone: ZoneInfo, chosen: WritableFormat, place: Place = None) -> Iterator[bytes]:
    """The file in pieces. What is changed meanwhile is as it was or as it is; what is in the trash stays here."""
    return each_as(user.pk, _pieces(user, zone, chosen, place))


def calendar(user: Actor, zone: ZoneInfo) -> Iterator[bytes]:
    """The dues of open tasks, to subscribe to."""
    return each_as(user.pk, ics.write_feed("Tickbase", _dues(user), zone))


def _dues(user: Actor) -> Iterator[TaskDraft]:
    due: Any = Task.objects.for_user(user).visible().open().exclude(due_date=None)
    ids = array("q", due.order_by("due_date", "due_at", "pk").values_list("pk", flat=True))
    yield from _drafts(user, ids, {}, lambda own: _own(own, ics.NAME), whole=False)


def _pieces(user: Actor, zone: ZoneInfo, chosen: WritableFormat, place: Place) -> Iterator[bytes]:
    whole = chosen.NAME == TICKBASE
    extra_of = (lambda own: own) if whole else (lambda own: _own(own, chosen.NAME))
    rows = Project.objects.for_user(user).visible().order_by("position", "pk").values_list(*_PROJECT)
    projects = {row[0]: row for row in rows}
    included = _included(projects, place)
    made = [_project(row, projects, included, extra_of) for row in projects.values() if row[0] in included]
    uids = {pk: row[1] for pk, row in projects.items() if pk in included}
    yield from chosen.write(made, _tasks(user, place, uids, extra_of, whole=whole), zone)


def _own(extra: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What this format has brought along."""
    own = extra.get(name)
    return own if isinstance(own, dict) else {}


def _included(projects: Mapping[int, Sequence[Any]], place: Place) -> set[int]:
    """The projects of a place, with those within them."""
    if place is None:
        return {*projects}
    if place == INBOX:
        return set()
    if place == ACTIVE:
        return {pk for pk, row in projects.items() if row[5] is None}
    found = {*(place if isinstance(place, tuple) else (place,))} & projects.keys()
    while more := {pk for pk, row in projects.items() if row[-1] in found} - found:
        found |= more
    return found


def _project(row: Sequence[Any], projects: Mapping[int, Any], included: Collection[int], extra_of: Any) -> ProjectDraft:
    _, uid, name, description, color, archived_at, position, own, created_at, updated_at, parent_id = row
    return ProjectDraft(
        0,
        uid,
        description,
        projects[parent_id][1] if parent_id in included else None,
        position,
        created_at,
        updated_at,
        extra_of(own),
        name,
        color,
        archived_at is not None,
        archived_at,
    )


def _tasks(
    user: Actor, place: Place, uids: Mapping[int, str], extra_of: Callable[[Any], Any], *, whole: bool
) -> Iterator[TaskDraft]:
    """Project by project, the inbox first, and each before those within it."""
    if place in (None, INBOX, ACTIVE):
        yield from _drafts(user, _in_tree_order(user, None), uids, extra_of, whole=whole)
    for project_id in uids:
        yield from _drafts(user, _in_tree_order(user, project_id), uids, extra_of, whole=whole)


def _drafts(
    user: Actor, ids: "array[int]", uids: Mapping[int, str], extra_of: Any, *, whole: bool
) -> Iterator[TaskDraft]:
    """With comments, if they are `whole`; other formats have no place for them."""
    for start in range(0, len(ids), BATCH):
        some = list(ids[start : start + BATCH])
        rows = {
            row[0]: row for row in Task.objects.for_user(user).visible().filter(one_of("pk", some)).values_list(*_TASK)
        }
        completions, comments = _completions(user, some), _comments(user, some) if whole else {}
        for pk in some:
            if pk in rows:  # not deleted meanwhile
                yield _task(rows[pk], uids, completions.get(pk, []), comments.get(pk, []), extra_of)


def _in_tree_order(user: Actor, project_id: int | None) -> "array[int]":
    """The ids of a project's tasks, depth first. Eight bytes each, as there may be a hundred thousand."""
    tasks: Any = Task.objects.for_user(user).visible()
    tasks = tasks.in_inbox() if project_id is None else tasks.in_project(project_id)
    children: defaultdict[int | None, array[int]] = defaultdict(partial(array, "q"))
    for pk, parent_id in tasks.order_by("position", "pk").values_list("pk", "parent_id"):
        children[parent_id].append(pk)
    found, waiting = array("q"), [iter(children.pop(None, array("q")))]
    while waiting:
        for pk in waiting[-1]:
            found.append(pk)
            if pk in children:
                waiting.append(iter(children.pop(pk)))
                break
        else:
            waiting.pop()
    return found


def _completions(user: Actor, pks: Sequence[int]) -> dict[int, list[Completed]]:
    found: defaultdict[int, list[Completed]] = defaultdict(list)
    rows = Completion.objects.for_user(user).filter(one_of("task", pks), revoked_at=None).order_by("at", "pk")
    columns = ("task_id", "at", "occurrence_date", "occurrence_at", "kind", "missed")
    for pk, at, date, moment, kind, missed in rows.values_list(*columns):
        due_date = date if moment is None else None
        found[pk].append(Completed(at, due_date, moment, kind == Completion.Kind.SKIPPED, missed))
    return found


def _comments(user: Actor, pks: Sequence[int]) -> dict[int, list[drafts.Comment]]:
    found: defaultdict[int, list[drafts.Comment]] = defaultdict(list)
    rows = Comment.objects.for_user(user).visible().filter(one_of("task", pks)).order_by("created_at", "pk")
    for pk, *said in rows.values_list("task_id", "uid", "text", "created_at", "updated_at"):
        found[pk].append(drafts.Comment(*cast(Any, said)))
    return found


def _task(
    row: Sequence[Any],
    uids: Mapping[int, str],
    completions: list[Completed],
    comments: list[drafts.Comment],
    extra_of: Any,
) -> TaskDraft:
    _, uid, title, description, status, priority, tags, due_date, due_at, completed_at, recurrence, *rest = row
    position, own, created_at, updated_at, project_id, reminders, parent = rest
    return TaskDraft(
        0,
        uid,
        description,
        parent,
        position,
        created_at,
        updated_at,
        extra_of(own),
        title,
        status,
        priority,
        tags,
        due_date if due_at is None else None,
        due_at,
        completed_at,
        uids.get(project_id),
        recurrence and {name: str(value) for name, value in recurrence.items() if value is not None},
        completions,
        comments,
        [_reminder(each) for each in reminders],
    )


def _reminder(stored: Mapping[str, Any]) -> Reminding:
    at = stored.get("at")
    return Reminding(stored["uid"], at and dt.datetime.fromisoformat(at), stored.get("minutes_before"))
