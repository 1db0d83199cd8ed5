"""Taskwarrior's JSON: an array, or an object a line as older versions export. https://taskwarrior.org/docs/design/task/

A template (`status: recurring`) and its instances become one task: the template's, due as the first open instance.
Closed instances are its completions, or skipped if they were deleted; open ones are left to the rule, and told. An
instance that says more than its template, such as an annotation of its own, is a task of its own.
Deleted tasks are cancelled. Annotations are the description. What Tickbase has beside is written as orphan UDAs named
`tickbase…`, which Taskwarrior keeps. It cannot say fractions of seconds, a due at midnight that is not a whole day,
completions of tasks that do not recur, and what projects have beside their names.
"""

import datetime as dt
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

from tasks.formats import dates, files, recurrences
from tasks.formats import taskwarrior_recur as recur
from tasks.formats.dates import Moment
from tasks.formats.drafts import EPOCH, Degraded, Document, ProjectDraft, Skipped, TaskDraft, UnreadableFile, uid_of
from tasks.formats.entries import settled

NAME = "taskwarrior"
LABEL = "Taskwarrior (JSON)"
MEDIA_TYPE = "application/json"
EXTENSION = "json"

Members = dict[str, Any]

_SIGNATURE = re.compile(rb"\s*(\[\s*)?\{")
_MEMBERS = (b'"description":', b'"status":', b'"uuid":')
_STATUSES = {"completed": "completed", "deleted": "cancelled"}
_STATUSES |= dict.fromkeys(("pending", "waiting", "recurring"), "pending")
_PRIORITIES = {"H": "high", "M": "medium", "L": "low"}
_DERIVED = ("id", "urgency")
_TIMES = ("end", "scheduled", "start", "until", "wait")
_NAME = re.compile(r"[A-Za-z][\w.]*", re.ASCII)
MAX_DEPTH = 20  # of projects


def matches(start: bytes, name: str) -> bool:
    is_json = _SIGNATURE.match(start.removeprefix(b"\xef\xbb\xbf")) is not None
    return is_json and all(member in start for member in _MEMBERS)


# --- In ---------------------------------------------------------------------------------------------


def read(data: bytes, zone: ZoneInfo) -> Document:
    document = Document()
    entries = _entries(files.decode_lines(data, document), document)
    reader = _Reader(document, zone)
    templates = {str(entry.get("uuid")): entry for _, entry in entries if entry.get("status") == "recurring"}
    instances: dict[str, list[tuple[int, Members]]] = {uuid: [] for uuid in templates}
    for row, entry in entries:
        parent = str(entry.get("parent"))
        if parent in templates and "recur" in entry and recur.says_the_same(entry, templates[parent]):
            instances[parent].append((row, entry))
        else:
            reader.add(row, entry)
    for uuid, group in instances.items():
        reader.merge(reader.tasks.get(uuid), templates[uuid], group)
    if any(name in entry for _, entry in entries for name in _DERIVED):
        document.warnings.append("id and urgency are Taskwarrior's own figures, and are not kept.")
    return settled(document)


def _entries(text: str, document: Document) -> list[tuple[int, Members]]:
    text = files.storable_json(text, document)
    if not text.strip():
        raise UnreadableFile("The file is empty.", "line 1")
    if text.lstrip()[:1] == "[":
        entries: Iterator[tuple[int, Any]] = enumerate(files.parse_json(text), 1)
    else:
        lines = enumerate(text.split("\n"), 1)
        entries = ((row, files.parse_json(line.strip().removesuffix(","), row)) for row, line in lines if line.strip())
    found: list[tuple[int, Members]] = []
    for row, entry in entries:
        files.check_count(len(found) + 1, "entry")
        if not isinstance(entry, dict):
            raise UnreadableFile("A task is a JSON object.", f"entry {row}")
        found.append((row, entry))
    return found


class _Reader:
    def __init__(self, document: Document, zone: ZoneInfo) -> None:
        self.document, self.zone = document, zone
        self.tasks: dict[str, TaskDraft] = {}  # by uuid
        self.uids: set[str] = set()
        self.projects: set[str] = set()

    def add(self, row: int, entry: Members) -> None:
        title, uuid = entry.get("description"), str(entry.get("uuid") or f"{entry.get('entry')} {row}")
        if not isinstance(title, str) or not title.strip():
            self.document.skipped.append(Skipped(row, "It has no description."))
            return
        said = entry.get("tickbaseuid")  # which Taskwarrior copies to instances
        uid = said if isinstance(said, str) and said and "parent" not in entry else uid_of(NAME, uuid)
        if uid in self.uids:
            self.document.skipped.append(Skipped(row, f"{uuid[:100]} stands there twice."))
            return
        self.uids.add(uid)
        rest = {name: value for name, value in entry.items() if name not in ("description", "uuid", *_DERIVED)}
        rest.pop("tickbaseuid", None)
        task = TaskDraft(row, uid, title=title)
        self.tasks[uuid] = task
        self._take_times(task, rest)
        self._take_members(task, rest)
        self._take_recurrence(task, rest)
        self._take_project(task, rest)
        for name, value in rest.items():
            if recur.is_flat(value):
                task.extra[name] = value
            else:
                self.document.degraded.append(Degraded(row, name, "a nested value", None))
        self.document.tasks.append(task)

    def _moment(self, task: TaskDraft, rest: Members, name: str) -> Moment | None:
        if (value := rest.pop(name, None)) is None:
            return None
        try:
            return recur.local(str(value), self.zone)
        except ValueError:
            self._keep(task, name, value)
            return None

    def _instant(self, task: TaskDraft, rest: Members, name: str) -> dt.datetime | None:
        value = rest.get(name)
        found = self._moment(task, rest, name)
        try:
            return dates.as_instant(found, self.zone) if found else None
        except ValueError:
            self._keep(task, name, value)
            return None

    def _keep(self, task: TaskDraft, name: str, value: Any, to: Any = None) -> None:
        value = value if recur.is_flat(value) else "a nested value"
        task.extra[name] = value
        self.document.degraded.append(Degraded(task.row, name, value, to))

    def _take_times(self, task: TaskDraft, rest: Members) -> None:
        status = rest.pop("status", "pending")
        if not isinstance(status, str) or status not in _STATUSES:
            self._keep(task, "status", status, "pending")
            status = "pending"
        task.status = _STATUSES[status]
        if due := self._moment(task, rest, "due"):
            task.due_date, task.due_at = dates.split_due(due)
        task.created_at = self._instant(task, rest, "entry")
        task.modified_at = self._instant(task, rest, "modified")
        if task.status == "completed":
            task.completed_at = self._instant(task, rest, "end")
        elif task.status == "cancelled" and rest.get("end") == dates.basic(task.stamp):
            del rest["end"]
        if task.status == "pending" and "start" in rest:
            task.status = "in_progress"
            if rest["start"] == dates.basic(task.stamp):
                del rest["start"]

    def _take_members(self, task: TaskDraft, rest: Members) -> None:
        priority = rest.pop("priority", None)
        if isinstance(priority, str) and priority in _PRIORITIES:
            task.priority = _PRIORITIES[priority]
            if priority == "M":
                task.extra["priority"] = priority
        elif priority:
            self._keep(task, "priority", priority, "medium")
        tags = rest.get("tags")
        tags = tags.split(",") if isinstance(tags, str) else tags  # of older versions
        if isinstance(tags, list) and all(isinstance(tag, str) and tag for tag in tags):
            task.tags = list(dict.fromkeys(tags))
            del rest["tags"]
        task.description = _description(rest.get("annotations"))
        if rest.get("annotations") == [_annotation(task)]:
            del rest["annotations"]
        for name in ("position", "parent"):
            if isinstance(value := rest.get(f"tickbase{name}"), str):
                setattr(task, name, value)
                del rest[f"tickbase{name}"]

    def _take_recurrence(self, task: TaskDraft, rest: Members) -> None:
        word, said = rest.get("recur"), rest.pop("tickbaserecurrence", None)
        if word is None or "parent" in rest:
            return
        for name in ("mask", "rtype"):
            rest.pop(name, None)
        found = recur.rule(word) if isinstance(word, str) else None
        if found is None or (task.due_date is None and task.due_at is None):
            self._keep(task, "recur", rest.pop("recur"))
            return
        ours = recurrences.parsed(said) if isinstance(said, str) else None
        if ours and recur.word(ours["rule"]) == word:
            task.recurrence = ours
            del rest["recur"]
            return
        task.recurrence = {"rule": recur.until(found.rule, rest.get("until")), "from": "due"}
        if found.is_exact and recur.word(found.rule) == word:
            del rest["recur"]
        elif not found.is_exact:
            self.document.degraded.append(Degraded(task.row, "recur", word, found.rule))

    def _take_project(self, task: TaskDraft, rest: Members) -> None:
        project, said = rest.get("project"), rest.pop("tickbaseprojects", None)
        if not isinstance(project, str) or not project:
            return
        del rest["project"]
        names = project.split(".", MAX_DEPTH - 1)
        if not all(names):
            names = [project]
        uids = [uid_of(NAME, f"project\x1f{'.'.join(names[:depth])}") for depth in range(1, len(names) + 1)]
        ours = [unquote(uid) for uid in said.split(",")] if isinstance(said, str) else []
        if len(ours) == len(names) and all(ours):
            uids = ours
        parent = None
        for uid, name in zip(uids, names, strict=True):
            if uid not in self.projects:
                self.projects.add(uid)
                self.document.projects.append(ProjectDraft(task.row, uid, parent=parent, name=name))
            parent = uid
        task.project = parent

    def merge(self, task: TaskDraft | None, template: Members, instances: list[tuple[int, Members]]) -> None:
        if task is None or task.recurrence is None:
            for row, entry in instances:
                self.add(row, entry)
            return
        opened = self._closed_apart(task, instances)
        if opened:
            _, first, due = opened[0]
            task.due_date, task.due_at = dates.split_due(due)
            task.status = "in_progress" if "start" in first else task.status
        elif "mask" in template:  # which a template has that Taskwarrior made instances of
            recurrences.advance(task, self.zone)
        for row, _, due in opened[1:]:
            self.document.skipped.append(Skipped(row, f"The occurrence on {due} of the task of entry {task.row}."))

    def _closed_apart(self, task: TaskDraft, instances: list[tuple[int, Members]]) -> list[tuple[int, Members, Moment]]:
        """Closed instances become completions; answers the open ones."""
        opened: list[tuple[int, Members, Moment]] = []
        for row, entry in sorted(instances, key=lambda each: str(each[1].get("due"))):
            try:
                due = recur.local(str(entry.get("due")), self.zone)
                if entry.get("status") in ("completed", "deleted"):
                    task.completions.append(recur.completion(entry, due, self.zone))
                else:
                    opened.append((row, entry, due))
            except ValueError:
                self.add(row, entry)
        return opened


def _description(annotations: Any) -> str:
    if not isinstance(annotations, list):
        return ""
    found = [each.get("description") for each in annotations if isinstance(each, dict)]
    return "\n".join(each for each in found if isinstance(each, str))


# --- Out --------------------------------------------------------------------------------------------


def write(projects: Iterable[ProjectDraft], tasks: Iterable[TaskDraft], zone: ZoneInfo) -> Iterator[bytes]:
    by_uid = {project.uid: project for project in projects}
    before = "[\n"
    for task in tasks:
        for entry in _written(task, by_uid, zone):
            yield f"{before}{json.dumps(entry, ensure_ascii=False)}".encode()
            before = ",\n"
    yield b"\n]\n" if before == ",\n" else b"[\n]\n"


def _written(task: TaskDraft, projects: dict[str, ProjectDraft], zone: ZoneInfo) -> Iterator[Members]:
    """The task; a recurring one as the template, and its completions as closed instances."""
    entry = _kept(task, zone) | {
        "description": task.title,
        "uuid": uid_of(NAME, task.uid),
        "entry": task.created_at and dates.basic(task.created_at),
        "modified": task.modified_at and dates.basic(task.modified_at),
        "due": _due(task.due_date, task.due_at, zone),
        "tags": task.tags,
        "tickbaseposition": task.position,
        "tickbaseparent": task.parent,
    }
    if entry["uuid"] != task.uid:
        entry["tickbaseuid"] = task.uid
    entry |= _status(task) | _project(task, projects)
    if task.recurrence:
        entry |= _recurrence(task, recurrences.from_now(task.recurrence, zone))
    entry = {name: value for name, value in entry.items() if value not in (None, "", [])}
    yield entry
    for number, done in enumerate(task.completions if task.recurrence else [], 1):
        yield {name: value for name, value in entry.items() if not name.startswith("tickbase")} | {
            "uuid": uid_of(NAME, f"{task.uid}\x1f{number}"),
            "status": "deleted" if done.skipped else "completed",
            "due": _due(done.due_date, done.due_at, zone),
            "end": dates.basic(done.at),
            "parent": entry["uuid"],
        }


def _kept(task: TaskDraft, zone: ZoneInfo) -> Members:
    """What `extra` has of Taskwarrior's, if it still holds: a date that is none makes Taskwarrior refuse the file."""
    kept = {name: value for name, value in task.extra.items() if _NAME.fullmatch(name) and recur.is_flat(value)}
    for name in _TIMES:
        try:
            dates.moment(str(kept.get(name)), zone)
        except ValueError:
            kept.pop(name, None)
    has_due = task.due_date or task.due_at
    if not task.recurrence and "parent" not in kept and has_due and recur.rule(str(kept.get("recur"))):
        del kept["recur"]
    if task.priority != "medium" or kept.get("priority") in ("H", "L"):
        kept["priority"] = {"high": "H", "low": "L"}.get(task.priority)
    if _description(kept.get("annotations")) != task.description or not task.description:
        kept["annotations"] = [_annotation(task)] if task.description else None
    return kept


def _status(task: TaskDraft) -> Members:
    stamp = dates.basic(task.stamp)
    said, recurring = task.extra, task.recurrence is not None
    if task.status == "completed":
        return {"status": "completed", "end": dates.basic(task.completed_at) if task.completed_at else None}
    if task.status == "cancelled":
        return {"status": "deleted", "end": said.get("end") or stamp}
    start = said.get("start") or stamp if task.status == "in_progress" else None
    return {"status": "recurring" if recurring else "pending", "start": start, "end": None}


def _recurrence(task: TaskDraft, recurrence: dict[str, str]) -> Members:
    said = task.extra.get("recur")
    found = recur.rule(said) if isinstance(said, str) else None
    if found and recurrence == {"rule": recur.until(found.rule, task.extra.get("until")), "from": "due"}:
        return {"recur": said, "rtype": "periodic"}
    word = recur.word(recurrence["rule"])
    plain = recur.rule(word)
    is_plain = plain and recurrence == {"rule": recur.until(plain.rule, task.extra.get("until")), "from": "due"}
    text = None if is_plain else recurrences.text_of(recurrence)
    return {"recur": word, "rtype": "periodic", "tickbaserecurrence": text}


def _project(task: TaskDraft, projects: dict[str, ProjectDraft]) -> Members:
    path: dict[str, str] = {}
    uid = task.project
    while uid in projects and uid not in path and len(path) < MAX_DEPTH:
        path[uid] = projects[uid].name.replace(".", "_")
        uid = projects[uid].parent
    names, uids = list(path.values())[::-1], list(path)[::-1]
    derived = [uid_of(NAME, f"project\x1f{'.'.join(names[: depth + 1])}") for depth in range(len(names))]
    said = None if uids == derived else ",".join(quote(uid, safe="") for uid in uids)
    return {"project": ".".join(names), "tickbaseprojects": said}


def _annotation(task: TaskDraft) -> Members:
    return {"entry": dates.basic(task.created_at or EPOCH), "description": task.description}


def _due(day: dt.date | None, at: dt.datetime | None, zone: ZoneInfo) -> str | None:
    if at is None and day is not None:
        try:
            at = dates.midnight(day, zone)
        except ValueError:  # at an end of the calendar
            return dates.basic(day)
    return dates.basic(at) if at else None
