"""Recurrence rules: RFC 5545's RRULE without DTSTART, parsed, checked and in canonical form."""

import datetime as dt
import re
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from config.errors import Invalid

FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY")
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
MAX_LENGTH = 250
MAX_VALUES = 62  # of all BY parts together
MAX_INTERVAL = 999
MAX_COUNT = 1000
POINTER = "/recurrence/rule"

_UNTIL_IN_UTC = re.compile(r"(?<=UNTIL=)(\d{8}T\d{6})Z", re.ASCII)
_UNTIL = re.compile(r"\d{8}(T\d{6})?", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,4}", re.ASCII)
_DAY = re.compile(rf"([+-]?\d{{1,2}})?({'|'.join(WEEKDAYS)})", re.ASCII)


class RuleUnsupported(Invalid):
    code = "rule_unsupported"

    def __init__(self, part: str, rule: str = "is not supported") -> None:
        super().__init__(f"{part[:40]} {rule}.", pointer=POINTER)
        self.part = part


class RuleNever(Invalid):
    code = "rule_never"

    def __init__(self) -> None:
        super().__init__("The rule has no occurrence in the next 8 years.", pointer=POINTER)


class Weekday(NamedTuple):
    day: int  # 0 is Monday
    nth: int  # of the month or the year, from its end if negative; 0 is each


@dataclass(frozen=True)
class Rule:
    """`text` is the canonical form, which is stored and shown."""

    text: str
    frequency: str
    interval: int = 1
    count: int | None = None
    until: dt.datetime | None = None  # wall clock, inclusive
    week_start: int = 0
    months: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    weekdays: tuple[Weekday, ...] = ()
    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()

    @property
    def has_by_parts(self) -> bool:
        return "BY" in self.text

    @property
    def has_days(self) -> bool:
        return bool(self.months or self.month_days or self.weekdays)

    @property
    def time_part(self) -> str | None:
        """The first part that means nothing without a time of day."""
        parts = {"FREQ=HOURLY": self.frequency == "HOURLY", "BYHOUR": self.hours, "BYMINUTE": self.minutes}
        return next((part for part, is_there in parts.items() if is_there), None)

    def with_month_end(self, day: dt.date) -> "Rule":
        """The rule with an explicit last possible day, if it begins on a day that some months or years lack."""
        if self.has_by_parts or day.day < 29:
            return self
        if self.frequency == "MONTHLY":
            days = ",".join(str(each) for each in range(28, day.day + 1))
            return _read(f"{self.text};BYMONTHDAY={days};BYSETPOS=-1")
        if self.frequency == "YEARLY" and day.month == 2:
            return _read(f"{self.text};BYMONTH=2;BYMONTHDAY=28,29;BYSETPOS=-1")
        return self

    def explicit(self, day: dt.date) -> "Rule":
        """The rule with the days that it takes from its anchor."""
        rule = self.with_month_end(day)
        if rule.month_days or rule.weekdays:
            return rule
        if rule.frequency == "YEARLY":
            return replace(rule, months=rule.months or (day.month,), month_days=(day.day,))
        if rule.frequency == "MONTHLY":
            return replace(rule, month_days=(day.day,))
        return replace(rule, weekdays=(Weekday(day.weekday(), 0),)) if rule.frequency == "WEEKLY" else rule


def parse(text: str, zone: ZoneInfo) -> Rule:
    """Raises RuleUnsupported, which names the part."""
    if len(text) > MAX_LENGTH:
        raise RuleUnsupported("A rule", f"has up to {MAX_LENGTH} characters")
    if not text.isascii():  # some letters beyond ASCII are upper-cased into it
        raise RuleUnsupported("A rule", "has ASCII characters only")
    return _read(_UNTIL_IN_UTC.sub(lambda found: _local(found[1], zone), text.upper().removeprefix("RRULE:")))


def _local(moment: str, zone: ZoneInfo) -> str:
    try:
        wall = dt.datetime.fromisoformat(f"{moment}Z").astimezone(zone)
    except (ValueError, OverflowError):  # no moment, which is refused later, or at an end of the calendar
        return moment
    return wall.isoformat()[:19].replace("-", "").replace(":", "")  # strftime drops the zeros of the year 26


@lru_cache(maxsize=1024)
def _read(text: str) -> Rule:
    values: dict[str, Any] = {}
    for name, _, value in (part.partition("=") for part in text.split(";")):
        if name not in _PARTS:
            raise RuleUnsupported(repr(name))
        member, read = _PARTS[name]
        if member in values:
            raise RuleUnsupported(name, "stands there twice")
        values[member] = read(name, value)
    if "frequency" not in values:
        raise RuleUnsupported("FREQ", "is missing")
    rule = Rule(text, **values)
    for part, is_refused, reason in _CONFLICTS:
        if is_refused(rule):
            raise RuleUnsupported(part, reason)
    return rule


# --- Values of parts --------------------------------------------------------------------------------


def _number(highest: int) -> Callable[[str, str], int]:
    return lambda name, text: _integer(name, text, range(1, highest + 1), f"1 to {highest}")


def _numbers(lowest: int, highest: int) -> Callable[[str, str], tuple[int, ...]]:
    def read(name: str, text: str) -> tuple[int, ...]:
        allowed, described = range(lowest, highest + 1), f"{lowest} to {highest}"
        return tuple(sorted({_integer(name, each, allowed, described) for each in text.split(",")}))

    return read


def _numbers_from_both_ends(highest: int) -> Callable[[str, str], tuple[int, ...]]:
    def read(name: str, text: str) -> tuple[int, ...]:
        allowed, described = set(range(-highest, highest + 1)) - {0}, f"1 to {highest} or -{highest} to -1"
        return tuple(sorted({_integer(name, each, allowed, described) for each in text.split(",")}))

    return read


def _integer(name: str, text: str, allowed: Container[int], described: str) -> int:
    if _NUMBER.fullmatch(text) and (number := int(text)) in allowed:
        return number
    raise RuleUnsupported(name, f"has numbers from {described}")


def _choice(choices: tuple[str, ...]) -> Callable[[str, str], str]:
    def read(name: str, text: str) -> str:
        if text not in choices:
            raise RuleUnsupported(f"{name}={text}")
        return text

    return read


def _weekdays(name: str, text: str) -> tuple[Weekday, ...]:
    found = [_DAY.fullmatch(each) for each in text.split(",")]
    days = {Weekday(WEEKDAYS.index(each[2]), int(each[1] or 0)) for each in found if each}
    if None in found or any(each and each[1] and not 1 <= abs(int(each[1])) <= 53 for each in found):
        raise RuleUnsupported(name, "has weekdays such as MO, 1MO to 53MO, or -1MO to -53MO")
    return tuple(sorted(days))


def _until(name: str, text: str) -> dt.datetime:
    """Wall clock; a bare date is the end of that day."""
    try:
        moment = dt.datetime.fromisoformat(text) if _UNTIL.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None:
        raise RuleUnsupported(name, "is a day such as 20301231, or a moment such as 20301231T235900Z")
    return moment if "T" in text else dt.datetime.combine(moment, dt.time.max)


_PARTS: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "FREQ": ("frequency", _choice(FREQUENCIES)),
    "INTERVAL": ("interval", _number(MAX_INTERVAL)),
    "COUNT": ("count", _number(MAX_COUNT)),
    "UNTIL": ("until", _until),
    "WKST": ("week_start", lambda name, text: WEEKDAYS.index(_choice(WEEKDAYS)(name, text))),
    "BYMONTH": ("months", _numbers(1, 12)),
    "BYMONTHDAY": ("month_days", _numbers_from_both_ends(31)),
    "BYDAY": ("weekdays", _weekdays),
    "BYHOUR": ("hours", _numbers(0, 23)),
    "BYMINUTE": ("minutes", _numbers(0, 59)),
    "BYSETPOS": ("positions", _numbers_from_both_ends(366)),
}


def _values(rule: Rule) -> tuple[Any, ...]:
    """Of the BY parts that name times, without BYSETPOS."""
    return rule.months + rule.month_days + rule.weekdays + rule.hours + rule.minutes


_CONFLICTS: list[tuple[str, Callable[[Rule], bool], str]] = [
    ("UNTIL", lambda rule: rule.count is not None and rule.until is not None, "excludes COUNT"),
    (
        "BYDAY",
        lambda rule: rule.frequency not in ("MONTHLY", "YEARLY") and any(each.nth for each in rule.weekdays),
        "has numbers with FREQ=MONTHLY and FREQ=YEARLY only",
    ),
    # They count within a month here, and dateutil raises IndexError.
    (
        "BYDAY",
        lambda rule: (
            (rule.frequency == "MONTHLY" or rule.months != ()) and any(abs(each.nth) > 5 for each in rule.weekdays)
        ),
        "has no more than five of a weekday in a month",
    ),
    ("BYMONTHDAY", lambda rule: rule.frequency == "WEEKLY" and rule.month_days != (), "excludes FREQ=WEEKLY"),
    ("BYSETPOS", lambda rule: rule.positions != () and not _values(rule), "needs another BY part"),
    ("A rule", lambda rule: len(_values(rule) + rule.positions) > MAX_VALUES, f"has up to {MAX_VALUES} values"),
]
