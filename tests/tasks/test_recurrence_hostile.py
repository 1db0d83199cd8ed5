"""Hostile rules, of which none takes long: sparse, dense, and impossible ones, at dues from 1900 to 2999."""

import datetime as dt
import random
import time
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from config.errors import Invalid
from config.values import FIRST_INSTANT, LAST_INSTANT
from tasks.recurrence import rules, series, words
from tasks.recurrence.calendar import Due

MILLISECONDS = 50
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


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds of CPU, and the result or the refusal."""
    begun = time.thread_time()
    try:
        result = action()
    except Invalid as refused:
        result = refused
    return (time.thread_time() - begun) * 1000, result


def costs(rule: str, zone: ZoneInfo, due: Due, from_completion: bool) -> tuple[dict[str, float], bool]:
    """Of each thing that a request does with a rule, and whether it was accepted."""
    found: dict[str, float] = {}
    found["start"], begun = timed(lambda: series.start(rule, zone, due, from_completion=from_completion))
    if isinstance(begun, Invalid):
        return found, False
    found["preview"], _ = timed(lambda: series.preview(begun, due, 100))
    found["complete"], _ = timed(lambda: series.complete(begun, due, NOW))
    found["words"], _ = timed(lambda: words.describe(begun))
    return found, True


@pytest.mark.parametrize("seed", range(4))
def test_no_rule_takes_long(seed: int) -> None:
    chance = random.Random(seed)
    slow, accepted = {}, 0
    for _ in range(2_500):
        case = (hostile(chance), ZoneInfo(chance.choice(ZONES)), first_due(chance), chance.random() < 0.3)
        for _ in range(3):  # again if it is slow, as other tests share the cores
            found, was_accepted = costs(*case)
            if max(found.values()) <= MILLISECONDS:
                break
        else:
            slow[case] = found
        accepted += was_accepted
    assert slow == {}
    assert 500 < accepted < 2_000
