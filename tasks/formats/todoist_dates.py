"""Todoist's dates: what its English says about recurrence, as RRULE, where it can only mean one thing."""

import datetime as dt
import re
from typing import NamedTuple
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from tasks.formats import dates

_DAYS = {
    "mon": "MO", "tue": "TU", "tues": "TU", "wed": "WE", "weds": "WE", "thu": "TH", "thur": "TH", "thurs": "TH",
    "fri": "FR", "sat": "SA", "sun": "SU", "monday": "MO", "tuesday": "TU", "wednesday": "WE", "thursday": "TH",
    "friday": "FR", "saturday": "SA", "sunday": "SU",
}  # fmt: skip
MAX_LENGTH = 200  # of words
_UNITS = {"hour": "HOURLY", "day": "DAILY", "week": "WEEKLY", "month": "MONTHLY", "year": "YEARLY"}
_WORDS = {
    "hourly": "FREQ=HOURLY", "daily": "FREQ=DAILY", "weekly": "FREQ=WEEKLY", "monthly": "FREQ=MONTHLY",
    "quarterly": "FREQ=MONTHLY;INTERVAL=3", "yearly": "FREQ=YEARLY", "annually": "FREQ=YEARLY",
}  # fmt: skip
_WEEKDAYS = "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"
_SINGLES = {"weekday": _WEEKDAYS, "workday": _WEEKDAYS, "quarter": _WORDS["quarterly"],
            "last day": "FREQ=MONTHLY;BYMONTHDAY=-1"}  # fmt: skip
_NTHS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
_TAIL = re.compile(r"\s+(starting|from|until|ending)\s+(.+?)(?=\s+(?:starting|from|until|ending)\s|$)")
_TIME = re.compile(r"(?:\s+(?:at|@)\s+|\s+(?=\d{1,2}(?::\d{2})?\s*[ap]m$|\d{1,2}:\d{2}$))"
                   r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?\s*(?P<half>[ap]m)?$")  # fmt: skip
_MONTHDAY = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?$")


class Recurring(NamedTuple):
    """`due` where the text says when it starts."""

    recurrence: dict[str, str]
    due: dt.date | None = None


def recurring(text: str, zone: ZoneInfo, *, is_timed: bool) -> Recurring | None:
    """None if it is no recurrence, or not one for certain.

    `is_timed`: the time of day is known from elsewhere, so that the rule need not say it.
    """
    if len(text) > MAX_LENGTH:
        return None
    rest, ends = _without_tails(" ".join(text.lower().split()), zone)
    found = _TIME.search(rest)
    time = dates.clock(found["hour"], found["minute"], found["half"]) if found else None
    if found and time is None:
        return None
    rule = _rule(rest[: found.start()] if found else rest)
    if rule is None or None in ends.values():
        return None
    if until := ends.get("until"):
        rule += f";UNTIL={until.isoformat().replace('-', '')}"
    due = ends.get("start") and _first(rule, ends["start"])
    if "start" in ends and due is None:
        return None
    if due is not None and time is not None:
        due = dates.at(due, time, zone)
    elif time is not None and not is_timed:
        rule += f";BYHOUR={time.hour};BYMINUTE={time.minute}"
    origin = "completion" if re.match(r"(every!|after )", rest) else "due"
    return Recurring({"rule": rule, "zone": zone.key, "from": origin}, due)


def _without_tails(text: str, zone: ZoneInfo) -> tuple[str, dict[str, dt.date | None]]:
    """`starting …` and `until …`; what they name and cannot be read is None."""
    ends: dict[str, dt.date | None] = {}
    for word, date in _TAIL.findall(text):
        found = dates.loose(date, zone)
        name = "start" if word in ("starting", "from") else "until"
        ends[name] = None if isinstance(found, dt.datetime) or name in ends else found
    return _TAIL.sub("", text), ends


def _first(rule: str, start: dt.date | None) -> dt.date | None:
    begin = dt.datetime.combine(start, dt.time()) if start else None
    return next((each.date() for each in rrulestr(rule, dtstart=begin)), None)


def _rule(text: str) -> str | None:
    if text in _WORDS:
        return _WORDS[text]
    match = re.match(r"(?:every!\s*|every\s+|each\s+|after\s+)(.+)$", text)
    if match is None:
        return None
    what = match[1].strip()
    return _SINGLES.get(what) or _each_unit(what) or _weekdays(what) or _nth_weekday(what) or _days_of_months(what)


def _each_unit(what: str) -> str | None:
    """`day`, `3 weeks`, `other month`."""
    match = re.match(r"(?:(other|[1-9]\d{0,2})\s+)?(hour|day|week|month|year)s?$", what, re.A)
    return match and f"FREQ={_UNITS[match[2]]}{_interval(match[1])}"


def _interval(number: str | None) -> str:
    number = "2" if number == "other" else number
    return "" if number in (None, "1") else f";INTERVAL={number}"


def _weekdays(what: str) -> str | None:
    """`mon, wed and friday`, `other tuesday`."""
    match = re.match(r"(other\s+)?(.+)$", what)
    days = [_DAYS.get(day) for day in _listed(match[2])] if match else []
    if not match or not days or None in days or (match[1] and len(days) > 1):
        return None
    return f"FREQ=WEEKLY{_interval('other') if match[1] else ''};BYDAY={','.join(map(str, days))}"


def _listed(what: str) -> list[str]:
    return [each for each in re.split(r"\s*,\s*(?:and\s+)?|\s+and\s+", what) if each]


def _nth_weekday(what: str) -> str | None:
    """`3rd friday`, `last monday`, `first weekday`."""
    match = re.match(r"(?:(first|second|third|fourth|last)|([1-4])(?:st|nd|rd|th))\s+([a-z]+)(?: of the month)?$", what)
    if match is None:
        return None
    nth = _NTHS[match[1]] if match[1] else int(match[2])
    if match[3] in ("workday", "weekday"):
        return f"FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS={nth}"
    return f"FREQ=MONTHLY;BYDAY={nth}{_DAYS[match[3]]}" if match[3] in _DAYS else None


def _days_of_months(what: str) -> str | None:
    """`15th`, `2, 15, 27`, `jan 27th`, `27 january`."""
    days = [_month_day(each) for each in _listed(what.removesuffix(" of the month").removeprefix("the "))]
    if days and None not in days:
        return f"FREQ=MONTHLY;BYMONTHDAY={','.join(map(str, days))}"
    first, _, second = what.partition(" ")
    name, number = (first, second) if first.isalpha() else (second, first)
    month, day = dates.month_named(name), _month_day(number)
    if not month or not day or day > (29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31):
        return None
    return f"FREQ=YEARLY;BYMONTH={month};BYMONTHDAY={day}"


def _month_day(text: str) -> int | None:
    match = _MONTHDAY.match(text)
    return int(match[1]) if match and 1 <= int(match[1]) <= 31 else None


# --- Writing ----------------------------------------------------------------------------------------

_SIMPLE = re.compile(
    r"FREQ=(HOURLY|DAILY|WEEKLY|MONTHLY|YEARLY)(?:;INTERVAL=(\d+))?(?:;(BYDAY|BYMONTHDAY)=([A-Z0-9,]+))?"
    r"(?:;WKST=[A-Z]{2})?$"  # means nothing in what is written
)
_AT_ONE_TIME = re.compile(r"(FREQ=(?!HOURLY).*);BYHOUR=\d+;BYMINUTE=\d+(?=$|;WKST)")


def english(recurrence: dict[str, str]) -> str | None:
    """What Todoist understands, for the rules that people have most. A single time of day is left to the due."""
    match = _SIMPLE.match(_AT_ONE_TIME.sub(r"\1", recurrence["rule"]))
    every = "every!" if recurrence.get("from") == "completion" else "every"
    if match is None:
        return None
    frequency, number, part, values = match.groups()
    if part is None:
        unit = next(unit for unit, name in _UNITS.items() if name == frequency)
        return f"{every} {number} {unit}s" if number and number != "1" else f"{every} {unit}"
    if number == "2" and part == "BYDAY" and "," not in values:
        every = f"{every} other"
    elif number not in (None, "1"):
        return None
    if part == "BYDAY" and frequency == "WEEKLY":
        days = {day: word for word, day in _DAYS.items() if len(word) == 3}
        return f"{every} {', '.join(days[day] for day in values.split(','))}"
    return f"{every} {values.replace(',', ', ')}" if part == "BYMONTHDAY" and frequency == "MONTHLY" else None
