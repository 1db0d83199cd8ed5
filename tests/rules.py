"""Hostile rules: sparse, dense, and impossible ones, at dues from 1900 to 2999."""

import datetime as dt
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple
from zoneinfo import ZoneInfo

from config.values import FIRST_INSTANT, LAST_INSTANT
from tasks.recurrence import rules, series, words
from tasks.recurrence.calendar import Due

ZONES = ("UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "Asia/Tehran")
NOW = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def some(chance: random.Random, values: range, most: int) -> str:
    """One, a few, or as many as allowed."""
    count = chance.choice((1, 1, 2, 3, most))
    return ",".join(str(each) for each in chance.sample(values, min(count, most, len(values))))


def weekdays(chance: random.Random, frequency: str) -> str:
    days = chance.sample(DAYS, chance.choice((1, 1, 2, 5, 7)))
    if frequency in ("MONTHLY", "YEARLY") and chance.random() < 0.4:
        return ",".join(f"{chance.choice((1, 5, -1, -5, 6, 53))}{day}" for day in days)
    return ",".join(days)


def hostile(chance: random.Random) -> str:
    frequency = chance.choice(rules.FREQUENCIES)
    interval = chance.choice((1, 1, 2, 3, 7, 12, 24, 28, 84, 365, 366, chance.randint(1, 999), 999))
    makers: dict[str, Callable[[], str]] = {
        "BYMONTH": lambda: chance.choice(("2", "2", "2,4,6,9,11", some(chance, range(1, 13), 12))),
        "BYMONTHDAY": lambda: chance.choice(("29", "30", "31", "-31", some(chance, range(1, 32), 31))),
        "BYDAY": lambda: weekdays(chance, frequency),
        "BYHOUR": lambda: chance.choice(("2", "1,3,5,7,9,11,13,15,17,19,21,23", some(chance, range(24), 24))),
        "BYMINUTE": lambda: some(chance, range(60), 40),
        "BYSETPOS": lambda: chance.choice(("-1", "5", "366", "-366", some(chance, range(1, 367), 50))),
        "WKST": lambda: chance.choice(DAYS),
    }
    chosen = chance.sample(sorted(makers), chance.randint(0, 5))
    end = chance.choice(("", "", "", ";COUNT=1000", ";COUNT=2", ";UNTIL=29991231", ";UNTIL=19000101T000000Z"))
    parts = "".join(f";{name}={makers[name]()}" for name in chosen if (name, frequency) != ("BYMONTHDAY", "WEEKLY"))
    return f"FREQ={frequency};INTERVAL={interval}{end}{parts}"


def first_due(chance: random.Random) -> Due:
    """Anywhere, and often on a 29 February."""
    seconds = int((LAST_INSTANT - FIRST_INSTANT).total_seconds())
    at = FIRST_INSTANT + dt.timedelta(seconds=chance.randrange(seconds))
    at = chance.choice((at, NOW - dt.timedelta(days=chance.randrange(3000)), FIRST_INSTANT))
    if chance.random() < 0.3:
        at = at.replace(year=chance.choice((1904, 2000, 2024, 2044, 2096)), month=2, day=29)
    return at if chance.random() < 0.7 else at.date()


class Case(NamedTuple):
    rule: str
    zone: ZoneInfo
    due: Due
    from_completion: bool

    def steps(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """What a request does with a rule, one after the other; nothing follows a refusal, which is an Invalid."""
        begun: list[series.Series] = []
        yield (
            "start",
            lambda: begun.append(series.start(self.rule, self.zone, self.due, from_completion=self.from_completion)),
        )
        if begun:
            yield "preview", lambda: series.preview(begun[0], self.due, 100)
            yield "complete", lambda: series.complete(begun[0], self.due, NOW)
            yield "words", lambda: words.describe(begun[0])


def cases(seed: int, count: int) -> Iterator[Case]:
    chance = random.Random(seed)
    for _ in range(count):
        yield Case(hostile(chance), ZoneInfo(chance.choice(ZONES)), first_due(chance), chance.random() < 0.3)
