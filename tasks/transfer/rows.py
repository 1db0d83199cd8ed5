"""One operation of an import: the rows that drafts become, under the lock of the feed, a chunk at a time."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any, TypeVar

from config.database.queries import Raw, run
from config.errors import DomainError, Invalid
from config.http.json import to_json
from tasks.completions import INSERT, Completion
from tasks.formats.drafts import Completed, Document, Draft, ProjectDraft, TaskDraft
from tasks.models import Task
from tasks.projects.models import Project
from tasks.transfer import comments, fitting, placing
from tasks.transfer.fitting import Outside
from tasks.transfer.placing import Known
from tasks.transfer.report import Report
from users.resources import feed, log, operations, writes
from users.resources.log import RowChange
from users.tokens.callers import Actor

CHUNK = 500  # rows of one statement, and so what is in memory beside the drafts

Item = TypeVar("Item")


class NoRoom(Exception):
    """Tombstones of this model have to go first."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.model = model


class Rows:
    """To be used once, within one transaction. `advance` is told of the drafts that are dealt with, and may raise."""

    def __init__(self, user: Actor, document: Document, report: Report, advance: Callable[[int], None]) -> None:
        self._user, self._document, self._report, self._advance = user, document, report, advance
        self._ids: dict[Any, dict[str, int]] = {Project: {}, Task: {}}  # of visible rows, by the uid of the file
        self._project_of: dict[int, int | None] = {}  # of tasks that may be parents

    def store(self) -> int | None:
        """Returns the number of the operation, None if nothing has changed. Raises LimitReached and NoRoom before
        anything is written."""
        self._operation, _ = operations.begin(self._user)
        before = self._operation.head
        self._find_projects()
        plans = [
            self._planned(model, drafts)
            for model, drafts in ((Project, self._document.projects), (Task, self._document.tasks))
            if drafts
        ]
        for model, new, *_ in plans:
            self._require_room(model, len(new))
        for model, new, changed, anew, outside in plans:
            self._insert(model, new, anew, outside)
            self._change(model, changed)
        comments.store(self._operation, self._document.tasks, self._ids[Task], self._report, self._advance)
        head = log.join(self._user, before)
        return head if head > before else None

    def _require_room(self, model: Any, count: int) -> None:
        try:
            if count:
                self._operation.require_room(model, count)
        except feed.TombstonesFull as full:
            raise NoRoom(model) from full

    def _find_projects(self) -> None:
        """Those that tasks name, and that the file does not have."""
        own = {each.uid for each in self._document.projects}
        named = {task.project for task in self._document.tasks if task.project is not None} - own
        known, _ = placing.look_up(self._operation, Project, named)
        self._ids[Project] |= {uid: row.id for uid, row in known.items() if row.deleted_at is None}

    def _planned(self, model: Any, drafts: Sequence[Any]) -> tuple[Any, list[Any], list[Any], dict[str, str], Any]:
        own = {draft.uid for draft in drafts}
        known, anew = placing.look_up(self._operation, model, own | {each.parent for each in drafts if each.parent})
        visible = {uid: row for uid, row in known.items() if row.deleted_at is None}
        self._ids[model] |= {uid: row.id for uid, row in visible.items()}
        self._project_of |= {row.id: row.project_id for row in visible.values()}
        new, changed, unchanged = [], [], 0
        for draft in drafts:
            row = known.get(draft.uid)
            if row is None:
                new.append(draft)
            elif row.deleted_at is not None:
                self._report.skip(draft, f"in the trash since {row.deleted_at:%Y-%m-%d %H:%M} UTC; restore it there")
            elif draft.modified_at is not None and draft.modified_at > row.updated_at:
                changed.append((draft, row))
            else:
                unchanged += 1
        self._report.unchanged += unchanged
        self._advance(len(drafts) - len(new) - len(changed))
        parents = {each.parent for each in new} & visible.keys()
        places = placing.outside(self._operation, model, {visible[uid].id for uid in parents})
        return model, new, changed, anew, {uid: places[visible[uid].id] for uid in parents if visible[uid].id in places}

    # --- New rows -----------------------------------------------------------------------------------

    def _insert(self, model: Any, new: list[Any], anew: dict[str, str], outside: dict[str, Outside]) -> None:
        tree = model.tree()
        planted = fitting.Planted(new, outside, tree.max_depth, tree.max_children, self._report.tell)
        for level in planted.levels:
            for drafts in _chunks(level):
                made = [
                    (draft, row)
                    for draft in drafts
                    if (row := self._row(model, draft, anew.get(draft.uid, draft.uid), planted.parents[draft.uid]))
                ]
                if made:
                    self._operation.insert([row for _, row in made])
                for draft, row in made:
                    self._ids[model][draft.uid] = row.pk
                    if model is Task:
                        self._project_of[row.pk] = row.project_id
                if model is Task:
                    self._store_completions([(row, each) for draft, row in made for each in draft.completions])
                self._report.created += len(made)
                self._advance(len(drafts))

    def _row(self, model: Any, draft: Any, uid: str, parent: str | None) -> Any:
        """None if the model refuses it after all."""
        now = self._operation.now
        created_at = draft.created_at or now
        row = model.made_of(user_id=self._user.pk, uid=uid, created_at=created_at, updated_at=now)
        place = {"parent_id": self._ids[model].get(parent or "")}
        if model is Task:
            place["project_id"] = self._project(draft, place["parent_id"])
        return row if self._filled(row, draft, place) else None

    def _project(self, draft: TaskDraft, parent_id: int | None) -> int | None:
        """A subtask's is its parent's."""
        own = self._ids[Project].get(draft.project or "")
        project_id = own if parent_id is None else self._project_of.get(parent_id)
        if draft.project is not None and project_id != (own or 0):
            self._report.tell(draft, "project", draft.project, None)
        return project_id

    def _filled(self, row: Any, draft: Any, place: dict[str, Any]) -> bool:
        values = _task_values(draft) if isinstance(draft, TaskDraft) else _project_values(draft)
        if draft.extra and not row._state.adding:
            values["extra"] = {**row.extra, **draft.extra}
        try:
            row.apply({**values, **place}, self._user, self._operation.now)
        except Invalid as error:
            self._report.skip(draft, error.detail)
            return False
        if isinstance(draft, TaskDraft):
            self._complete(row, draft)
        elif draft.archived:
            row.archived_at = draft.archived_at or row.archived_at or draft.modified_at or self._operation.now
        return True

    def _complete(self, row: Task, draft: TaskDraft) -> None:
        """The status without what it would mean here and now: it was given where the file comes from."""
        if draft.recurrence is not None and row.recurrence is not None:
            row.recurrence = fitting.anchored(draft.recurrence, row.recurrence)
        row.status, row.step, row.completed_at = draft.status, None, None
        done = sorted((each for each in draft.completions if not each.skipped), key=lambda each: each.at)
        if row.is_completed:
            last = max((each.at for each in draft.completions), default=None)
            row.completed_at = draft.completed_at or last or draft.modified_at or self._operation.now
            if all(each.at != row.completed_at for each in draft.completions):
                done.append(Completed(row.completed_at, row.due_date, row.due_at))
                draft.completions = [*draft.completions, done[-1]]
        row.completions, row.last_completed_at = len(done), max((each.at for each in done), default=None)

    def _store_completions(self, completed: Sequence[tuple[Task, Completed]]) -> None:
        """Of tasks that have their new versions."""
        made = [
            {
                "task_id": row.pk,
                "at": each.at,
                "occurrence_date": each.due_at.astimezone(self._user.zone).date() if each.due_at else each.due_date,
                "occurrence_at": each.due_at,
                "kind": Completion.Kind.SKIPPED if each.skipped else Completion.Kind.COMPLETED,
                "missed": each.missed,
                "version": row.version,
            }
            for row, each in completed
        ]
        for some in _chunks(made, 2 * CHUNK):
            run(Raw(INSERT, [self._user.pk, to_json(some).decode()]))

    # --- Rows that the file has changed since ---------------------------------------------------------

    def _change(self, model: Any, changed: Sequence[tuple[Any, Known]]) -> None:
        for some in _chunks(changed):
            drafts = {row.id: draft for draft, row in some}
            rows = model.objects.for_user(self._user).visible().filter(pk__in=drafts).select_for_update().order_by("pk")
            self._change_rows(model, [(row, drafts[row.pk]) for row in rows])
            self._advance(len(some))
        self._move(model, changed)

    def _change_rows(self, model: Any, rows: Sequence[tuple[Any, Any]]) -> None:
        stored = self._stored_completions([row for row, _ in rows]) if model is Task else {}
        changes: list[RowChange] = []
        more: list[tuple[Any, Completed]] = []
        for row, draft in rows:
            before = row.values()
            if not self._filled(row, draft, {}):
                continue
            if diff := row.diff(before):
                changes.append(RowChange(row, row.kind_of(diff), diff))
                if model is Task:
                    more += [(row, each) for each in draft.completions if each.at not in stored.get(row.pk, ())]
            else:
                self._report.unchanged += 1
        self._operation.store_changes(changes)
        self._store_completions(more)
        self._report.updated += len(changes)

    def _stored_completions(self, rows: Iterable[Any]) -> dict[int, set[dt.datetime]]:
        found: dict[int, set[dt.datetime]] = {}
        own = Completion.objects.for_user(self._user).filter(task__in=[row.pk for row in rows], revoked_at=None)
        for pk, at in own.values_list("task_id", "at"):
            found.setdefault(pk, set()).add(at)
        return found

    def _move(self, model: Any, changed: Sequence[tuple[Draft, Known]]) -> None:
        """One by one, as a person would: with all that is within it."""
        moved = False
        for draft, row in changed:
            place = self._place(model, draft, row)
            if all(getattr(row, name) == value for name, value in place.items()):
                continue
            try:
                writes.change_family(self._user, model, row.id, place)
                moved = True
            except DomainError as error:
                self._report.tell(draft, "parent", draft.parent, error.detail)
        if moved:
            self._operation, _ = operations.begin(self._user)  # whose counter has moved on

    def _place(self, model: Any, draft: Any, row: Known) -> dict[str, int | None]:
        parent_id = self._ids[model].get(draft.parent or "")
        if parent_id is None and draft.parent is not None:
            return {}
        if model is Project or parent_id is not None:
            return {"parent_id": parent_id}
        project_id = self._ids[Project].get(draft.project or "")
        known = draft.project is None or project_id is not None
        return {"parent_id": None, "project_id": project_id if known else row.project_id}


def _task_values(draft: TaskDraft) -> dict[str, Any]:
    due = {"due_date": draft.due_date} if draft.due_at is None else {"due_at": draft.due_at}
    reminders = {} if draft.reminders is None else {"reminders": [asdict(each) for each in draft.reminders]}
    names = ("rule", "zone", "from")
    sent = draft.recurrence and {name: draft.recurrence[name] for name in names if name in draft.recurrence}
    return {
        "title": draft.title,
        "priority": draft.priority,
        "tags": draft.tags,
        "recurrence": sent,
        **due,
        **reminders,
        **_common(draft),
    }


def _project_values(draft: ProjectDraft) -> dict[str, Any]:
    return {"name": draft.name, "color": draft.color, "is_archived": draft.archived, **_common(draft)}


def _common(draft: Draft) -> dict[str, Any]:
    extra = {"extra": draft.extra} if draft.extra else {}
    position = {"position": draft.position} if draft.position is not None else {}
    return {"description": draft.description, **extra, **position}


def _chunks(items: Iterable[Item], size: int = CHUNK) -> Iterator[list[Item]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
