"""A series of dues: a rule with its time zone and anchor; how it starts, advances on completion, and is previewed."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tasks.recurrence import calendar, rules
from tasks.recurrence.calendar import Due, Occurrence

MAX_MISSED = 1_000  # counted; a COUNT is not higher


@dataclass(frozen=True)
class Series:
    """`anchor` is the place of the present occurrence in the rule (`Occurrence.anchor`), wherever its due was moved to.

    `left` is what is left of COUNT with the present occurrence.
    """

    rule: rules.Rule
    zone: ZoneInfo
    anchor: Due
    from_completion: bool = False
    left: int | None = None


class Advance(NamedTuple):
    """What completing or skipping makes of a series. Without a next occurrence it is over: completed for good."""

    series: Series | None
    due: Due | None
    missed: int


class Preview(NamedTuple):
    occurrences: list[Due]
    ends: bool  # with the last one shown


def start(text: str, zone: ZoneInfo, due: Due, *, from_completion: bool = False) -> Series:
    """The series whose first occurrence is `due`, whether or not the rule names it.

    Raises RuleUnsupported and RuleNever. A rule that counts from completion keeps no day of the month.
    """
    rule = rules.parse(text, zone)
    anchor: Due = due
    if isinstance(due, dt.datetime):
        anchor = due.replace(tzinfo=None) if rule.frequency == "HOURLY" else calendar.to_wall(due, zone)
    elif part := rule.time_part:
        raise rules.RuleUnsupported(part, "needs a due time")
    if not from_completion:
        rule = rule.with_month_end(calendar.local_date(due, zone))
    if not calendar.is_satisfiable(rule, zone, anchor):
        raise rules.RuleNever
    return Series(rule, zone, anchor, from_completion, rule.count)


def preview(series: Series, due: Due, limit: int) -> Preview:
    """`due`, and the occurrences that follow if each is completed in time."""
    known = limit if series.left is None else min(limit, series.left)
    following = islice(_following(series, due), known)
    dues = [due, *(each.due for each in following)]
    return Preview(dues[:known], ends=len(dues) <= known or known == series.left)


def complete(series: Series, due: Due, at: dt.datetime) -> Advance:
    """The first occurrence that is still to come; if counted from completion, from that local day alone."""
    if not series.from_completion:
        return skip(series, due, at)
    anchor = _completed(series, at)
    renewed = replace(series, anchor=anchor)
    if not calendar.is_satisfiable(series.rule, series.zone, anchor):
        return Advance(None, None, 0)
    return _advance(renewed, _latest(renewed, at), missed=0)


def skip(series: Series, due: Due, at: dt.datetime) -> Advance:
    """The first occurrence later than this one, its due and now. Those that passed in between were missed."""
    bound = _latest(series, due, at)
    most = MAX_MISSED if series.left is None else series.left - 1
    passed = takewhile(lambda each: each.due <= bound, islice(_following(series), most))
    return _advance(series, bound, missed=sum(1 for _ in passed))


def _advance(series: Series, bound: Due, missed: int) -> Advance:
    left = None if series.left is None else series.left - 1 - missed
    found = None if left == 0 else next(_following(series, bound), None)
    if found is None:
        return Advance(None, None, missed)
    return Advance(replace(series, anchor=found.anchor, left=left), found.due, missed)


def _following(series: Series, *dues: Due) -> Iterator[Occurrence]:
    return calendar.occurrences(series.rule, series.zone, series.anchor, _latest(series, *dues))


def _latest(series: Series, *dues: Due) -> Due:
    """Of the anchor and the dues, all-day if the series is. An all-day due in a timed series lasts until midnight."""
    zone, is_timed = series.zone, isinstance(series.anchor, dt.datetime)
    latest = calendar.mark(series.rule, zone, series.anchor)
    for due in dues:
        if not is_timed:
            latest = max(latest, calendar.local_date(due, zone))
        elif isinstance(due, dt.datetime):
            latest = max(latest, due)
        else:
            latest = max(latest, calendar.to_utc(dt.datetime.combine(due, dt.time.max), zone))
    return latest


def _completed(series: Series, at: dt.datetime) -> Due:
    """The anchor that a completion makes: its local date at the time of day of before; its minute, if hours count."""
    if not isinstance(series.anchor, dt.datetime):
        return calendar.local_date(at, series.zone)
    if series.rule.frequency == "HOURLY":
        return at.astimezone(dt.UTC).replace(tzinfo=None, second=0, microsecond=0)
    return dt.datetime.combine(calendar.local_date(at, series.zone), series.anchor.time())
