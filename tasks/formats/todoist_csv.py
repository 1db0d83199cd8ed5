"""Todoist's CSV: a project as a template, or each project of a backup in a zip archive.

PRIORITY 1 is the highest here. There are no ids, so that uids come from the content.
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

from tasks.formats import archives, dates, files
from tasks.formats.drafts import Degraded, Document, ProjectDraft, Skipped, TaskDraft, UnreadableFile, uid_of
from tasks.formats.entries import Entry, Uids, settled
from tasks.formats.todoist_dates import english, recurring

NAME, LABEL = "todoist-csv", "Todoist (CSV)"
MEDIA_TYPE, EXTENSION = "text/csv", "csv"
COLUMNS = (
    "TYPE", "CONTENT", "DESCRIPTION", "PRIORITY", "INDENT", "AUTHOR", "RESPONSIBLE", "DATE", "DATE_LANG", "TIMEZONE",
    "DURATION", "DURATION_UNIT", "DEADLINE", "DEADLINE_LANG",
)  # fmt: skip
PRIORITIES = {"1": "high", "2": "medium", "3": "low", "4": "low"}
MAX_INDENT = 5

_LABEL = re.compile(r"(?:^|(?<=\s))@(\S+)(?:\s+|$)")


def matches(start: bytes, name: str) -> bool:
    if archives.is_zip(start):
        return re.search(rb"PK\x03\x04.{26}[^/\x00]{1,200}\.csv", start, re.S) is not None
    try:
        line = files.decode(start.partition(b"\n")[0], Document(), windows=True)
    except UnreadableFile:
        return False
    return {"TYPE", "CONTENT", "PRIORITY", "INDENT"} <= {cell.strip(' "\r').upper() for cell in line.split(",")}


def read(data: bytes, zone: ZoneInfo) -> Document:
    document = Document()
    if not archives.is_zip(data):
        _Reader(document, zone, None).read(data, 0)
        return settled(document)
    found, others = archives.unpack(data, lambda name: name.lower().endswith(".csv"))
    document.degraded += [Degraded(0, "file", name, None) for name in others]
    document.warnings.append(f"Rows are counted through the files of the archive: {', '.join(found)}.")
    before = 0
    for name, content in found.items():
        project = re.sub(r" ?\[\d{1,20}\]$", "", PurePosixPath(name).stem) or name
        document.projects.append(ProjectDraft(row=before + 1, uid=uid_of(f"{NAME} project", name), name=project))
        try:
            before = _Reader(document, zone, document.projects[-1].uid).read(content, before)
        except UnreadableFile as error:
            raise UnreadableFile(error.message, ", ".join(filter(None, (name, error.place)))) from None
    return settled(document)


class _Reader:
    """Of one project: rows refer to those above them."""

    def __init__(self, document: Document, zone: ZoneInfo, project: str | None) -> None:
        self.document, self.zone, self.project = document, zone, project
        self.uids, self.section = Uids(f"{NAME} {project or ''}"), ""
        self.above: list[TaskDraft] = []  # the last task of each indent

    def read(self, data: bytes, before: int) -> int:
        """The number of the last row. Rows are counted on from `before`."""
        found = files.rows(files.decode(data, self.document, windows=True))
        header = [column.strip().upper() for column in next(found, (1, []))[1]]
        if not {"TYPE", "CONTENT"} <= set(header):
            raise UnreadableFile("The header has no TYPE and CONTENT.", "line 1")
        line = 1
        for line, cells in files.records(header, found):
            entry = Entry(before + line, cells, self.document)
            self._row(entry, entry.text("TYPE").strip().lower())
        return before + line

    def _row(self, entry: Entry, kind: str) -> None:
        if kind == "task":
            self._task(entry)
        elif kind == "section":
            self.section, self.above = entry.text("CONTENT"), []
            self._tell_rest(entry)
        elif kind == "note" and self.above:
            _add_note(self.above[-1], entry)
        elif kind in ("meta", ""):
            self._tell_rest(entry)
        else:
            reason = "A note without a task above it." if kind == "note" else f"There is no type {kind[:40]!r}."
            self.document.skipped.append(Skipped(entry.row, reason))

    def _tell_rest(self, entry: Entry) -> None:
        for name, value in entry.rest().items():
            entry.degrade(name, value)

    def _task(self, entry: Entry) -> None:
        indent, title = self._indent(entry), entry.title("CONTENT")
        tags = _LABEL.findall(title)
        if tags and (without := _LABEL.sub("", title).strip()):
            title = without
        parent = self.above[indent - 2] if indent > 1 else None
        due = self._due(entry)
        task = TaskDraft(
            row=entry.row,
            uid=self.uids.of(title, self.section, parent.uid if parent else ""),
            title=title,
            description=entry.text("DESCRIPTION"),
            parent=parent.uid if parent else None,
            project=self.project,
            tags=list(dict.fromkeys(tags)),
            priority=self._priority(entry),
            **due,
        )
        entry.keep("section", self.section)
        task.extra = entry.rest()
        self.above[indent - 1 :] = [task]
        self.document.tasks.append(task)

    def _indent(self, entry: Entry) -> int:
        text = str(entry.members.pop("INDENT", "1")).strip()
        indent = int(text) if re.fullmatch(r"\d{1,3}", text, re.A) else 0
        fitting = max(1, min(indent, len(self.above) + 1))
        if fitting != indent:
            entry.degrade("INDENT", text, str(fitting))
        return fitting

    def _priority(self, entry: Entry) -> str:
        text = entry.members.get("PRIORITY", "").strip()
        priority = entry.choice("PRIORITY", PRIORITIES, "medium")
        if text == "3":  # 3 and 4 are one of ours
            entry.keep("PRIORITY", text)
        return priority

    def _due(self, entry: Entry) -> dict[str, Any]:
        """English is certain; other languages, and dates from today on, are kept and told."""
        text, language = entry.members.get("DATE", ""), entry.members.get("DATE_LANG", "en").strip().lower()
        zone = dates.zone_named(entry.members.get("TIMEZONE", "").strip()) or self.zone
        if not text.strip():
            return {}
        if found := dates.loose(text, zone):
            return entry.due("DATE", found)
        series = recurring(text, zone, is_timed=False) if language in ("en", "") else None
        if series is None:
            entry.degrade("DATE", text)
            return {}
        due: dict[str, Any] = {"recurrence": series.recurrence}  # DATE stays in `extra`: it says more than the rule
        if series.due is not None:
            due["due_at" if isinstance(series.due, dt.datetime) else "due_date"] = series.due
        return due


def _add_note(task: TaskDraft, entry: Entry) -> None:
    """The first note is the description of a task that has none; the others, and what else they say, are kept."""
    if not task.description:
        task.description = entry.text("CONTENT")
    if rest := entry.rest():
        task.extra.setdefault("notes", []).append(rest)


# --- Writing ----------------------------------------------------------------------------------------

_WRITTEN = {"high": "1", "medium": "2", "low": "4"}


def write(projects: Iterable[ProjectDraft], tasks: Iterable[TaskDraft], zone: ZoneInfo) -> Iterator[bytes]:
    """One project, as that is what Todoist imports: each of ours is a section. Closed tasks are left out."""
    names = {project.uid: project.name for project in projects}
    yield from files.write_rows([list(COLUMNS)])
    yield from files.write_rows(_rows(tasks, names, zone))


def _rows(tasks: Iterable[TaskDraft], names: dict[str, str], zone: ZoneInfo) -> Iterator[list[str]]:
    project: str | None = None
    path: list[str] = []  # uids from the root to the last task
    for task in tasks:
        if task.status in ("completed", "cancelled"):  # a template has none
            continue
        if task.project != project:
            project, path = task.project, []
            yield _row(TYPE="section", CONTENT=names.get(project or "", ""))
        path = path[: path.index(task.parent) + 1] if task.parent in path else []
        path = [*path[: MAX_INDENT - 1], task.uid]
        labels = [f"@{'_'.join(tag.split())}" for tag in task.tags]
        yield _row(
            TYPE="task",
            CONTENT=" ".join([*task.title.split("\n"), *labels]),
            DESCRIPTION=task.description,
            PRIORITY=_WRITTEN[task.priority],
            INDENT=str(len(path)),
            DATE=_date(task, zone),
            DATE_LANG="en",
            TIMEZONE=zone.key,
        )


def _row(**cells: str) -> list[str]:
    return [cells.get(column, "") for column in COLUMNS]


def _date(task: TaskDraft, zone: ZoneInfo) -> str:
    local = task.due_at.astimezone(zone).isoformat(" ", "minutes") if task.due_at else str(task.due_date or "")
    every = english(task.recurrence) if task.recurrence else None
    if not every or not local:
        return local[:16]
    return f"{every} at {local[11:16]} starting {local[:10]}" if task.due_at else f"{every} starting {local}"
