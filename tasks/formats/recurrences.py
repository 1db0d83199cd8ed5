"""Recurrence as files say it: in one word, with what is left of a series, and after what a file has of it as closed."""

import re
from zoneinfo import ZoneInfo

from config.errors import Invalid
from tasks.formats import dates
from tasks.formats.drafts import TaskDraft
from tasks.recurrence import series

_COUNT = re.compile(r"COUNT=\d+", re.ASCII)


def text_of(recurrence: dict[str, str]) -> str:
    """In one word: the rule with our `X-FROM` and `X-ZONE`."""
    origin = ";X-FROM=completion" if recurrence.get("from") == "completion" else ""
    zone = f";X-ZONE={recurrence['zone']}" if recurrence.get("zone") else ""
    return "".join(recurrence["rule"].split()) + origin + zone


def from_now(recurrence: dict[str, str], zone: ZoneInfo) -> dict[str, str]:
    """What files say: `rule_from_now`, and a zone stands there if it is not the file's."""
    its_zone = recurrence.get("zone")
    found = {"rule": rule_from_now(recurrence), "from": recurrence.get("from") or "due"}
    return found | ({"zone": its_zone} if its_zone and its_zone != zone.key else {})


def rule_from_now(recurrence: dict[str, str]) -> str:
    """COUNT is what is left with the present due."""
    left = recurrence.get("left")
    return _COUNT.sub(f"COUNT={left}", recurrence["rule"]) if left else recurrence["rule"]


def parsed(text: str) -> dict[str, str]:
    """What `text_of` has written."""
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
    closed = [
        (dates.as_instant(done, zone), each.at) for each in task.completions if (done := each.due_at or each.due_date)
    ]
    if due is None or recurrence is None or not closed or max(closed)[0] < dates.as_instant(due, zone):
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
    task.due_date, task.due_at = dates.split_due(found.due)
    if found.series and found.series.left is not None:
        recurrence["rule"] = _COUNT.sub(f"COUNT={found.series.left}", recurrence["rule"])
