"""TickTick's backup: a table below some lines of preamble. Its `taskId` is new in each backup, so that it is no uid."""

import re
from typing import Any
from zoneinfo import ZoneInfo

from tasks.formats import dates, files
from tasks.formats.drafts import Document, ProjectDraft, TaskDraft, UnreadableFile, uid_of
from tasks.formats.entries import Entry, Uids, settled, step

NAME, LABEL = "ticktick", "TickTick (CSV)"
STATUSES = {"0": "pending", "1": "completed", "2": "completed", "-1": "cancelled"}
PRIORITIES = {"0": "medium", "1": "low", "3": "medium", "5": "high"}

_HEADER = re.compile(r'^"?Folder Name"?,"?List Name"?,"?Title"?.*$', re.M)
_ITEM = re.compile(r"^\s*([▫▪])\s?(.*)$")
# The parts of rules that RFC 5545 knows; TickTick adds its own, such as TT_SKIP=WEEKEND, which change what it means.
_RULE = re.compile(r"(?:RRULE:)?((?:FREQ|INTERVAL|COUNT|UNTIL|WKST|BY[A-Z]+)=[^;=\s]+(?:;|$))+", re.I)


def matches(start: bytes, name: str) -> bool:
    try:
        text = files.decode(start[: start.rfind(b"\n") + 1 or len(start)], Document())
    except UnreadableFile:
        return False
    return _HEADER.search(text) is not None


def read(data: bytes, zone: ZoneInfo) -> Document:
    document = Document()
    text = files.decode(data, document).replace("\r\n", "\n")
    header = _HEADER.search(text)
    if header is None:
        raise UnreadableFile("It has no header with Folder Name, List Name and Title.")
    if preamble := text[: header.start()].strip():
        document.warnings.append(f"Above the table stands: {preamble[:500]}")
    line = text.count("\n", 0, header.start()) + 1
    found = files.rows(text[header.start() :], line=line)
    _Reader(document, zone).read(files.records(next(found)[1], found))
    return settled(document)


class _Reader:
    def __init__(self, document: Document, zone: ZoneInfo) -> None:
        self.document, self.zone, self.uids = document, zone, Uids(NAME)
        self.projects: dict[str, ProjectDraft] = {}
        self.ids: dict[str, str] = {}

    def read(self, records: Any) -> None:
        parents = []
        for row, cells in records:
            entry = Entry(row, cells, self.document)
            task = self._task(entry)
            parents.append((task, entry.text("parentId")))
            self.document.tasks.append(task)
            if entry.members.get("Is Check list") == "Y":
                self._items(task)
            task.extra = entry.rest()
        for task, parent in parents:
            if parent:
                task.parent = self.ids.get(parent)
            if parent and task.parent is None:
                Entry(task.row, {}, self.document).degrade("parentId", parent)
        self.document.projects = list(self.projects.values())

    def _task(self, entry: Entry) -> TaskDraft:
        title, zone = entry.title("Title"), dates.zone_named(entry.members.get("Timezone", "")) or self.zone
        uid = self.uids.of(title, entry.members.get("Created Time", ""))
        if key := entry.members.get("taskId"):
            self.ids[key] = uid
        priority, status = entry.members.get("Priority"), entry.members.get("Status")
        task = TaskDraft(
            row=entry.row,
            uid=uid,
            title=title,
            description=entry.text("Content"),
            project=self._project(entry),
            status=entry.choice("Status", STATUSES, "pending"),
            priority=entry.choice("Priority", PRIORITIES, "medium"),
            tags=[tag for each in entry.text("Tags").split(",") if (tag := each.strip())],
            created_at=entry.instant("Created Time", self.zone),
            completed_at=entry.instant("Completed Time", self.zone),
            recurrence=_recurrence(entry, zone),
            **self._due(entry, zone),
        )
        if priority == "0" or status == "2":  # none, and archived: less than one of ours
            entry.keep("Priority", priority if priority == "0" else None)
            entry.keep("Status", status if status == "2" else None)
        return task

    def _project(self, entry: Entry) -> str | None:
        """A list, in the project of its folder. The inbox is a list without a folder."""
        folder, name = entry.text("Folder Name"), entry.members.get("List Name", "")
        if not folder and name.strip().lower() in ("", "inbox"):
            return None
        parent = self._named(entry, "folder", folder, None) if folder else None
        return self._named(entry, "list", entry.text("List Name"), parent) if name.strip() else parent

    def _named(self, entry: Entry, kind: str, name: str, parent: str | None) -> str:
        uid = uid_of(f"{NAME} {kind} {parent or ''}", name)
        self.projects.setdefault(uid, ProjectDraft(row=entry.row, uid=uid, name=name, parent=parent))
        return uid

    def _due(self, entry: Entry, zone: ZoneInfo) -> dict[str, Any]:
        """A day is midnight in its zone; a floating time is that of the clock wherever the user is."""
        name = "Due Date" if entry.members.get("Due Date") else "Start Date"
        moment = dates.instant(entry.members.get(name, ""), self.zone)
        day = dates.local_day(moment, zone) if moment else None
        if moment is None or day is None:
            return entry.due(name, None)
        if entry.members.get("Is All Day", "").lower() == "true":
            return entry.due(name, day)
        if entry.members.get("Is Floating", "").lower() == "true":
            moment = dates.at(day, moment.astimezone(zone).time(), self.zone) or moment
        return entry.due(name, moment)

    def _items(self, task: TaskDraft) -> None:
        """A checklist stands in the content, a line an item: ▫ is open, ▪ is done."""
        lines = [(line, _ITEM.match(line)) for line in task.description.split("\n")]
        task.description = "\n".join(line for line, item in lines if item is None)
        for number, item in enumerate((item for _, item in lines if item), 1):
            uid = self.uids.of(task.uid, item[2])
            self.document.tasks.append(step(task, number, uid, item[2], item[1] == "▪"))


def _recurrence(entry: Entry, zone: ZoneInfo) -> dict[str, str] | None:
    """An RRULE. Those of other calendars (LUNAR:) and of forgetting curves (ERULE:) are kept and told."""
    text = entry.members.get("Repeat", "").strip()
    if not text:
        return None
    if not _RULE.fullmatch(text):
        entry.degrade("Repeat", text)
        return None
    del entry.members["Repeat"]
    return {"rule": text.rstrip(";"), "zone": zone.key}
