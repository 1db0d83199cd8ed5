"""Microsoft To Do, as Graph answers it: lists with their `tasks`, or the tasks of one list.

A due is a day, written as a moment: midnight where the user is, mostly in UTC. Zones have the names of Windows.
"""

import datetime as dt
import html
import re
from typing import Any
from zoneinfo import ZoneInfo

from tasks.formats import dates, files
from tasks.formats.drafts import Degraded, Document, ProjectDraft, TaskDraft, UnreadableFile, uid_of
from tasks.formats.entries import Entry, Uids, settled, step

NAME, LABEL = "ms-todo", "Microsoft To Do (Graph JSON)"
PRIORITIES = {"low": "low", "normal": "medium", "high": "high"}
STATUSES = {"notStarted": "pending", "inProgress": "in_progress", "completed": "completed"}

_DAYS = {name: name[:2].upper() for name in
         ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")}  # fmt: skip
_NTHS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
_TAG, _TAG_NAME = re.compile(r"(<[^<>]*>)"), re.compile(r"<(/?)([a-zA-Z0-9]+)[^<>]*>$")
_LONG_NUMBER = re.compile(r"&#[xX]?[0-9a-fA-F]{9,};?")  # no character, and too long for `int`
_HIDDEN, _BLOCKS = ("style", "script", "head", "title"), ("br", "p", "div", "li", "tr", "h1", "h2", "h3")
_CONTAINERS = ("value", "lists", "tasks")


def matches(start: bytes, name: str) -> bool:
    signs = (b"graph.microsoft.com", b'"wellknownListName"', b'"importance"', b'"checklistItems"', b'"dueDateTime"')
    return files.is_json(start) and sum(sign in start for sign in signs) >= 2


def read(data: bytes, zone: ZoneInfo) -> Document:
    document = Document()
    reader = _Reader(document, zone)
    reader.read(files.read_json(data, document))
    if not document.projects and not document.tasks and not reader.is_empty:
        raise UnreadableFile("It has neither lists nor tasks.")
    return settled(document)


class _Reader:
    def __init__(self, document: Document, zone: ZoneInfo) -> None:
        self.document, self.zone, self.uids, self.row = document, zone, Uids(NAME), 0
        self.is_empty = False  # a list without entries stands there

    def read(self, value: Any, project: str | None = None) -> None:
        """Lists, tasks, and pages of both (`value`); depth is bounded by that of the JSON."""
        if isinstance(value, list):
            self.is_empty = self.is_empty or not value
            for each in files.objects(value, "value"):
                self.read(each, project)
        elif not isinstance(value, dict):
            raise UnreadableFile("It is neither an object nor a list.")
        elif "displayName" in value:
            self._list(value)
        elif "title" in value:
            self._task(value, project)
        else:
            self._page(value, project)

    def _page(self, value: dict[str, Any], project: str | None) -> None:
        for name, each in value.items():
            if name in _CONTAINERS:
                self.read(each, project)
            elif each not in (None, "", [], {}):
                self.document.degraded.append(Degraded(self.row, name, each, None))

    def _entry(self, members: dict[str, Any]) -> Entry:
        self.row += 1
        return Entry(self.row, members, self.document)

    def _list(self, members: dict[str, Any]) -> None:
        entry = self._entry(members)
        key, name, tasks = entry.key("id"), entry.title("displayName"), entry.members.pop("tasks", [])
        uid = uid_of(f"{NAME} list", key) if key else self.uids.of("list", name)
        self.document.projects.append(ProjectDraft(row=entry.row, uid=uid, name=name, extra=entry.rest()))
        self.read(tasks, uid)

    def _task(self, members: dict[str, Any], project: str | None) -> None:
        entry = self._entry(members)
        key, title, due = entry.key("id"), entry.title("title"), self._day(entry, "dueDateTime")
        task = TaskDraft(
            row=entry.row,
            uid=uid_of(NAME, key) if key else self.uids.of(title, project or ""),
            title=title,
            description=_description(entry),
            project=project,
            status=entry.choice("status", STATUSES, "pending"),
            priority=entry.choice("importance", PRIORITIES, "medium"),
            tags=entry.texts("categories"),
            due_date=due,
            completed_at=self._moment(entry, "completedDateTime"),
            created_at=entry.instant("createdDateTime", self.zone),
            modified_at=entry.instant("lastModifiedDateTime", self.zone),
            recurrence=self._recurrence(entry),
        )
        self.document.tasks.append(task)
        for number, item in enumerate(entry.entries("checklistItems"), 1):
            self._step(task, number, Entry(entry.row, item, self.document))
        task.extra = entry.rest()

    def _step(self, task: TaskDraft, number: int, entry: Entry) -> None:
        key = entry.key("id")
        uid = uid_of(f"{task.uid} step", key) if key else self.uids.of(task.uid, str(number))
        child = step(task, number, uid, entry.text("displayName"), entry.flag("isChecked"))
        child.created_at = entry.instant("createdDateTime", self.zone)
        child.completed_at = entry.instant("checkedDateTime", self.zone)
        child.extra = entry.rest()
        self.document.tasks.append(child)

    def _day(self, entry: Entry, name: str) -> dt.date | None:
        """Midnight in the zone that is named is that day; any other time is midnight where the user was."""
        value = entry.members.get(name)
        text = value.get("dateTime") if isinstance(value, dict) else None
        day = dates.day(text) if isinstance(text, str) else None
        if isinstance(text, str) and not re.match(r"\d{4}-\d\d-\d\d(T00:00(:00(\.0+)?)?)?Z?$", text, re.A):
            moment = self._in_zone(entry, name)
            day = dates.local_day(moment, self.zone) if moment else None
        if day is None:
            if value:
                entry.degrade(name, value)
            return None
        self._take(entry, name)
        return day

    def _moment(self, entry: Entry, name: str) -> dt.datetime | None:
        moment = self._in_zone(entry, name)
        if moment is None:
            if value := entry.members.get(name):
                entry.degrade(name, value)
            return None
        self._take(entry, name)
        return moment

    def _in_zone(self, entry: Entry, name: str) -> dt.datetime | None:
        value = entry.members.get(name)
        if not isinstance(value, dict) or not isinstance(value.get("dateTime"), str):
            return None
        zone = dates.zone_by_any_name(str(value.get("timeZone") or "UTC"))
        if zone is None:
            entry.degrade(f"{name}/timeZone", value["timeZone"], self.zone.key)
        return dates.instant(value["dateTime"], zone or self.zone)

    def _take(self, entry: Entry, name: str) -> None:
        """The zone is kept, and what else is in it."""
        entry.keep(name, {key: value for key, value in entry.members.pop(name).items() if key != "dateTime"})

    def _recurrence(self, entry: Entry) -> dict[str, str] | None:
        """RRULE of the pattern and the range. What it does not need (where it starts, an unused day) is kept."""
        value = entry.members.get("recurrence")
        pattern, span = (value.get("pattern"), value.get("range")) if isinstance(value, dict) else (None, None)
        rule = _rule(pattern) if isinstance(pattern, dict) else None
        end = _end(span) if isinstance(span, dict) or span is None else None
        if rule is None or end is None:
            if value:
                entry.degrade("recurrence", value)
            return None
        zone = dates.zone_by_any_name(str((span or {}).get("recurrenceTimeZone") or ""))
        return {"rule": rule + end, "zone": (zone or self.zone).key}


def _rule(pattern: dict[str, Any]) -> str | None:
    kind, interval, days = pattern.get("type"), pattern.get("interval", 1), pattern.get("daysOfWeek") or []
    if not isinstance(interval, int) or interval < 1 or not isinstance(days, list):
        return None
    weekdays = [_DAYS.get(day) if isinstance(day, str) else None for day in days]
    by_day = ",".join(map(str, weekdays)) if weekdays and None not in weekdays else None
    first = _DAYS.get(str(pattern.get("firstDayOfWeek")), "SU")
    parts = {
        "daily": "",
        "weekly": (by_day and f";BYDAY={by_day};WKST={first}") if days else "",
        "absoluteMonthly": _month_day(pattern),
        "relativeMonthly": _nth(pattern, by_day),
        "absoluteYearly": _in_month(pattern, _month_day(pattern)),
        "relativeYearly": _in_month(pattern, _nth(pattern, by_day)),
    }.get(str(kind))
    if parts is None:
        return None
    frequency = str(kind).removeprefix("absolute").removeprefix("relative").upper()
    return f"FREQ={frequency}" + (f";INTERVAL={interval}" if interval > 1 else "") + parts


def _month_day(pattern: dict[str, Any]) -> str | None:
    """Months that lack the day have their last one instead."""
    day = pattern.get("dayOfMonth")
    if not isinstance(day, int) or not 1 <= day <= 31:
        return None
    if day < 29:
        return f";BYMONTHDAY={day}"
    return f";BYMONTHDAY={','.join(map(str, range(28, day + 1)))};BYSETPOS=-1"


def _nth(pattern: dict[str, Any], by_day: str | None) -> str | None:
    nth = _NTHS.get(str(pattern.get("index")))
    if nth is None or by_day is None:
        return None
    return f";BYDAY={by_day};BYSETPOS={nth}" if "," in by_day else f";BYDAY={nth}{by_day}"


def _in_month(pattern: dict[str, Any], parts: str | None) -> str | None:
    month = pattern.get("month")
    return f";BYMONTH={month}{parts}" if parts and isinstance(month, int) and 1 <= month <= 12 else None


def _end(span: dict[str, Any] | None) -> str | None:
    kind = (span or {}).get("type", "noEnd")
    if kind == "noEnd" or span is None:
        return ""
    if kind == "endDate" and (day := dates.day(str(span.get("endDate")))):
        return f";UNTIL={dates.basic(day)}"
    count = span.get("numberOfOccurrences")
    return f";COUNT={count}" if kind == "numbered" and isinstance(count, int) and count > 0 else None


def _description(entry: Entry) -> str:
    """The body. HTML becomes text, and is kept."""
    body = entry.entry("body")
    if body is None:
        return ""
    content = body.members.get("content")
    if not isinstance(content, str):
        entry.keep("body", body.rest())
        return ""
    if body.members.get("contentType") == "html":
        entry.keep("body", body.rest())
        return _text_of(content)
    entry.keep("body", {name: value for name, value in body.rest().items() if name != "content"})
    return content


def _text_of(content: str) -> str:
    """The text of HTML: blocks become lines. In linear time, as `html.parser` is not for what is hostile."""
    first, *others = content.split("<!--")
    parts: list[str] = []
    hidden: str | None = None
    for piece in _TAG.split(first + "".join(other.partition("-->")[2] for other in others)):
        tag = _TAG_NAME.match(piece)
        if tag is None:
            if hidden is None:
                parts.append(re.sub(r"\s+", " ", html.unescape(_LONG_NUMBER.sub("\ufffd", piece))))
        elif hidden is not None:
            hidden = None if tag[1] and tag[2].lower() == hidden else hidden
        elif not tag[1] and tag[2].lower() in _HIDDEN:
            hidden = tag[2].lower()
        elif not tag[1] and tag[2].lower() in _BLOCKS:
            parts.append("\n- " if tag[2].lower() == "li" else "\n")
    return re.sub(r"\n{3,}", "\n\n", "".join(parts)).strip()
