"""Tables of any program, as far as their columns can be told by name; and our own, which bring back what they hold."""

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from tasks.formats import dates, files, recurrences
from tasks.formats.drafts import Document, ProjectDraft, TaskDraft, UnreadableFile, uid_of
from tasks.formats.entries import Entry, Uids, settled
from tasks.positions import is_valid

NAME, LABEL = "csv", "CSV"
MEDIA_TYPE, EXTENSION = "text/csv", "csv"
DELIMITERS = ",;\t|"
COLUMNS = (
    "uid", "title", "description", "status", "priority", "tags", "due", "project", "project_uid", "parent_uid",
    "position", "recurrence", "recurrence_zone", "recurrence_from", "completed_at", "created_at", "updated_at", "extra",
)  # fmt: skip

# Names that columns have elsewhere; of two that mean the same, the first of a table counts.
_ALIASES = {
    "uid": ("uid",),
    "id": ("id", "uuid", "task id", "taskid", "gid", "key"),
    "title": ("title", "name", "task", "content", "summary", "task name", "subject", "todo", "item"),
    "description": ("description", "notes", "note", "details", "body", "comment"),
    "status": ("status", "state"),
    "done": ("done", "completed", "complete", "is completed", "checked", "finished"),
    "priority": ("priority", "importance", "prio"),
    "tags": ("tags", "labels", "tag", "label", "categories", "category", "contexts"),
    "due": ("due", "due date", "deadline", "due at", "date", "due on", "duedate", "end date"),
    "time": ("due time", "time"),
    "project": ("project", "list", "project name", "list name", "folder", "board"),
    "project_uid": ("project uid",),
    "parent_uid": ("parent uid",),
    "parent": ("parent", "parent id", "parent task", "parentid", "subtask of"),
    "position": ("position",),
    "recurrence": ("recurrence", "rrule", "repeat", "recurring", "repeats"),
    "recurrence_zone": ("recurrence zone",),
    "recurrence_from": ("recurrence from",),
    "completed_at": ("completed at", "completion date", "date completed", "completed on", "done date"),
    "created_at": ("created at", "created", "date created", "creation date", "created on", "created date", "added"),
    "updated_at": ("updated at", "updated", "modified", "last modified", "modified at", "date modified"),
    "extra": ("extra",),
}
_MEANINGS = {alias: meaning for meaning, aliases in _ALIASES.items() for alias in aliases}
_STATUSES = {
    "completed": "done completed complete closed finished x yes true 1 ✓ ✔ ☑ checked resolved archived",
    "in_progress": "in_progress inprogress doing started ongoing wip",
    "cancelled": "cancelled canceled wontdo won't_do abandoned dropped",
    "pending": "pending open todo to_do not_started new no false 0 needsaction needs-action active incomplete ☐ -",
}
STATUSES = {word.replace("_", " "): status for status, words in _STATUSES.items() for word in words.split()}
_PRIORITIES = {
    "high": "high h highest urgent critical important a p1 1 !!!",
    "medium": "medium med m normal moderate b p2 2 none 0 !! -",
    "low": "low l lowest minor c p3 p4 3 4 !",
}
PRIORITIES = {word: priority for priority, words in _PRIORITIES.items() for word in words.split()}
# A cell that a spreadsheet would take for a formula, or that was guarded against that.
_FIRST = r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"  # the last four are the full-width forms of the first
_FORMULA, _GUARDED = re.compile(f"'*{_FIRST}"), re.compile(f"'+{_FIRST}")
_TAG = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,;]+))\s*(?:[,;]|$)')


def matches(start: bytes, name: str) -> bool:
    """Any table with a title; `start` may end within a character."""
    try:
        text = files.decode(start[: start.rfind(b"\n") + 1 or len(start)], Document(), windows=True)
        return not files.is_json(start) and "title" in _header(text)[1].values()
    except UnreadableFile:
        return False


def _header(text: str) -> tuple[str, dict[str, str], int]:
    """The delimiter, the meanings of the columns by name, and the characters before the header."""
    start = 0
    if text[:4].lower() == "sep=" and text[4:5] in DELIMITERS:  # as Excel writes it
        start = text.find("\n") + 1 or len(text)
        return text[4], _meanings(_first(text[start:], text[4])), start
    found = {delimiter: _meanings(_first(text, delimiter)) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: len(found[delimiter]))
    return best, found[best], start


def _first(text: str, delimiter: str) -> list[str]:
    try:
        return next(files.rows(text, delimiter))[1]
    except (UnreadableFile, StopIteration):
        return []


def _meanings(header: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for column in header:
        meaning = _MEANINGS.get(re.sub(r"[\s_-]+", " ", column.strip().lower()))
        if meaning and meaning not in found.values():
            found[column.strip()] = meaning
    return found


def read(data: bytes, zone: ZoneInfo) -> Document:
    document = Document()
    text = files.decode(data, document, windows=True)
    delimiter, meanings, start = _header(text)
    if "title" not in meanings.values():
        raise UnreadableFile("No column is called title, name, task, content or summary.", "line 1")
    found = files.rows(text[start:], delimiter, line=2 if start else 1)
    records = list(files.records([column.strip() for column in next(found)[1]], found))
    entries = [
        Entry(line, {_member(name, meanings): _unguarded(cell) for name, cell in cells.items()}, document)
        for line, cells in records
    ]
    _Reader(document, zone, entries).read()
    return settled(document)


def _member(column: str, meanings: dict[str, str]) -> str:
    """What a cell is called from here on; a column that is not the first of its meaning keeps its name apart."""
    return meanings.get(column) or (f"{column} (column)" if column in _ALIASES else column)


def _unguarded(cell: str) -> str:
    return cell[1:] if _GUARDED.match(cell) else cell


class _Reader:
    def __init__(self, document: Document, zone: ZoneInfo, entries: list[Entry]) -> None:
        self.document, self.zone, self.entries = document, zone, entries
        self.order = dates.order_of(str(entry.members["due"]) for entry in entries if "due" in entry.members)
        self.uids, self.ids = Uids(NAME), dict[str, str]()
        self.projects: dict[str, ProjectDraft] = {}

    def read(self) -> None:
        pairs = [(entry, self._task(entry)) for entry in self.entries]
        by_title: dict[str, str] = {}
        for _, task in pairs:
            by_title.setdefault(task.title, task.uid)
        for entry, task in pairs:
            named = str(entry.members.get("parent", ""))
            task.parent = task.parent or self.ids.get(named) or by_title.get(named)
            if named and task.parent and not self.ids.get(named):
                entry.degrade("parent", named, task.parent)
            elif named and task.parent:
                del entry.members["parent"]
            elif named:
                entry.degrade("parent", named)
            task.extra = {**task.extra, **entry.rest()}
        self.document.projects = list(self.projects.values())
        self.document.tasks = [task for _, task in pairs]

    def _task(self, entry: Entry) -> TaskDraft:
        title, project = entry.title("title"), self._project(entry)
        status, completed_at = self._status(entry)
        task = TaskDraft(
            row=entry.row,
            uid=self._uid(entry, title, project),
            title=title,
            description=entry.text("description"),
            parent=entry.text("parent_uid") or None,
            position=_position(entry),
            created_at=self._instant(entry, "created_at"),
            modified_at=self._instant(entry, "updated_at"),
            extra=_extra(entry),
            status=status,
            priority=_priority(entry),
            tags=_tags(entry.text("tags")),
            completed_at=completed_at or self._instant(entry, "completed_at"),
            project=project,
            recurrence=_recurrence(entry),
            **entry.due("due", self._due(entry)),
        )
        if task.completed_at and status == "pending":
            task.status = "completed"
        return task

    def _uid(self, entry: Entry, title: str, project: str | None) -> str:
        known = entry.key("id")
        uid = entry.text("uid")
        if not uid:
            uid = uid_of(NAME, known) if known else self.uids.of(title, project or "")
        elif known:
            entry.keep("id", known)
        self.ids[known or uid] = uid
        return uid

    def _project(self, entry: Entry) -> str | None:
        name, uid = entry.text("project"), entry.text("project_uid")
        if name:
            uid = uid or uid_of(f"{NAME} project", name)
            known = self.projects.setdefault(uid, ProjectDraft(row=entry.row, uid=uid, name=name))
            if known.name != name:
                entry.degrade("project", name, known.name)
        return uid or None

    def _instant(self, entry: Entry, name: str) -> dt.datetime | None:
        text = entry.members.get(name, "")
        found = dates.loose(text, self.zone, self.order)
        if isinstance(found, dt.date) and not isinstance(found, dt.datetime):
            found = dates.at(found, dt.time(), self.zone)
        if found is None:
            if text:
                entry.degrade(name, text)
            return None
        del entry.members[name]
        return found

    def _due(self, entry: Entry) -> dt.date | None:
        text, time = entry.members.get("due", ""), entry.members.get("time")
        found = dates.loose(text, self.zone, self.order)
        if time and found is not None and not isinstance(found, dt.datetime):
            timed = dates.loose(f"{found} {time}", self.zone)
            if timed is not None:
                del entry.members["time"]
            return timed or found
        return found

    def _status(self, entry: Entry) -> tuple[str, dt.datetime | None]:
        """Of the column of the status, or that of completions, which may hold when they were."""
        status, at = "pending", None
        for name in ("status", "done"):
            text = entry.members.get(name, "")
            found = STATUSES.get(re.sub(r"[\s_]+", " ", text.strip().lower()))
            if found is not None:
                del entry.members[name]
            elif text and (moment := self._instant(entry, name)):
                found, at = "completed", moment
            if found not in (None, "pending") and status == "pending":
                status = str(found)
        return status, at


def _priority(entry: Entry) -> str:
    text = entry.members.get("priority", "")
    priority = PRIORITIES.get(text.strip().lower())
    if text and (priority is None or text != priority):  # several words mean the same
        entry.keep("priority", text)
    else:
        entry.members.pop("priority", None)
    if text and priority is None:
        entry.degrade("priority", text, "medium")
    return priority or "medium"


def _tags(text: str) -> list[str]:
    found = (match[1].replace('""', '"') if match[1] is not None else match[2].strip() for match in _TAG.finditer(text))
    return [tag for tag in found if tag]


def _extra(entry: Entry) -> dict[str, Any]:
    """Our own column of what the model has no member for."""
    try:
        value = orjson.loads(entry.members.get("extra", ""))
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(value, dict) or files.is_deeper(value, files.MAX_DEPTH):
        return {}
    del entry.members["extra"]
    return value


def _position(entry: Entry) -> str | None:
    position = entry.text("position")
    if is_valid(position):
        return position
    entry.keep("position", position)  # a number, of another program; the order of the file counts
    return None


def _recurrence(entry: Entry) -> dict[str, str] | None:
    rule = entry.text("recurrence")
    if not re.match(r"(RRULE:)?FREQ=", rule, re.I):
        entry.keep("recurrence", rule)
        if rule:
            entry.degrade("recurrence", rule)
        return None
    found = {"rule": rule, "zone": entry.text("recurrence_zone"), "from": entry.text("recurrence_from")}
    return {name: value for name, value in found.items() if value}


# --- Writing ----------------------------------------------------------------------------------------


def write(projects: Iterable[ProjectDraft], tasks: Iterable[TaskDraft], zone: ZoneInfo) -> Iterator[bytes]:
    """What a table can hold: of projects their names, and no completions."""
    names = {project.uid: project.name for project in projects}
    yield from files.write_rows([list(COLUMNS)])
    yield from files.write_rows([_guarded(cell) for cell in _cells(task, names)] for task in tasks)


def _guarded(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _cells(task: TaskDraft, names: dict[str, str]) -> list[str]:
    recurrence = task.recurrence or {}
    return [
        task.uid, task.title, task.description, task.status, task.priority, ", ".join(map(_tag, task.tags)),
        dates.written(task.due_at) if task.due_at else str(task.due_date or ""),
        names.get(task.project or "", ""), task.project or "", task.parent or "", task.position or "",
        recurrences.rule_from_now(recurrence) if recurrence else "",
        recurrence.get("zone", ""), recurrence.get("from", ""),
        *(dates.written(at) if at else "" for at in (task.completed_at, task.created_at, task.modified_at)),
        orjson.dumps(task.extra).decode() if task.extra else "",
    ]  # fmt: skip


def _tag(tag: str) -> str:
    is_plain = tag == tag.strip() and not re.search(r'[,;"]', tag)
    return tag if is_plain else '"' + tag.replace('"', '""') + '"'
