"""Google Tasks, as Takeout writes them: Tasks.json, or the archive with it. A due is a day, whatever its time."""

import re
from typing import Any
from zoneinfo import ZoneInfo

from tasks.formats import archives, dates, files
from tasks.formats.drafts import Degraded, Document, ProjectDraft, Skipped, TaskDraft, UnreadableFile, uid_of
from tasks.formats.entries import Entry, Uids, settled

NAME, LABEL = "google-tasks", "Google Tasks (Takeout)"
_MIDNIGHT = re.compile(r"^.{10}(T00:00:00(\.0+)?Z)?$")
STATUSES = {"needsAction": "pending", "completed": "completed"}


def matches(start: bytes, name: str) -> bool:
    if archives.is_zip(start):
        return re.search(rb"PK\x03\x04.{26}[^\x00]{0,200}Tasks\.json", start, re.S) is not None
    return files.is_json(start) and re.search(rb'"kind"\s*:\s*"tasks#task', start) is not None


def read(data: bytes, zone: ZoneInfo) -> Document:
    document = Document()
    if archives.is_zip(data):
        found, others = archives.unpack(data, lambda name: name.rsplit("/", 1)[-1] == "Tasks.json")
        if len(found) != 1:
            raise UnreadableFile("The archive has no Tasks.json, or several.")
        document.degraded += [Degraded(0, "file", each, None) for each in others]
        [data] = found.values()
    value = files.read_json(data, document)
    if not isinstance(value, dict) or "items" not in value:
        raise UnreadableFile("It has no lists of tasks.", "items")
    uids = Uids(NAME)
    if value.get("kind") == "tasks#tasks":  # one list, as the API answers it
        _read_tasks(value.pop("items"), None, document, zone, uids)
    else:
        for number, members in enumerate(files.objects(value.pop("items"), "items"), 1):
            _read_list(Entry(number, members, document), document, zone, uids)
    rest = {name: each for name, each in value.items() if each not in (None, "") and name != "kind"}
    document.degraded += [Degraded(0, name, each, None) for name, each in rest.items()]
    return settled(document)


def _read_list(entry: Entry, document: Document, zone: ZoneInfo, uids: Uids) -> None:
    key, name, tasks = entry.key("id"), entry.title("title"), entry.members.pop("items", [])
    uid = uid_of(f"{NAME} list", key) if key else uids.of("list", name)
    project = ProjectDraft(
        row=entry.row, uid=uid, name=name, modified_at=entry.instant("updated", zone), extra=entry.rest()
    )
    document.projects.append(project)
    _read_tasks(tasks, uid, document, zone, uids)


def _read_tasks(value: Any, project: str | None, document: Document, zone: ZoneInfo, uids: Uids) -> None:
    """Tasks lie in any order; their `position` has it, as text."""
    for members in sorted(files.objects(value, "items"), key=lambda each: str(each.get("position", ""))):
        entry = Entry(len(document.tasks) + len(document.skipped) + 1, members, document)
        if entry.flag("deleted"):
            document.skipped.append(Skipped(entry.row, "It is deleted in Google Tasks."))
            continue
        document.tasks.append(_task(entry, project, zone, uids))


def _task(entry: Entry, project: str | None, zone: ZoneInfo, uids: Uids) -> TaskDraft:
    key, title, parent = entry.key("id"), entry.title("title"), entry.key("parent")
    due = entry.members.get("due")
    members = entry.due("due", dates.day(due) if isinstance(due, str) else None)
    if members and not _MIDNIGHT.search(str(due)):
        entry.keep("due", due)
    return TaskDraft(
        row=entry.row,
        uid=uid_of(NAME, key) if key else uids.of(title, project or ""),
        title=title,
        description=entry.text("notes"),
        status=entry.choice("status", STATUSES, "pending"),
        parent=uid_of(NAME, parent) if parent else None,
        project=project,
        completed_at=entry.instant("completed", zone),
        created_at=entry.instant("created", zone),
        modified_at=entry.instant("updated", zone),
        **members,
        extra=entry.rest(),
    )
