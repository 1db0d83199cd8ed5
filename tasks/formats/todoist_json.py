"""Todoist's JSON: a full sync, or lists of its API (v1, REST v2), alone or together under their names.

Priority 4 is the highest here.
"""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from tasks.formats import dates, files
from tasks.formats.drafts import Degraded, Document, ProjectDraft, Skipped, TaskDraft, UnreadableFile, uid_of
from tasks.formats.entries import Entry, Uids, settled
from tasks.formats.todoist_dates import recurring

NAME, LABEL = "todoist", "Todoist (JSON)"
PRIORITIES = {4: "high", 3: "medium", 2: "low", 1: "low"}
COLORS = {
    "berry_red": "#b8256f", "red": "#db4035", "orange": "#ff9933", "yellow": "#fad000", "olive_green": "#afb83b",
    "lime_green": "#7ecc49", "green": "#299438", "mint_green": "#6accbc", "teal": "#158fad", "sky_blue": "#14aaf5",
    "light_blue": "#96c3eb", "blue": "#4073ff", "grape": "#884dff", "violet": "#af38eb", "lavender": "#eb96eb",
    "magenta": "#e05194", "salmon": "#ff8d85", "charcoal": "#808080", "grey": "#b8b8b8", "taupe": "#ccac93",
}  # fmt: skip

# The lists of a sync, and what else they are called.
_LISTS = {
    "projects": "projects", "items": "items", "tasks": "items", "completed_items": "items", "sections": "sections",
    "notes": "notes", "comments": "notes", "project_notes": "project_notes", "reminders": "reminders",
}  # fmt: skip


def matches(start: bytes, name: str) -> bool:
    has = [member for member in ("content", "project_id", "sync_token", "items", "is_deleted", "child_order")
           if files.has_member(start, member)]  # fmt: skip
    return files.is_json(start) and len(has) >= 2 and ("content" in has or "sync_token" in has)


def read(data: bytes, zone: ZoneInfo) -> Document:
    document = Document()
    lists = _lists(files.read_json(data, document), document)
    if not lists["items"] and not lists["projects"]:
        raise UnreadableFile("It has neither tasks nor projects.")
    _Reader(document, zone, lists).read()
    return settled(document)


def _lists(value: Any, document: Document) -> dict[str, list[dict[str, Any]]]:
    lists: dict[str, list[dict[str, Any]]] = {name: [] for name in _LISTS.values()}
    if isinstance(value, list):
        value = {"results": value}
    if not isinstance(value, dict):
        raise UnreadableFile("It is neither an object nor a list.", "line 1")
    for name, each in value.items():
        if name == "results":
            for row in files.objects(each, "results"):
                lists[_list_of(row)].append(row)
        elif name in _LISTS and each is not None:
            lists[_LISTS[name]] += files.objects(list(each.values()) if isinstance(each, dict) else each, name)
        elif each not in (None, "", [], {}):
            document.degraded.append(Degraded(0, name, each, None))
    return lists


def _list_of(row: dict[str, Any]) -> str:
    """What a list without a name consists of."""
    if "content" not in row:
        return "sections" if "project_id" in row else "projects"
    return "notes" if {"item_id", "task_id", "posted_at", "posted"} & row.keys() and "priority" not in row else "items"


class _Reader:
    def __init__(self, document: Document, zone: ZoneInfo, lists: dict[str, list[dict[str, Any]]]) -> None:
        self.document, self.zone, self.lists = document, zone, lists
        self.uids = Uids(NAME)
        self.sections = {str(section.get("id")): section for section in lists["sections"]}

    def read(self) -> None:
        notes = {name: self._by_owner(name) for name in ("notes", "project_notes", "reminders")}
        self.document.projects = [
            project
            for row, members in enumerate(self.lists["projects"], 1)
            if (project := self._project(Entry(row, members, self.document), notes["project_notes"], notes["notes"]))
        ]
        used: set[str] = set()
        for row, members in enumerate(self.lists["items"], 1):
            used.add(str(members.get("section_id")))
            if task := self._task(Entry(row, members, self.document), notes["notes"], notes["reminders"]):
                self.document.tasks.append(task)
        for row, section in enumerate(self.lists["sections"], 1):
            if str(section.get("id")) not in used:
                self.document.degraded.append(Degraded(row, "sections", section, None))
        for name, owners in notes.items():
            for rows in owners.values():
                self.document.degraded += [Degraded(0, name, each, None) for each in rows]

    def _by_owner(self, name: str) -> dict[str, list[dict[str, Any]]]:
        """By the id of the task or project. Those of none that is there are told at the end."""
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.lists[name]:
            owner = row.get("item_id") or row.get("task_id") or row.get("project_id")
            found.setdefault(str(owner), []).append(row)
        return found

    def _is_deleted(self, entry: Entry) -> bool:
        deleted = entry.flag("is_deleted")
        if deleted:
            self.document.skipped.append(Skipped(entry.row, "It is deleted in Todoist."))
        return deleted

    def _project(self, entry: Entry, *notes: dict[str, list[dict[str, Any]]]) -> ProjectDraft | None:
        if self._is_deleted(entry):
            return None
        key, color = entry.key("id"), entry.members.get("color")
        if isinstance(color, str) and color in COLORS:
            del entry.members["color"]
        name, parent = entry.title("name"), entry.key("parent_id")
        entry.keep("comments", [each for found in notes for each in found.pop(str(key), [])])
        return ProjectDraft(
            row=entry.row,
            uid=uid_of(f"{NAME} project", key) if key else self.uids.of("project", name),
            name=name,
            description=entry.text("description"),
            parent=uid_of(f"{NAME} project", parent) if parent else None,
            color=COLORS.get(color) if isinstance(color, str) else None,
            archived=entry.flag("is_archived"),
            created_at=entry.instant("created_at", self.zone),
            modified_at=entry.instant("updated_at", self.zone),
            extra=entry.rest(),
        )

    def _task(self, entry: Entry, *notes: dict[str, list[dict[str, Any]]]) -> TaskDraft | None:
        if self._is_deleted(entry):
            return None
        # A list of completed tasks names the task by `task_id`; there `id` is that of the completion.
        key = entry.key("task_id") or entry.key("id")
        comments, reminders = (found.pop(str(key), []) for found in notes)
        title, parent, project = entry.title("content"), entry.key("parent_id"), entry.key("project_id")
        section = self.sections.get(str(entry.members.get("section_id")))
        if section is not None:
            entry.members["section_id"] = section
        priority = entry.members.get("priority")
        task = TaskDraft(
            row=entry.row,
            uid=uid_of(NAME, key) if key else self.uids.of(title, project or ""),
            title=title,
            description=entry.text("description"),
            parent=uid_of(NAME, parent) if parent else None,
            project=uid_of(f"{NAME} project", project) if project else None,
            priority=entry.choice("priority", PRIORITIES, "medium"),
            tags=entry.texts("labels"),
            created_at=self._first(entry, "added_at", "date_added", "created_at"),
            modified_at=entry.instant("updated_at", self.zone),
            completed_at=self._first(entry, "completed_at", "date_completed"),
            **self._due(entry),
        )
        done = [entry.flag(name) for name in ("checked", "is_completed") if name in entry.members]
        if any(done) or (not done and task.completed_at):  # a list of completed tasks does not say that they are
            task.status = "completed"
        if priority == 2:  # 1 and 2 are one of ours
            entry.keep("priority", priority)
        entry.keep("comments", comments + entry.entries("notes"))
        entry.keep("reminders", reminders)
        task.extra = entry.rest()
        if "section_id" in task.extra and section is not None:
            task.extra["section"] = task.extra.pop("section_id")
        return task

    def _first(self, entry: Entry, *names: str) -> dt.datetime | None:
        """The first that is there: the versions of the API have different names."""
        return next((at for name in names if (at := entry.instant(name, self.zone))), None)

    def _due(self, entry: Entry) -> dict[str, Any]:
        """What the due is and how it recurs; its words and zone are kept."""
        due = entry.entry("due")
        if due is None:
            return {}
        zone = dates.zone_named(str(due.members.get("timezone") or "")) or self.zone
        text = due.members.get("datetime") or due.members.get("date")
        found = dates.day_or_instant(text, zone) if isinstance(text, str) else None
        members = due.due("datetime" if due.members.get("datetime") else "date", found)
        if members and "datetime" not in due.members and found is not None:
            due.members = {name: value for name, value in due.members.items() if name != "date" or value != str(found)}
        words, language = due.members.get("string"), due.members.get("lang") or "en"
        if due.members.get("is_recurring") or due.members.get("recurring"):
            is_english = isinstance(words, str) and language == "en"
            series = recurring(str(words), zone, is_timed="due_at" in members) if is_english else None
            if series is not None:
                members["recurrence"] = series.recurrence
            else:
                entry.degrade("due", words)
        entry.keep("due", due.rest())
        return members
