"""The occurrences of a rule in a time zone: searches that end, and wall clocks in gaps and folds.

dateutil's search stops at nothing but the end of the year 9999: a rule without occurrences costs seconds. So a rule is
first tried in a year close to that end (`is_satisfiable`), each search begins with the period before the date that it
is about, and days and hours, of which there are many in vain, are stepped through here.
"""

import calendar
import datetime as dt
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby, product
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from dateutil import rrule

from config.values import FIRST_DATE, FIRST_INSTANT, LAST_DATE, LAST_INSTANT
from tasks.recurrence.rules import Rule

Due = dt.date  # all-day; a timed one is of the subclass dt.datetime, an aware instant in UTC

HORIZON = 8 * 365 + 2  # days: 29 February 1896 to 1904
MAX_MISSES = 1_000  # days, or hours more than ten apart, tried in a row: more than a year
_LONGEST = {"YEARLY": 366, "MONTHLY": 31, "WEEKLY": 7, "DAILY": 1, "HOURLY": 1}  # days
_LIBRARY: dict[str, Literal[0, 1, 2]] = {"YEARLY": rrule.YEARLY, "MONTHLY": rrule.MONTHLY, "WEEKLY": rrule.WEEKLY}
_DAYS = {"YEARLY": 366, "MONTHLY": 31, "WEEKLY": 7}  # of a period, at most
_DAY, _HOUR, _MINUTE = dt.timedelta(days=1), dt.timedelta(hours=1), dt.timedelta(minutes=1)


class Occurrence(NamedTuple):
    """`anchor` is what the rule names, from which the series can go on; in a gap of the zone, the due is later.

    All-day, both are the date. With hours, which are counted in UTC, `anchor` is naive UTC, else the naive wall clock.
    """

    anchor: Due
    due: Due


# --- Due dates and wall clocks ----------------------------------------------------------------------


def to_utc(wall: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """In a gap later by the gap, in a fold the first of both (PEP 495, fold=0)."""
    return wall.replace(tzinfo=zone, fold=0).astimezone(dt.UTC)


def to_wall(instant: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def local_date(due: Due, zone: ZoneInfo) -> dt.date:
    return to_wall(due, zone).date() if isinstance(due, dt.datetime) else due


def shift(due: Due, days: int, zone: ZoneInfo) -> Due:
    """The same time of day some local days later, within what a due can be."""
    distance = dt.timedelta(days=days)
    if isinstance(due, dt.datetime):
        return min(max(to_utc(to_wall(due, zone) + distance, zone), FIRST_INSTANT), LAST_INSTANT)
    return min(max(due + distance, FIRST_DATE), LAST_DATE)


# --- Occurrences ------------------------------------------------------------------------------------


def occurrences(rule: Rule, zone: ZoneInfo, anchor: Due, after: Due) -> Iterator[Occurrence]:
    """Those due later than `after`, a date if the anchor is one, else an instant; at most up to UNTIL.

    Ends if the next one is further away than 8 years and 8 intervals. COUNT is not looked at.
    """
    previous = after.toordinal()
    for found in _search(rule, zone, anchor, after):
        if found.due.toordinal() - previous > _patience(rule):
            return
        previous = found.due.toordinal()
        yield found


def is_satisfiable(rule: Rule, zone: ZoneInfo, anchor: Due) -> bool:
    """Whether the anchor or a time in the 8 years after it is an occurrence, whatever COUNT and UNTIL are."""
    rule = replace(rule, until=None)
    if rule.frequency in _LIBRARY:
        start = _wall(anchor)
        start = start.replace(year=_year_of_equal_phase(start.year))
        first = next((wall for wall in _walls(rule, start, start.date()) if wall >= start), None)
        return first is not None and (first - start).days <= HORIZON
    before = anchor - _DAY if not isinstance(anchor, dt.datetime) else _instant(rule, zone, anchor) - _MINUTE
    return next(occurrences(rule, zone, anchor, before), None) is not None


def mark(rule: Rule, zone: ZoneInfo, anchor: Due) -> Due:
    """The due of an anchor, after which the next occurrence is looked for."""
    return _instant(rule, zone, anchor) if isinstance(anchor, dt.datetime) else anchor


def _instant(rule: Rule, zone: ZoneInfo, anchor: dt.datetime) -> dt.datetime:
    return anchor.replace(tzinfo=dt.UTC) if rule.frequency == "HOURLY" else to_utc(anchor, zone)


def _wall(anchor: Due) -> dt.datetime:
    return anchor if isinstance(anchor, dt.datetime) else dt.datetime.combine(anchor, dt.time())


def _year_of_equal_phase(year: int) -> int:
    """The year from 9960 to 9987 that has the same calendar, and the same distance to the next leap year."""
    phase = 1 if year % 4 == 0 and not calendar.isleap(year) else year % 4
    weekday = dt.date(year, 1, 1).weekday()
    return next(each for each in range(9960, 9988) if each % 4 == phase and dt.date(each, 1, 1).weekday() == weekday)


def _patience(rule: Rule) -> int:
    """Days without an occurrence after which a search ends."""
    return max(HORIZON, 8 * rule.interval * _LONGEST[rule.frequency])


def _search(rule: Rule, zone: ZoneInfo, anchor: Due, after: Due) -> Iterator[Occurrence]:
    if not isinstance(after, dt.datetime):
        return _all_day(rule, _wall(anchor), after)
    if rule.frequency == "HOURLY":
        return _hours(rule, zone, _wall(anchor), after)
    return _timed(rule, zone, _wall(anchor), after)


def _all_day(rule: Rule, anchor: dt.datetime, after: dt.date) -> Iterator[Occurrence]:
    last = min(rule.until.date(), LAST_DATE) if rule.until else LAST_DATE
    for day, _ in groupby(_walls(rule, anchor, after), key=dt.datetime.date):
        if day > last:
            return
        if day > after:
            yield Occurrence(day, day)


def _timed(rule: Rule, zone: ZoneInfo, anchor: dt.datetime, after: dt.datetime) -> Iterator[Occurrence]:
    """Day by day, sorted, since what is in a gap can overtake what comes after it; a gap can last a day."""
    until = rule.until or dt.datetime.combine(LAST_DATE, dt.time.max)
    last = min(until.date(), LAST_DATE)
    for day, walls in groupby(_walls(rule, anchor, to_wall(after, zone).date() - _DAY), key=dt.datetime.date):
        if day > last:
            return
        for due, wall in sorted((to_utc(wall, zone), wall) for wall in walls if wall <= until):
            if due > LAST_INSTANT:
                return
            if due > after:
                yield Occurrence(wall, due)
                after = due


# --- Years, months, weeks and days ------------------------------------------------------------------


def _walls(rule: Rule, anchor: dt.datetime, since: dt.date) -> Iterator[dt.datetime]:
    """The naive wall clocks that the rule names, from the day `since` on, in order."""
    rule = rule.explicit(anchor.date())
    rest = dt.timedelta(seconds=anchor.second, microseconds=anchor.microsecond)
    hours, minutes = rule.hours or (anchor.hour,), rule.minutes or (anchor.minute,)
    days: Iterator[dt.datetime]
    if rule.frequency == "DAILY":
        days = _days(rule, rule.interval, anchor.date(), since)
        times = [dt.timedelta(hours=hour, minutes=minute) + rest for hour, minute in product(hours, minutes)]
        times = [times[position] for position in _positions(rule, len(times))]
        days = days if times else iter(())
    elif rule.positions:  # of the days and times of a period together
        days, times = _library(rule, anchor, since, hours, minutes), [rest]
    else:
        days = _library(rule, anchor, since, (0,), (0,))
        times = [dt.timedelta(hours=hour, minutes=minute) + rest for hour, minute in product(hours, minutes)]
    first = dt.datetime.combine(since, dt.time())
    return (day + time for day in days if day >= first for time in times)


def _library(
    rule: Rule, anchor: dt.datetime, since: dt.date, hours: Sequence[int], minutes: Sequence[int]
) -> Iterator[dt.datetime]:
    """From the beginning of a period, as BYSETPOS counts in whole ones; in phase with the anchor's."""
    # The library looks for each position in each period, also for those beyond all times that a period can have.
    most = _DAYS[rule.frequency] * len(hours) * len(minutes)
    positions = [each for each in rule.positions if abs(each) <= most] or rule.positions
    return iter(
        rrule.rrule(
            _LIBRARY[rule.frequency],
            dtstart=_beginning(rule, anchor.date(), since),
            interval=rule.interval,
            wkst=rule.week_start,
            bymonth=rule.months or None,
            bymonthday=rule.month_days or None,
            byweekday=[rrule.weekday(each.day, each.nth or None) for each in rule.weekdays] or None,
            byhour=hours,
            byminute=minutes,
            bysecond=0,
            bysetpos=positions or None,
        )
    )


def _beginning(rule: Rule, anchor: dt.date, since: dt.date) -> dt.date:
    """Of the last period that begins by `since`, some intervals from the anchor's."""
    if rule.frequency == "YEARLY":
        return dt.date(since.year - (since.year - anchor.year) % rule.interval, 1, 1)
    if rule.frequency == "MONTHLY":
        month = 12 * since.year + since.month - 1
        month -= (month - 12 * anchor.year - anchor.month + 1) % rule.interval
        return dt.date(month // 12, month % 12 + 1, 1)
    first, week = ((day.toordinal() - 1 - rule.week_start) // 7 for day in (anchor, since))
    return dt.date.fromordinal((week - (week - first) % rule.interval) * 7 + 1 + rule.week_start)


def _positions(rule: Rule, count: int) -> Sequence[int]:
    """The indices of those of a period's times that BYSETPOS names."""
    if not rule.positions:
        return range(count)
    return sorted({each - 1 if each > 0 else count + each for each in rule.positions if abs(each) <= count})


def _days(rule: Rule, interval: int, anchor: dt.date, since: dt.date) -> Iterator[dt.datetime]:
    """Midnights of a DAILY or HOURLY rule, whose BY parts only filter, at about `since` and later."""
    start, phase = since.toordinal(), anchor.toordinal()
    if interval > 27 or not rule.has_days:
        ordinals = range(start - (start - phase) % interval, LAST_DATE.toordinal() + 1, interval)
        return (day for day in map(dt.datetime.fromordinal, ordinals) if _has_day(rule, day))
    return map(dt.datetime.fromordinal, _days_in_phase(rule, interval, phase, start))


def _days_in_phase(rule: Rule, interval: int, phase: int, since: int) -> Iterator[int]:
    found = since
    for day in _filtered_days(rule, since):
        if day - found > _patience(rule):
            return
        if (day - phase) % interval == 0:
            found = day
            yield day


def _filtered_days(rule: Rule, since: int) -> Iterator[int]:
    """Ordinals, month by month."""
    begin = dt.date.fromordinal(since)
    weekdays = {each.day for each in rule.weekdays} or set(range(7))
    for index in range(12 * begin.year + begin.month - 1, 12 * LAST_DATE.year + 12):
        year, month = index // 12, index % 12 + 1
        if not rule.months or month in rule.months:
            weekday, length = calendar.monthrange(year, month)
            days = {day if day > 0 else length + 1 + day for day in rule.month_days} or range(1, length + 1)
            before = dt.date(year, month, 1).toordinal() - 1
            for day in sorted(days):
                if 0 < day <= length and (weekday + day - 1) % 7 in weekdays:
                    yield before + day


def _has_day(rule: Rule, day: dt.date) -> bool:
    if rule.months and day.month not in rule.months:
        return False
    if rule.weekdays and (day.weekday(), 0) not in rule.weekdays:
        return False
    days = rule.month_days
    return not days or day.day in days or day.day - 1 - calendar.monthrange(day.year, day.month)[1] in days


# --- Hours ------------------------------------------------------------------------------------------


def _hours(rule: Rule, zone: ZoneInfo, anchor: dt.datetime, after: dt.datetime) -> Iterator[Occurrence]:
    """Counted in UTC from the anchor; what BY parts name is local."""
    if not _positions(rule, len(rule.minutes) or 1):
        return
    begin = anchor.replace(tzinfo=dt.UTC)
    if rule.minutes:
        begin -= to_wall(begin, zone).minute * _MINUTE
    found, misses = after, 0
    for near, periods in _periods(rule, zone, begin, after):
        times = [time for period in periods for time in _times(rule, zone, period)]
        misses = 0 if times else misses + 1
        if misses > MAX_MISSES or (near - found).days > HORIZON:
            return
        for wall, due in times:
            if due > LAST_INSTANT or (rule.until and wall > rule.until):
                return
            if due > after:
                found = due
                yield Occurrence(due.replace(tzinfo=None), due)


def _periods(
    rule: Rule, zone: ZoneInfo, begin: dt.datetime, after: dt.datetime
) -> Iterator[tuple[dt.datetime, list[dt.datetime]]]:
    """The instants at which hours of the rule begin, one by one, or those of a day; and an instant near them.

    From the last one before `after` on.
    """
    step = dt.timedelta(hours=rule.interval)
    period = begin + (after - begin) // step * step
    if _density(rule) * rule.interval > 10:  # then hours in vain cost less than days in vain
        while True:
            yield period, [period]
            period += step
    hours = set(rule.hours or range(24))
    around = {hour + change for hour in hours for change in (-1, 0, 1)}  # after midnight, if the clock is changed
    today = to_wall(period, zone).date()
    for day in _days(rule, 1, today, today):
        noon, periods = day.replace(hour=12, tzinfo=dt.UTC), list[dt.datetime]()
        early = period + max(0, (noon - 28 * _HOUR - period) // step + 1) * step  # the day begins later in any zone,
        if early < noon + 28 * _HOUR:  # and ends sooner
            midnight, end = to_utc(day, zone), to_utc(day + _DAY, zone)
            period += max(0, (midnight - _HOUR - period) // step + 1) * step
            first, count = (period - midnight) // _HOUR, max(0, -((period - end) // step))
            is_plain = end - midnight == _DAY and not (rule.minutes and (period - midnight) % _HOUR >= _MINUTE)
            near = hours if is_plain else around
            periods = [period + index * step for index in range(count) if first + index * rule.interval in near]
            period += count * step
        yield noon, periods


def _density(rule: Rule) -> float:
    """About what share of all days the rule names."""
    wholes = (rule.months, 12), (rule.month_days, 31), (rule.weekdays, 7)
    return math.prod(len(part) / whole for part, whole in wholes if part)


def _times(rule: Rule, zone: ZoneInfo, period: dt.datetime) -> list[tuple[dt.datetime, dt.datetime]]:
    """Those of the hour that begins at `period`: by the wall clock, whose hour can change meanwhile, and in UTC."""
    wall = to_wall(period, zone)
    is_named = [
        (not rule.hours or each.hour in rule.hours) and _has_day(rule, each) for each in (wall, wall + 59 * _MINUTE)
    ]
    if not any(is_named):
        return []
    minutes = sorted((minute - wall.minute) % 60 for minute in rule.minutes) if rule.minutes else [0]
    minutes = [minute for minute in minutes if is_named[wall.minute + minute > 59]]
    passed = [minutes[position] * _MINUTE for position in _positions(rule, len(minutes))]
    return [(wall + each, period + each) for each in passed]
