"""Vikunja's export: a zip archive with data.json. Attachments are told, not imported. The year 1 is null."""

import re
from typing import Any
from zoneinfo import ZoneInfo

from tasks.formats import archives, files
from tasks.formats.drafts import Degraded, Document, ProjectDraft, TaskDraft, UnreadableFile, uid_of
from tasks.formats.entries import Entry, Uids, settled

NAME, LABEL = "vikunja", "Vikunja (zip)"
PRIORITIES = {0: "medium", 1: "low", 2: "medium", 3: "high", 4: "high", 5: "high"}
KEPT = (0, 4, 5)  # priorities that are less, or more, than one of ours

_PLAIN = ("data.json", "filters.json", "VERSION")
_NEVER = re.compile(r"0001-01-01T00:00:00(Z|\+00:00)$")
_UNITS = ((604_800, "WEEKLY"), (86_400, "DAILY"), (3600, "HOURLY"))  # seconds


def matches(start: bytes, name: str) -> bool:
    return archives.is_zip(start) and re.search(rb"PK\x03\x04.{26}data\.json", start, re.S) is not None


def read(data: bytes, zone: ZoneInfo) -> Document:
    document = Document()
    if not archives.is_zip(data):
        raise UnreadableFile("It is no zip archive.")
    found, others = archives.unpack(data, lambda name: name in _PLAIN)
    if "data.json" not in found:
        raise UnreadableFile("The archive has no data.json.")
    document.degraded += [Degraded(0, "file", name, None) for name in others]
    for name in _PLAIN[1:]:
        _tell(name, found.get(name, b""), document)
    try:
        value = files.read_json(found["data.json"], document)
        _Reader(document, zone).read(files.objects(value if value is not None else [], "list of projects"))
    except UnreadableFile as error:
        raise UnreadableFile(error.message, ", ".join(filter(None, ("data.json", error.place)))) from None
    return settled(document)


def _tell(name: str, content: bytes, document: Document) -> None:
    """Filters and the version have no place here."""
    text = content.decode("utf-8", "replace").strip()
    if text not in ("", "null", "[]"):
        document.degraded.append(Degraded(0, name, text[:10_000], None))


class _Reader:
    def __init__(self, document: Document, zone: ZoneInfo) -> None:
        self.document, self.zone, self.uids, self.row = document, zone, Uids(NAME), 0
        self.children: list[tuple[str, str, Degraded]] = []  # uids of parents and of subtasks; what to tell otherwise

    def read(self, projects: list[dict[str, Any]]) -> None:
        for members in projects:
            self._project(members, None)
        by_uid = {task.uid: task for task in self.document.tasks}
        for parent, child, lost in self.children:
            if parent in by_uid and child in by_uid and by_uid[child].parent in (None, parent):
                by_uid[child].parent = parent
            else:
                self.document.degraded.append(lost)

    def _project(self, members: dict[str, Any], parent: str | None) -> None:
        """Also a namespace with its lists, as before version 0.21."""
        entry = self._entry(members)
        key, above = entry.key("id"), entry.key("parent_project_id")
        name, color, buckets = entry.title("title"), _color(entry), entry.members.get("buckets")
        tasks, lists = entry.members.pop("tasks", None), entry.members.pop("lists", None)
        kind = "namespace" if lists is not None else "project"
        uid = uid_of(f"{NAME} {kind}", key) if key else self.uids.of(kind, name)
        project = ProjectDraft(
            row=entry.row,
            uid=uid,
            name=name,
            description=entry.text("description"),
            parent=uid_of(f"{NAME} project", above) if above else parent,
            color=color,
            archived=entry.flag("is_archived"),
            created_at=entry.instant("created", self.zone),
            modified_at=entry.instant("updated", self.zone),
            extra=entry.rest(),
        )
        self.document.projects.append(project)
        for each in files.objects(tasks or [], f"tasks of project {entry.row}"):
            if key and each.get("project_id") in (key, int(key) if key.isdecimal() else key):
                del each["project_id"]
            self._task(each, uid, _titles(buckets))
        for each in files.objects(lists or [], f"lists of namespace {entry.row}"):
            self._project(each, uid)

    def _entry(self, members: dict[str, Any]) -> Entry:
        self.row += 1
        has = {name: each for name, each in members.items() if not (isinstance(each, str) and _NEVER.match(each))}
        return Entry(self.row, has, self.document)

    def _task(self, members: dict[str, Any], project: str, buckets: dict[Any, str]) -> None:
        entry = self._entry(members)
        key, title = entry.key("id"), entry.title("title")
        priority, due = entry.members.get("priority"), entry.instant("due_date", self.zone)
        uid = uid_of(NAME, key) if key else self.uids.of(title, project)
        self._relations(entry, uid)
        bucket = entry.members.get("bucket_id")
        if isinstance(bucket, int) and bucket in buckets:
            entry.keep("bucket", buckets[bucket])
        self._attachments(entry)
        task = TaskDraft(
            row=entry.row,
            uid=uid,
            title=title,
            description=entry.text("description"),
            project=project,
            status="completed" if entry.flag("done") else "pending",
            priority=entry.choice("priority", PRIORITIES, "medium"),
            tags=_tags(entry),
            due_at=due,
            completed_at=entry.instant("done_at", self.zone),
            created_at=entry.instant("created", self.zone),
            modified_at=entry.instant("updated", self.zone),
            recurrence=self._recurrence(entry),
        )
        if priority in KEPT:
            entry.keep("priority", priority)
        task.extra = entry.rest()
        self.document.tasks.append(task)

    def _relations(self, entry: Entry, uid: str) -> None:
        """Subtasks become children. Of other relations their ids are kept; the tasks stand elsewhere."""
        related = entry.entry("related_tasks")
        if related is None:
            return
        for kind in ("subtask", "parenttask"):
            for other in related.entries(kind):
                other_uid = uid_of(NAME, str(other.get("id")))
                pair = (uid, other_uid) if kind == "subtask" else (other_uid, uid)
                self.children.append((*pair, Degraded(entry.row, f"related_tasks/{kind}", other, None)))
        entry.keep("related_tasks", related.rest())

    def _attachments(self, entry: Entry) -> None:
        for attachment in entry.entries("attachments"):
            entry.degrade("attachments", attachment)

    def _recurrence(self, entry: Entry) -> dict[str, str] | None:
        """Mode 0 is each so many seconds from the due, 1 is monthly, 2 so many seconds from the completion."""
        mode, seconds = entry.members.get("repeat_mode"), entry.members.get("repeat_after")
        rule = "FREQ=MONTHLY" if mode == 1 else _interval(seconds)
        if rule is None or mode not in (None, 0, 1, 2):
            if seconds:
                entry.degrade("repeat_after", seconds)
            return None
        if mode != 1:
            del entry.members["repeat_after"]
        entry.members.pop("repeat_mode", None)
        return {"rule": rule, "zone": self.zone.key, "from": "completion" if mode == 2 else "due"}


def _interval(seconds: Any) -> str | None:
    """Weeks, days or hours, if it is a whole number of them."""
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds <= 0:
        return None
    for length, frequency in _UNITS:
        if seconds % length == 0:
            number = seconds // length
            return f"FREQ={frequency}" + (f";INTERVAL={number}" if number > 1 else "")
    return None


def _color(entry: Entry) -> str | None:
    text = entry.members.get("hex_color")
    if isinstance(text, str) and re.fullmatch(r"#?[0-9a-fA-F]{6}", text, re.A):
        del entry.members["hex_color"]
        return "#" + text.removeprefix("#").lower()
    return None


def _tags(entry: Entry) -> list[str]:
    """The titles of the labels; what else they have is kept."""
    tags, kept = [], []
    for members in entry.entries("labels"):
        label = Entry(entry.row, members, entry.document)
        if title := label.text("title"):
            tags.append(title)
        kept.append(label.rest())
    entry.keep("labels", [each for each in kept if each])
    return tags


def _titles(buckets: Any) -> dict[Any, str]:
    found = [each for each in buckets if isinstance(each, dict)] if isinstance(buckets, list) else []
    return {each.get("id"): str(each.get("title")) for each in found if isinstance(each.get("id"), int)}
