"""Drafts as iCalendar's to-dos; and the calendar of dues, whose entries are events.

Calendar apps do not show to-dos of a calendar that they subscribe to (Google, Outlook and Apple's Calendar leave them
out), so that the feed of dues has events: all-day ones, or at an instant, which do not make their day busy.
"""

import datetime as dt
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from zoneinfo import ZoneInfo

from tasks.formats import dates, ical, recurrences
from tasks.formats.drafts import ProjectDraft, TaskDraft
from tasks.formats.ical import escaped
from tasks.formats.ical_zones import definition

PRODID = "-//Tickbase//Tickbase//EN"
TITLE = "Tickbase"
STATUSES = {
    "NEEDS-ACTION": "pending", "IN-PROCESS": "in_progress", "COMPLETED": "completed", "CANCELLED": "cancelled",
}  # fmt: skip
PRIORITIES = {"high": "1", "medium": "0", "low": "9"}  # 0 is none
TEXTS = ("LOCATION", "COMMENT", "CONTACT")  # unescaped in `extra`
COMPLETION = "X-TICKBASE-COMPLETION"
TIMES = ("created_at", "modified_at", "archived_at")  # of projects

_STATUS_OF = {ours: status for status, ours in STATUSES.items()}
# Properties that the members say.
_SAID = {
    "UID", "CREATED", "LAST-MODIFIED", "SUMMARY", "DESCRIPTION", "STATUS", "COMPLETED", "PRIORITY", "CATEGORIES", "DUE",
    "DURATION", "RRULE", "DTSTAMP", "DTSTART", "BEGIN", "END", "VALARM",
}  # fmt: skip
# Those that a to-do may have beside, and their values.
_VALUES = dict.fromkeys(
    ["ATTACH", "ATTENDEE", "CLASS", "COLOR", "COMMENT", "CONFERENCE", "CONTACT", "IMAGE", "LOCATION", "ORGANIZER",
     "RELATED-TO", "REQUEST-STATUS", "RESOURCES", "URL"], ".*"
)  # fmt: skip
_VALUES |= {"GEO": r"-?\d{1,3}(\.\d+)?;-?\d{1,3}(\.\d+)?", "SEQUENCE": r"\d{1,9}", "PERCENT-COMPLETE": r"\d\d?|100"}
_MOMENTS = ("EXDATE", "RDATE", "RECURRENCE-ID")
_STAMP = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)
_UNTIL = re.compile(r"(?<=;UNTIL=)(\d{8})(T\d{6})?Z?", re.ASCII)


def write(projects: Iterable[ProjectDraft], tasks: Iterable[TaskDraft], zone: ZoneInfo) -> Iterator[bytes]:
    lines = [f"X-TICKBASE-PROJECT:{escaped(_json(project))}" for project in projects]
    yield from _calendar([f"NAME:{TITLE}", f"X-WR-CALNAME:{TITLE}", *lines], "VTODO", tasks, zone)


def write_feed(name: str, tasks: Iterable[TaskDraft], zone: ZoneInfo) -> Iterator[bytes]:
    """The dues of open tasks as a calendar to subscribe to."""
    title = escaped(name)
    lines = ["METHOD:PUBLISH", f"NAME:{title}", f"X-WR-CALNAME:{title}", f"X-WR-TIMEZONE:{zone.key}"]
    lines += ["REFRESH-INTERVAL;VALUE=DURATION:PT1H", "X-PUBLISHED-TTL:PT1H"]
    dues = (task for task in tasks if _has_due(task) and task.status in ("pending", "in_progress"))
    yield from _calendar(lines, "VEVENT", dues, zone)


def _calendar(lines: list[str], name: str, tasks: Iterable[TaskDraft], zone: ZoneInfo) -> Iterator[bytes]:
    begin = ["BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:{PRODID}", "CALSCALE:GREGORIAN", *lines]
    yield b"".join(map(ical.folded, begin))
    defined: set[str] = set()
    for task in tasks:
        written = [*(_todo(task, zone) if name == "VTODO" else _event(task, zone))]
        for used in {name for line in written if ";TZID=" in line for name in ical.zone_names(line)} - defined:
            defined.add(used)
            if known := dates.zone_by_any_name(used):
                yield definition(known, used)
        yield ical.component(name, written)
    yield b"END:VCALENDAR\r\n"


def _json(project: ProjectDraft) -> str:
    members = {name: value for name, value in asdict(project).items() if name != "row" and value}
    members |= {name: members[name].isoformat() for name in TIMES if name in members}
    return json.dumps(members, ensure_ascii=False)


def _todo(task: TaskDraft, zone: ZoneInfo) -> Iterator[str]:
    yield from _common(task)
    yield f"STATUS:{_STATUS_OF[task.status]}"
    if task.status == "completed":
        yield "PERCENT-COMPLETE:100"
    if task.completed_at:
        yield f"COMPLETED:{dates.basic(task.completed_at)}"
    priority = str(task.extra.get("PRIORITY", ""))
    if not re.fullmatch("[1-9]", priority) or priority_of(int(priority)) != task.priority:
        priority = PRIORITIES[task.priority]
    if priority != "0":
        yield f"PRIORITY:{priority}"
    if _has_due(task):
        due = _due(task, zone)
        # RRULE needs DTSTART, which programs that show to-dos take at the due; a due is later, says RFC 5545.
        yield from [f"DTSTART{due}", _rule(task, zone)] if task.recurrence else _start(task, zone)
        yield f"DUE{due}"
    else:
        yield from _start(task, zone)
    yield from _ours(task, zone)
    yield from _extra(task)


def _event(task: TaskDraft, zone: ZoneInfo) -> Iterator[str]:
    yield from _common(task)
    yield "TRANSP:TRANSPARENT"
    yield f"DTSTART{_due(task, zone)}"
    if task.recurrence and task.recurrence.get("from") != "completion":  # whose next due nobody knows
        yield _rule(task, zone)


def _common(task: TaskDraft) -> Iterator[str]:
    said = str(task.extra.get("DTSTAMP", ""))
    yield f"UID:{escaped(task.uid)}"
    yield f"DTSTAMP:{said if _STAMP.fullmatch(said) else dates.basic(task.stamp)}"
    if task.created_at:
        yield f"CREATED:{dates.basic(task.created_at)}"
    if task.modified_at:
        yield f"LAST-MODIFIED:{dates.basic(task.modified_at)}"
    yield f"SUMMARY:{escaped(task.title)}"
    if task.description:
        yield f"DESCRIPTION:{escaped(task.description)}"
    if task.tags:
        yield f"CATEGORIES:{','.join(map(escaped, task.tags))}"


def _ours(task: TaskDraft, zone: ZoneInfo) -> Iterator[str]:
    if task.parent:
        yield f"RELATED-TO:{escaped(task.parent)}"
    for name, value in (("PROJECT-UID", task.project), ("POSITION", task.position)):
        if value:
            yield f"X-TICKBASE-{name}:{escaped(value)}"
    recurrence = task.recurrence or {}
    if recurrence.get("from") == "completion":
        yield "X-TICKBASE-FROM:completion"
    if recurrence.get("zone") and ";TZID=" not in _due(task, zone):
        yield f"X-TICKBASE-ZONE:{escaped(recurrence['zone'])}"
    for done in task.completions:
        occurrence = done.due_at or done.due_date
        due = f";X-DUE={dates.basic(occurrence)}" if occurrence else ""
        yield f"{COMPLETION}{due}{';X-SKIPPED=TRUE' if done.skipped else ''}:{dates.basic(done.at)}"


def _extra(task: TaskDraft) -> Iterator[str]:
    for key, value in task.extra.items():
        name = key.partition(";")[0]
        if name in _SAID or (name == "PERCENT-COMPLETE" and task.status == "completed") or not ical.is_key(key):
            continue
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str | int) and _is_sound(ical.Line(name, key, str(each))):
                yield f"{key}:{escaped(str(each)) if name in TEXTS else each}"
    alarms = task.extra.get("VALARM")
    for alarm in alarms if isinstance(alarms, list) else []:
        if ical.is_alarm(alarm):
            yield from ["BEGIN:VALARM", *alarm, "END:VALARM"]


def _is_sound(line: ical.Line) -> bool:
    """Whether strict programs read a value of `extra`: many refuse the whole calendar for one that is none."""
    kind, value = line.parameters.get("VALUE", "").upper(), line.value
    if line.name in _MOMENTS:
        return kind in ("", "DATE", "DATE-TIME") and all(map(_is_moment, value.split(",")))
    if kind == "BINARY" or "ENCODING" in line.parameters:
        return len(value) % 4 == 0 and _BASE64.fullmatch(value) is not None
    if kind not in ("", "TEXT", "URI") or not value:
        return False
    pattern = _VALUES.get(line.name)
    return line.name.startswith("X-") or (pattern is not None and re.fullmatch(pattern, value, re.ASCII) is not None)


def _is_moment(text: str) -> bool:
    try:
        dates.moment(text, ZoneInfo("UTC"))
    except ValueError:
        return False
    return len(text) in (8, 15, 16)


def _start(task: TaskDraft, zone: ZoneInfo) -> Iterator[str]:
    """The DTSTART that was read, if it still is before the due, and of its kind."""
    for key, value in task.extra.items():
        if not (key.partition(";")[0] == "DTSTART" and isinstance(value, str) and ical.is_key(key)):
            continue
        if not _is_moment(value):
            continue
        start = dates.moment(value, zone)
        due = task.due_at or task.due_date or start
        if isinstance(start, dt.datetime) == isinstance(due, dt.datetime) and start <= due:
            yield f"{key}:{value}"
        return


def _has_due(task: TaskDraft) -> bool:
    return task.due_date is not None or task.due_at is not None


def _due(task: TaskDraft, zone: ZoneInfo) -> str:
    """With its parameters. A series counts by the wall clock of its zone."""
    if task.due_at is None:
        return f";VALUE=DATE:{dates.basic(task.due_date)}" if task.due_date else ""
    key = (task.recurrence or {}).get("zone")
    if key and (known := dates.zone_by_any_name(key)) and known.key == key:
        wall = dates.local(task.due_at, known).replace(microsecond=0, tzinfo=None, fold=0)
        if dates.in_utc(wall, known) == task.due_at.replace(microsecond=0):  # not the second one of a fold
            return f";TZID={ical.quoted(key)}:{dates.basic(wall)}"
    return f":{dates.basic(task.due_at)}"


def _rule(task: TaskDraft, zone: ZoneInfo) -> str:
    """UNTIL is a day where the due is one, else in UTC (RFC 5545, section 3.3.10)."""
    recurrence = task.recurrence or {}
    its_zone = dates.zone_by_any_name(recurrence.get("zone") or "") or zone

    def until(found: re.Match[str]) -> str:
        if task.due_at is None:
            return found[1]
        if found[0].endswith("Z"):
            return found[0]
        try:
            return dates.basic(dates.in_utc(dt.datetime.fromisoformat(f"{found[1]}{found[2] or 'T235959'}"), its_zone))
        except ValueError:
            return found[0]

    rule = recurrences.from_now(recurrence, zone)["rule"]
    return f"RRULE:{_UNTIL.sub(until, ''.join(rule.split()))}"


def priority_of(number: int) -> str:
    return "high" if 1 <= number <= 4 else "low" if number >= 6 else "medium"
