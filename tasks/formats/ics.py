"""iCalendar's to-dos, VTODO (RFC 5545), as calendar servers and task apps keep them.

A calendar with a name is a project. Overridden occurrences (RECURRENCE-ID) that are closed are completions of their
task, others are tasks of their own. A UID is the uid. Properties without a member are `extra`, by name and parameters.
Written are one calendar, and what iCalendar has no property for as `X-TICKBASE-…`. It cannot say fractions of seconds
and control characters, and a recurring to-do begins when it is due, as in other programs.
"""

import datetime as dt
import json
import re
from typing import Any
from zoneinfo import ZoneInfo

from tasks.formats import dates, files, ical, recurrences
from tasks.formats.dates import Moment
from tasks.formats.drafts import MAX_UID, Completed, Degraded, Document, ProjectDraft, Skipped, TaskDraft, uid_of
from tasks.formats.entries import Uids, settled
from tasks.formats.ical import Component, Line
from tasks.formats.ical_zones import Zones
from tasks.formats.ics_writing import (
    COMPLETION,
    PRIORITIES,
    PRODID,
    STATUSES,
    TEXTS,
    TIMES,
    priority_of,
)
from tasks.formats.ics_writing import write as write
from tasks.formats.ics_writing import write_feed as write_feed

NAME = "ics"
LABEL = "iCalendar (VTODO)"
MEDIA_TYPE = "text/calendar; charset=utf-8"
EXTENSION = "ics"

_EXCEPTIONS = ("EXDATE", "RDATE", "EXRULE", "RRULE")
_APPLE = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)  # the epoch of X-APPLE-SORT-ORDER
_HEAD = ("VERSION", "PRODID", "CALSCALE", "METHOD", "NAME", "X-WR-CALNAME")  # of a calendar
_TEXT = (str, type(None))
_MEMBERS: list[tuple[str, type | tuple[type, ...]]] = [
    ("uid", str), ("name", str), ("description", str), ("parent", _TEXT), ("position", _TEXT), ("color", _TEXT),
    ("archived", bool), ("extra", dict),
]  # fmt: skip
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")
_DURATION = re.compile(
    r"([+-]?)P(?:(\d{1,5})W|(?:(\d{1,5})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?)", re.ASCII
)


def matches(start: bytes, name: str) -> bool:
    return b"BEGIN:VCALENDAR" in start[:200].replace(b"\0", b"").upper()


# --- In ---------------------------------------------------------------------------------------------


def read(data: bytes, zone: ZoneInfo) -> Document:
    document = Document()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data or b"\n" not in data:
        data = files.decode_lines(data, document).encode()
    reader = _Reader(document, zone)
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"BEGIN:VTIMEZONE" in data.upper():  # which may stand after what needs them
        for _, component in ical.components(data):
            if component.name == "VTIMEZONE":
                reader.zones.define(component)
    for calendar, component in ical.components(data):
        reader.take(calendar, component)
    reader.take_overrides()
    settled(document)
    if any("X-APPLE-SORT-ORDER" in task.extra for task in document.tasks):
        document.tasks.sort(key=_apple_order)
    return document


class _Reader:
    def __init__(self, document: Document, zone: ZoneInfo) -> None:
        self.document, self.zone, self.zones = document, zone, Zones()
        self.row = 0
        self.calendar: Component | None = None
        self.project: str | None = None
        self.named: set[str] = set()  # uids of the projects that calendars are
        self.notes: set[str] = set()  # warnings
        self.tasks: dict[str, TaskDraft] = {}
        self.overrides: list[tuple[TaskDraft, Line]] = []
        self.uids = Uids(NAME)

    def take(self, calendar: Component, component: Component) -> None:
        if calendar is not self.calendar:
            self.calendar, self.project = calendar, self._project(calendar)
        if component is calendar or component.name == "VTIMEZONE":
            return
        self.row += 1
        files.check_count(self.row, "entry")
        if component.name == "VTODO":
            self._add(component, self.project)
        else:
            self.document.skipped.append(Skipped(self.row, f"{component.name[:40]} is no to-do."))

    def _project(self, calendar: Component) -> str | None:
        """The uid of the project that a named calendar is."""
        if calendar.value("PRODID") == PRODID:
            values = (line.value for line in calendar.lines if line.name == "X-TICKBASE-PROJECT")
            self.document.projects.extend(project for value in values if (project := self._ours(value)))
            return None
        name = ical.unescaped(calendar.value("X-WR-CALNAME") or calendar.value("NAME") or "").strip()
        rest = {line.key: line.value for line in calendar.lines if line.name not in _HEAD}
        if not name:
            note = f"Not kept of a calendar without a name: {', '.join(rest)[:200]}."
            if rest and note not in self.notes:
                self.notes.add(note)
                self.document.warnings.append(note)
            return None
        project = ProjectDraft(self.row + 1, uid_of(NAME, f"calendar\x1f{name}"), name=name, extra=rest)
        if color := _COLOR.match(rest.get("X-APPLE-CALENDAR-COLOR") or rest.get("COLOR") or ""):
            project.color = color[0].lower()
        if project.uid not in self.named:
            self.named.add(project.uid)
            self.document.projects.append(project)
        return project.uid

    def _ours(self, value: str) -> ProjectDraft | None:
        try:
            members: dict[str, Any] = json.loads(ical.unescaped(value))
            members |= {name: dt.datetime.fromisoformat(members[name]) for name in TIMES if name in members}
            project = ProjectDraft(self.row + 1, **members)
        except (ValueError, TypeError, RecursionError):
            project = None
        is_sound = project and all(isinstance(getattr(project, name), kinds) for name, kinds in _MEMBERS)
        if is_sound and not files.is_deeper(members, 7):
            return project
        self.document.degraded.append(Degraded(self.row + 1, "X-TICKBASE-PROJECT", value[:200], None))
        return None

    def _add(self, component: Component, project: str | None) -> None:
        todo = _Todo(self, component)
        task = todo.draft()
        task.project = task.project or project
        override = next((line for line in component.lines if line.name == "RECURRENCE-ID"), None)
        if override:
            self.overrides.append((task, override))
        elif task.uid in self.tasks:
            self.document.skipped.append(Skipped(self.row, f"{task.uid[:100]} stands there twice."))
        else:
            self.tasks[task.uid] = task
            self.document.tasks.append(task)

    def uid(self, component: Component) -> str:
        uid = ical.unescaped(component.value("UID") or "").strip()
        if not uid:
            content = "\n".join(f"{line.key}:{line.value}" for line in component.lines)
            uid = self.uids.of(content)
        return uid if len(uid) <= MAX_UID else uid_of(NAME, uid)

    def moment(self, line: Line) -> tuple[Moment, str | None]:
        """With the name of its zone, if it has one. Raises ValueError."""
        name = line.parameters.get("TZID")
        zone = self.zones.known(name) if name else None
        found = dates.moment(line.value.strip(), self.zone)
        if isinstance(found, dt.datetime) and zone and not line.value.endswith("Z"):
            found = dates.in_utc(dt.datetime.fromisoformat(line.value.strip()), zone)
        if name and not zone:
            self.document.degraded.append(Degraded(self.row, f"{line.name};TZID", name, self.zone.key))
        return found, zone.key if isinstance(zone, ZoneInfo) else None

    def take_overrides(self) -> None:
        advanced: dict[str, TaskDraft] = {}
        for task, line in self.overrides:
            series = self.tasks.get(task.uid)
            if series and series.recurrence and task.status in ("completed", "cancelled"):
                self._complete(series, task, line)
                advanced[series.uid] = series
                continue
            if series:
                task.uid = uid_of(NAME, f"{task.uid}\x1f{line.value}")
            if task.uid not in self.tasks:
                self.tasks[task.uid] = task
                self.document.tasks.append(task)
            else:
                self.document.skipped.append(Skipped(task.row, f"{task.uid[:100]} stands there twice."))
        for series in advanced.values():
            recurrences.advance(series, self.zone)

    def _complete(self, series: TaskDraft, task: TaskDraft, line: Line) -> None:
        try:
            due, _ = self.moment(line)
            at = task.completed_at or task.modified_at or dates.as_instant(due, self.zone)
        except ValueError:
            self.document.degraded.append(Degraded(task.row, line.name, line.value, None))
            return
        skipped = task.status == "cancelled"
        series.completions.append(Completed(at, *dates.split_due(due), skipped=skipped))
        to = f"{'a skipped occurrence' if skipped else 'a completion'} of {series.uid}"
        self.document.degraded.append(Degraded(task.row, line.name, line.value, to))


class _Todo:
    """One VTODO: members are taken from its lines, the rest lands in `extra`."""

    def __init__(self, reader: _Reader, component: Component) -> None:
        self.reader, self.component = reader, component
        self.task = TaskDraft(reader.row, reader.uid(component))
        self.lines: dict[str, list[Line]] = {}
        for line in component.lines:
            self.lines.setdefault(line.name, []).append(line)
        self.lines.pop("UID", None)

    def draft(self) -> TaskDraft:
        task = self.task
        task.title, task.description = self._text("SUMMARY"), self._text("DESCRIPTION")
        task.position = self._text("X-TICKBASE-POSITION") or None
        task.project = self._text("X-TICKBASE-PROJECT-UID") or None
        task.created_at, task.modified_at = self._instant("CREATED"), self._instant("LAST-MODIFIED")
        self._take_status()
        self._take_priority()
        tags = [tag for line in self.lines.pop("CATEGORIES", []) for tag in ical.split(line.value)]
        task.tags = list(dict.fromkeys(tags))
        self._take_recurrence(self._take_due())
        self._take_parent()
        for line in self.lines.pop(COMPLETION, []):
            self._take_completion(line)
        self._take_rest()
        return task

    def degrade(self, name: str, value: Any, to: Any = None) -> None:
        self.reader.document.degraded.append(Degraded(self.task.row, name, value, to))

    def _take(self, name: str) -> Line | None:
        lines = self.lines.get(name)
        if not lines:
            return None
        line = lines.pop(0)
        if not lines:
            del self.lines[name]
        return line

    def _put(self, line: Line) -> None:
        """Into `extra`; a list if the property stands there several times."""
        extra, value = self.task.extra, ical.unescaped(line.value) if line.name in TEXTS else line.value
        if line.key not in extra:
            extra[line.key] = value
        elif isinstance(extra[line.key], list):
            extra[line.key].append(value)
        else:
            extra[line.key] = [extra[line.key], value]

    def _text(self, name: str) -> str:
        line = self._take(name)
        return ical.unescaped(line.value) if line else ""

    def _moment(self, name: str) -> tuple[Moment | None, str | None]:
        line = self._take(name)
        if line is None:
            return None, None
        try:
            return self.reader.moment(line)
        except ValueError:
            self._put(line)
            self.degrade(name, line.value)
            return None, None

    def _instant(self, name: str) -> dt.datetime | None:
        found, _ = self._moment(name)
        try:
            return dates.as_instant(found, self.reader.zone) if found else None
        except ValueError:
            self.degrade(name, str(found))
            return None

    def _take_status(self) -> None:
        task, line, percent = self.task, self._take("STATUS"), self.lines.get("PERCENT-COMPLETE")
        completed_at = self._instant("COMPLETED")
        done = percent[0].value.strip() if percent else "0"
        said = line.value.strip().upper() if line else ""
        if said in STATUSES:
            task.status = STATUSES[said]
        elif completed_at or done == "100":
            task.status = "completed"
        elif done.isdecimal() and done.strip("0"):
            task.status = "in_progress"
        if line and said not in STATUSES:
            self.degrade("STATUS", line.value, task.status)
        if task.status == "completed":
            task.completed_at = completed_at
            if done == "100":
                self._take("PERCENT-COMPLETE")
        elif completed_at:
            self.degrade("COMPLETED", completed_at.isoformat())

    def _take_priority(self) -> None:
        """1 is the highest, 0 none."""
        line = self._take("PRIORITY")
        said = line.value.strip() if line else "0"
        if not re.fullmatch("[0-9]", said):
            self.degrade("PRIORITY", said, "medium")
            said = "0"
        self.task.priority = priority_of(int(said))
        if said not in ("0", PRIORITIES[self.task.priority]):
            self.task.extra["PRIORITY"] = int(said)

    def _take_due(self) -> str | None:
        """Sets the due; answers its zone. DTSTART stays, unless it says no more."""
        due, zone = self._moment("DUE")
        start_line, duration = self.lines.get("DTSTART", [None])[0], self.lines.get("DURATION")
        if start_line and (due is None or "RRULE" in self.lines):
            start, start_zone = self._moment("DTSTART")
            if due is None and start and duration:
                due, zone = self._after(start, duration[0]), start_zone
            elif due is None and start and "RRULE" in self.lines:
                due, zone = start, start_zone
            if start and start != due:
                self._put(start_line)
                if "RRULE" in self.lines:
                    self.degrade("DTSTART", start_line.value)
        if due:
            self.task.due_date, self.task.due_at = dates.split_due(due)
        return zone

    def _after(self, start: Moment, line: Line) -> Moment | None:
        found = _DURATION.fullmatch(line.value.strip())
        if not found or found[1] == "-":
            return None
        weeks, days, hours, minutes, seconds = (int(each or 0) for each in found.groups()[1:])
        try:
            due = start + dt.timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        except OverflowError:
            return None
        self._take("DURATION")
        return due

    def _take_recurrence(self, due_zone: str | None) -> None:
        line, zone = self._take("RRULE"), self._text("X-TICKBASE-ZONE") or due_zone
        origin = "completion" if self._text("X-TICKBASE-FROM") == "completion" else "due"
        has_due = self.task.due_date or self.task.due_at
        if line and has_due:
            self.task.recurrence = {"rule": line.value.strip().upper(), "from": origin} | (
                {"zone": zone} if zone else {}
            )
        elif line:
            self._put(line)
            self.degrade("RRULE", line.value)
        for name in _EXCEPTIONS:
            for each in self.lines.get(name, []):  # kept, but nothing counts with it
                self.degrade(name, each.value)

    def _take_parent(self) -> None:
        lines = self.lines.get("RELATED-TO", [])
        parent = next((line for line in lines if line.parameters.get("RELTYPE", "PARENT").upper() == "PARENT"), None)
        if parent:
            lines.remove(parent)
            self.task.parent = ical.unescaped(parent.value.strip()) or None

    def _take_completion(self, line: Line) -> None:
        parameters = line.parameters
        try:
            at = dates.as_instant(dates.moment(line.value, self.reader.zone), self.reader.zone)
            due = dates.moment(parameters["X-DUE"], self.reader.zone) if "X-DUE" in parameters else None
        except ValueError:
            self._put(line)
            self.degrade(line.name, line.value)
            return
        day, time = dates.split_due(due) if due else (None, None)
        self.task.completions.append(Completed(at, day, time, skipped="X-SKIPPED" in parameters))

    def _take_rest(self) -> None:
        stamp = self.lines.get("DTSTAMP", [None])[0]
        if stamp and stamp.value.strip() == dates.basic(self.task.stamp):
            self._take("DTSTAMP")
        for lines in self.lines.values():
            for line in lines:
                self._put(line)
        alarms = [child for child in self.component.children if child.name == "VALARM"]
        if alarms:
            self.task.extra["VALARM"] = [[f"{line.key}:{line.value}" for line in alarm.lines] for alarm in alarms]
        others = [child for child in self.component.children if child.name != "VALARM"]
        for child in [*others, *(inner for alarm in alarms for inner in alarm.children)]:
            self.degrade(child.name[:40], "a component")
        for text in (text for each in (self.component, *alarms) for text in each.broken):
            self.degrade(text[:40], text[:200])


def _apple_order(task: TaskDraft) -> int:
    """Seconds since 2001, by default of the creation."""
    said = str(task.extra.get("X-APPLE-SORT-ORDER", ""))
    if re.fullmatch(r"-?\d{1,18}", said, re.ASCII):
        return int(said)
    return int((task.created_at - _APPLE).total_seconds()) if task.created_at else 0
