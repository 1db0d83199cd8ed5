"""Taskwarrior's `recur`: words, durations and ISO 8601 periods, to rules and back; and the instances of a template."""

import datetime as dt
import re
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from tasks.formats import dates, files
from tasks.formats.drafts import Completed

WEEKDAYS = "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"

_WORDS = {
    "hourly": ("HOURLY", 1), "hour": ("HOURLY", 1),
    "daily": ("DAILY", 1), "day": ("DAILY", 1),
    "weekly": ("WEEKLY", 1), "week": ("WEEKLY", 1), "sennight": ("WEEKLY", 1),
    "biweekly": ("WEEKLY", 2), "fortnight": ("WEEKLY", 2),
    "monthly": ("MONTHLY", 1), "month": ("MONTHLY", 1), "bimonthly": ("MONTHLY", 2), "quarterly": ("MONTHLY", 3),
    "quarter": ("MONTHLY", 3), "semiannual": ("MONTHLY", 6),
    "annual": ("YEARLY", 1), "yearly": ("YEARLY", 1), "year": ("YEARLY", 1),
    "biannual": ("YEARLY", 2), "biyearly": ("YEARLY", 2),
}  # fmt: skip
_UNITS = [
    (re.compile(r"h|hrs?|hours?"), "HOURLY", 1, True),
    (re.compile(r"d|days?"), "DAILY", 1, True),
    (re.compile(r"w|wks?|weeks?"), "WEEKLY", 1, True),
    (re.compile(r"m"), "MONTHLY", 1, True),
    # Taskwarrior counts 30 and 365 days for these, which is not what people mean.
    (re.compile(r"mos?|mths?|mnths?|mons?|months?"), "MONTHLY", 1, False),
    (re.compile(r"q|qtrs?|qrtrs?|quarters?"), "MONTHLY", 3, False),
    (re.compile(r"y|yrs?|years?"), "YEARLY", 1, False),
]
_DURATION = re.compile(r"([1-9]\d{0,3}) ?([a-z]+)", re.ASCII)
_PERIOD = re.compile(
    r"P(?:(?:([1-9]\d{0,3})Y)?(?:([1-9]\d{0,3})M)?|([1-9]\d{0,3})W|([1-9]\d{0,3})D)|PT([1-9]\d{0,3})H", re.ASCII
)
_PLAIN = re.compile(r"FREQ=(HOURLY|DAILY|WEEKLY|MONTHLY|YEARLY)(?:.*?;INTERVAL=(\d{1,3})(?!\d))?.*", re.ASCII)
_FORMS = {"HOURLY": "PT{}H", "DAILY": "P{}D", "WEEKLY": "P{}W", "MONTHLY": "P{}M", "YEARLY": "P{}Y"}
_NAMES = {
    ("HOURLY", 1): "hourly", ("DAILY", 1): "daily", ("WEEKLY", 1): "weekly", ("MONTHLY", 1): "monthly",
    ("YEARLY", 1): "yearly", ("MONTHLY", 3): "quarterly",
}  # fmt: skip


class Found(NamedTuple):
    rule: str
    is_exact: bool = True


def rule(text: str) -> Found | None:
    if text == "weekdays":
        return Found(WEEKDAYS)
    if text in _WORDS:
        return Found(_rule(*_WORDS[text]))
    if period := _PERIOD.fullmatch(text):
        years, months, weeks, days, hours = (int(each or 0) for each in period.groups())
        if months:
            return Found(_rule("MONTHLY", 12 * years + months))
        counts = [("YEARLY", years), ("WEEKLY", weeks), ("DAILY", days), ("HOURLY", hours)]
        return next((Found(_rule(frequency, count)) for frequency, count in counts if count), None)
    duration = _DURATION.fullmatch(text)
    for names, frequency, factor, is_exact in _UNITS if duration else ():
        if duration and names.fullmatch(duration[2]):
            return Found(_rule(frequency, int(duration[1]) * factor), is_exact)
    return None


def until(text: str, end: object) -> str:
    """The rule with the end of a template, which Taskwarrior takes for its last moment."""
    try:
        last = dates.moment(end, ZoneInfo("UTC")) if isinstance(end, str) else None
    except ValueError:
        last = None
    return f"{text};UNTIL={last:%Y%m%dT%H%M%SZ}" if last else text


def word(text: str) -> str:
    """The nearest `recur` of a rule."""
    if text == WEEKDAYS:
        return "weekdays"
    plain = _PLAIN.fullmatch(text)
    frequency, interval = (plain[1], int(plain[2] or 1)) if plain else ("DAILY", 1)
    return _NAMES.get((frequency, interval)) or _FORMS[frequency].format(interval)


def _rule(frequency: str, interval: int) -> str:
    return f"FREQ={frequency};INTERVAL={interval}" if interval > 1 else f"FREQ={frequency}"


# --- Instances --------------------------------------------------------------------------------------

# What an instance has of its own, or has with its template in any case.
_OWN = {
    "due", "end", "entry", "id", "imask", "mask", "modified", "parent", "recur", "rtype", "scheduled", "start",
    "status", "until", "urgency", "uuid", "wait",
}  # fmt: skip


def local(text: str, zone: ZoneInfo) -> dates.Moment:
    """A local midnight is a day. Raises ValueError."""
    found = dates.moment(text, zone)
    if isinstance(found, dt.datetime):
        day = dates.local(found, zone).date()
        return day if dates.midnight(day, zone) == found else found
    return found


def says_the_same(instance: dict[str, Any], template: dict[str, Any]) -> bool:
    names = {name for name in {*instance, *template} - _OWN if not name.startswith("tickbase")}
    return all(is_flat(instance.get(name)) and instance.get(name) == template.get(name) for name in names)


def is_flat(value: Any) -> bool:
    """As Taskwarrior writes: annotations are objects in a list."""
    return not files.is_deeper(value, 3)


def completion(entry: dict[str, Any], due: dates.Moment, zone: ZoneInfo) -> Completed:
    """Raises ValueError if the closed instance does not say when."""
    at = dates.as_instant(dates.moment(str(entry.get("end")), zone), zone)
    return Completed(at, *dates.split_due(due), skipped=entry["status"] == "deleted")
