"""What the text formats share: decoding, dates and times, cycles of parents."""

import datetime as dt
import re
from typing import Any
from zoneinfo import ZoneInfo

from config.errors import Invalid
from tasks.formats.drafts import Degraded, Document, TaskDraft, UnreadableFile
from tasks.recurrence import series

MAX_TASKS = 200_000
Moment = dt.date | dt.datetime

# Of ISO 8601, extended or basic. `fromisoformat` takes week dates as well, which none of these formats has.
_MOMENT = re.compile(r"\d{4}-?\d\d-?\d\d([T ]\d\d:?\d\d(:?\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d(:?\d\d)?)?)?", re.ASCII)

_COUNT = re.compile(r"COUNT=\d+", re.ASCII)


def decode(data: bytes, document: Document) -> str:
    """UTF-8, or UTF-16 with its byte order mark; lines end with LF. Raises UnreadableFile."""
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableFile("The file is not UTF-8.", f"line {line}") from error
    if "\0" in text:  # which PostgreSQL stores nowhere
        document.warnings.append("NUL characters are replaced by U+FFFD.")
        text = text.replace("\0", "\ufffd")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check_count(row: int, noun: str) -> None:
    """Raises UnreadableFile for more tasks than the memory is meant for."""
    if row > MAX_TASKS:
        raise UnreadableFile(f"A file has up to {MAX_TASKS:,} tasks.", f"{noun} {row}")


def moment(text: str, zone: ZoneInfo) -> Moment:
    """A day, or an instant in UTC: without an offset it is of `zone`. Raises ValueError."""
    if not _MOMENT.fullmatch(text):
        raise ValueError("no date or time")
    if len(text) <= 10:
        return dt.date.fromisoformat(text)
    return instant(dt.datetime.fromisoformat(text), zone)


def instant(wall: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """In UTC. A wall clock in a gap moves forward, in a fold it is the first. Raises ValueError beyond the calendar."""
    try:
        return (wall if wall.tzinfo else wall.replace(tzinfo=zone)).astimezone(dt.UTC)
    except OverflowError as error:
        raise ValueError("beyond the calendar") from error


def midnight(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """The instant at which a day begins."""
    return instant(dt.datetime.combine(day, dt.time.min), zone)


def as_instant(found: Moment, zone: ZoneInfo) -> dt.datetime:
    return found if isinstance(found, dt.datetime) else midnight(found, zone)


def local(at: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """The wall clock; that of UTC at either end of the calendar."""
    try:
        return at.astimezone(zone)
    except OverflowError:
        return at


def take_due(task_due: Moment) -> tuple[dt.date | None, dt.datetime | None]:
    """As `due_date` and `due_at`."""
    return (None, task_due) if isinstance(task_due, dt.datetime) else (task_due, None)


def recurrence_text(recurrence: dict[str, str]) -> str:
    """In one word: the rule with our `X-FROM` and `X-ZONE`."""
    origin = ";X-FROM=completion" if recurrence.get("from") == "completion" else ""
    zone = f";X-ZONE={recurrence['zone']}" if recurrence.get("zone") else ""
    return "".join(recurrence["rule"].split()) + origin + zone


def series_from_now(recurrence: dict[str, str], zone: ZoneInfo) -> dict[str, str]:
    """What files say: `rule_from_now`, and a zone stands there if it is not the file's."""
    its_zone = recurrence.get("zone")
    found = {"rule": rule_from_now(recurrence), "from": recurrence.get("from") or "due"}
    return found | ({"zone": its_zone} if its_zone and its_zone != zone.key else {})


def rule_from_now(recurrence: dict[str, str]) -> str:
    """COUNT is what is left with the present due."""
    left = recurrence.get("left")
    return _COUNT.sub(f"COUNT={left}", recurrence["rule"]) if left else recurrence["rule"]


def recurrence_of(text: str) -> dict[str, str]:
    parts = text.split(";")
    recurrence = {"rule": ";".join(part for part in parts if not part.startswith("X-")), "from": "due"}
    for part in parts:
        if part == "X-FROM=completion":
            recurrence["from"] = "completion"
        elif part.startswith("X-ZONE="):
            recurrence["zone"] = part.removeprefix("X-ZONE=")
    return recurrence


def advance(task: TaskDraft, zone: ZoneInfo) -> None:
    """To the occurrence after the last one that is closed, if the due is not later; without one the task is closed."""
    due, recurrence = task.due_at or task.due_date, task.recurrence
    closed = [(as_instant(done, zone), each.at) for each in task.completions if (done := each.due_at or each.due_date)]
    if due is None or recurrence is None or not closed or max(closed)[0] < as_instant(due, zone):
        return
    last, at = max(closed)
    try:
        its_zone = ZoneInfo(recurrence.get("zone") or zone.key)
        found = series.skip(series.start(recurrence["rule"], its_zone, due), due, last)
    except (Invalid, ValueError):  # a rule that the import refuses
        return
    if found.due is None:
        task.status, task.completed_at = "completed", at
        return
    task.due_date, task.due_at = take_due(found.due)
    if found.series and found.series.left is not None:
        recurrence["rule"] = _COUNT.sub(f"COUNT={found.series.left}", recurrence["rule"])


def is_shallow(value: Any, levels: int) -> bool:
    """Whether lists and objects stand in each other up to that deep."""
    if not isinstance(value, list | dict):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(is_shallow(each, levels - 1) for each in inner)


def cut_cycles(document: Document) -> None:
    """Makes a root of the first task of each circle of parents, and says so."""
    tasks = {task.uid: task for task in document.tasks}
    settled: set[str] = set()
    for task in document.tasks:
        path: dict[str, None] = {}
        uid: str | None = task.uid
        while uid is not None and uid in tasks and uid not in settled:
            if uid in path:
                looped = tasks[uid]
                document.degraded.append(Degraded(looped.row, "parent", looped.parent, None))
                looped.parent = None
                break
            path[uid] = None
            uid = tasks[uid].parent
        settled |= set(path)
