"""A series in English words, such as "every month on the last Friday"."""

from collections.abc import Iterable
from itertools import product

from tasks.recurrence.rules import Rule, Weekday
from tasks.recurrence.series import Series

UNITS = {"YEARLY": "year", "MONTHLY": "month", "WEEKLY": "week", "DAILY": "day", "HOURLY": "hour"}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
ORDINALS = ("first", "second", "third", "fourth", "fifth")
MAX_TIMES = 6  # of a day, written out

# Some sets of weekdays have a noun of their own.
_NOUNS = {tuple(range(5)): "weekday", (5, 6): "weekend day", tuple(range(7)): "day"}


def describe(series: Series) -> str:
    rule = series.rule if series.from_completion else series.rule.explicit(series.anchor)
    days = _last_possible(rule) or _days(rule)
    return f"{_every(rule, series.from_completion)}{days}{_times(rule, series)}{_end(rule)}"


def _every(rule: Rule, from_completion: bool) -> str:
    unit = UNITS[rule.frequency]
    every = f"every {unit}" if rule.interval == 1 else f"every {rule.interval} {unit}s"
    return f"{every} from completion" if from_completion else every


def _last_possible(rule: Rule) -> str:
    """The days of `Rule.with_month_end`."""
    first, *others = rule.month_days or (0,)
    if (first, rule.positions, rule.weekdays) != (28, (-1,), ()) or not others:
        return ""
    if rule.frequency == "YEARLY" and (rule.months, others) == ((2,), [29]):
        return " on 29 February, or the last day of that month"
    if rule.frequency != "MONTHLY" or rule.months or others != list(range(29, others[-1] + 1)):
        return ""
    return " on the last day" if others[-1] == 31 else f" on the {_nth(others[-1])}, or the last day of a shorter month"


def _days(rule: Rule) -> str:
    if rule.frequency == "YEARLY" and len(rule.months) == len(rule.month_days) == 1 and not rule.weekdays:
        day = rule.month_days[0]
        if day > 0:
            return f" on {day} {MONTHS[rule.months[0] - 1]}{_positions(rule)}"
    months = f" in {_join(MONTHS[each - 1] for each in rule.months)}" if rule.months else ""
    dates = f"the {_join(_month_day(each) for each in rule.month_days)}" if rule.month_days else ""
    if not rule.weekdays:
        return f"{months}{f' on {dates}' if dates else ''}{_positions(rule)}"
    if rule.positions and not dates and (noun := _noun(rule.weekdays)):
        return f"{months} on the {_join(map(_ordinal, rule.positions))} {noun}"
    weekdays = _join(map(_weekday, rule.weekdays))
    weekdays = "weekdays" if _noun(rule.weekdays) == "weekday" else weekdays
    return f"{months} on {weekdays}{f' that is {dates}' if dates else ''}{_positions(rule)}"


def _noun(weekdays: tuple[Weekday, ...]) -> str | None:
    """For what is the first or the last of them."""
    if any(each.nth for each in weekdays):
        return None
    days = tuple(each.day for each in weekdays)
    return DAYS[days[0]] if len(days) == 1 else _NOUNS.get(days)


def _weekday(weekday: Weekday) -> str:
    return f"the {_ordinal(weekday.nth)} {DAYS[weekday.day]}" if weekday.nth else DAYS[weekday.day]


def _positions(rule: Rule) -> str:
    return f", the {_join(map(_ordinal, rule.positions))} of them" if rule.positions else ""


def _times(rule: Rule, series: Series) -> str:
    if rule.frequency == "HOURLY":
        hours = f" in the hours {_join(f'{each:02}' for each in rule.hours)}" if rule.hours else ""
        minutes = f" at minute {_join(map(str, rule.minutes))}" if rule.minutes else ""
        return hours + minutes
    if not (rule.hours or rule.minutes):
        return ""
    hour, minute = getattr(series.anchor, "hour", 0), getattr(series.anchor, "minute", 0)
    times = [f"{each:02}:{past:02}" for each, past in product(rule.hours or (hour,), rule.minutes or (minute,))]
    return f" at {_join(times)}" if len(times) <= MAX_TIMES else f" at {len(times)} times of the day"


def _end(rule: Rule) -> str:
    if rule.until:
        return f", until {rule.until.day} {MONTHS[rule.until.month - 1]} {rule.until.year}"
    if rule.count:
        return f", {rule.count} times" if rule.count > 1 else ", once"
    return ""


def _month_day(day: int) -> str:
    if day > 0:
        return _nth(day)
    return "last day" if day == -1 else f"{_nth(-day)} to last day"


def _ordinal(number: int) -> str:
    if number == -1:
        return "last"
    word = ORDINALS[abs(number) - 1] if abs(number) <= len(ORDINALS) else _nth(abs(number))
    return word if number > 0 else f"{word} to last"


def _nth(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _join(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last
