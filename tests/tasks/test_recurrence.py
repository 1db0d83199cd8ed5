"""Recurrence: the vectors of the contract, each a test, and facts from public reports."""

import datetime as dt
import json
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from config.errors import Invalid
from tasks.recurrence import rules, series
from tasks.recurrence.calendar import Due
from tasks.recurrence.rules import RuleNever, RuleUnsupported
from tasks.recurrence.series import Series

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "recurrence.json").read_text())
UTC = ZoneInfo("UTC")


def due(text: str) -> Due:
    return dt.datetime.fromisoformat(text) if "T" in text else dt.date.fromisoformat(text)


def instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def started(vector: dict[str, Any]) -> Series:
    from_completion = vector.get("from") == "completion"
    return series.start(vector["rule"], ZoneInfo(vector["zone"]), due(vector["due"]), from_completion=from_completion)


def named(kind: str) -> list[Any]:
    return [pytest.param(vector, id=vector["name"]) for vector in VECTORS[kind]]


@pytest.mark.parametrize("vector", named("next"))
def test_next_occurrences(vector: dict[str, Any]) -> None:
    found = started(vector)
    expected = [vector["due"], *vector["next"]]
    preview = series.preview(found, due(vector["due"]), len(expected))
    assert preview.occurrences == [due(each) for each in expected]
    assert preview.ends is vector.get("ends", False)
    assert found.rule.text == vector.get("stored", found.rule.text)


@pytest.mark.parametrize("vector", named("next"))
def test_completed_in_time_the_due_takes_each_of_them(vector: dict[str, Any]) -> None:
    found, now = started(vector), due(vector["due"])
    for expected in map(due, vector["next"]):
        at = now if isinstance(now, dt.datetime) else dt.datetime.combine(now, dt.time(12), dt.UTC)
        advance = series.complete(found, now, at)
        assert advance.series is not None and advance.due is not None
        found, now = advance.series, advance.due
        assert (now, advance.missed) == (expected, 0)


@pytest.mark.parametrize("vector", named("complete"))
def test_completion(vector: dict[str, Any]) -> None:
    found = series.complete(started(vector), due(vector["due"]), instant(vector["at"]))
    assert found.due == (due(vector["due_after"]) if "due_after" in vector else None)
    assert (found.series is None) is vector.get("completed", False)
    assert found.missed == vector.get("missed", 0)


@pytest.mark.parametrize("rule", VECTORS["refused"])
@pytest.mark.parametrize("first", ["2026-12-01T09:00:00Z", "2026-12-01"])
def test_refused(rule: str, first: str) -> None:
    with pytest.raises(Invalid) as refused:
        series.start(rule, ZoneInfo("UTC"), due(first))
    assert refused.value.code in ("rule_unsupported", "rule_never")
    assert refused.value.pointer == "/recurrence/rule"


NAMED = [
    ("FREQ=SECONDLY", "FREQ=SECONDLY is not supported."),
    ("FREQ=DAILY;BYSECOND=1", "'BYSECOND' is not supported."),
    ("FREQ=YEARLY;BYWEEKNO=20", "'BYWEEKNO' is not supported."),
    ("FREQ=DAILY;INTERVAL=0", "INTERVAL has numbers from 1 to 999."),
    ("FREQ=DAILY;COUNT=1001", "COUNT has numbers from 1 to 1000."),
    ("FREQ=DAILY;COUNT=2;UNTIL=20300101", "UNTIL excludes COUNT."),
    ("FREQ=DAILY;UNTIL=20300230", "UNTIL is a day such as 20301231, or a moment such as 20301231T235900Z."),
    ("FREQ=DAILY;UNTIL=2030-01-01", "UNTIL is a day such as 20301231, or a moment such as 20301231T235900Z."),
    ("FREQ=WEEKLY;BYDAY=2MO", "BYDAY has numbers with FREQ=MONTHLY and FREQ=YEARLY only."),
    ("FREQ=MONTHLY;BYDAY=6MO", "BYDAY has no more than five of a weekday in a month."),
    ("FREQ=YEARLY;BYMONTH=12;BYDAY=53TH", "BYDAY has no more than five of a weekday in a month."),
    ("FREQ=YEARLY;BYDAY=54MO", "BYDAY has weekdays such as MO, 1MO to 53MO, or -1MO to -53MO."),
    ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY excludes FREQ=WEEKLY."),
    ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY has numbers from 1 to 31 or -31 to -1."),
    ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY has numbers from 1 to 31 or -31 to -1."),
    ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS needs another BY part."),
    ("FREQ=DAILY;WKST=XX", "WKST=XX is not supported."),
    ("FREQ=DAILY;FREQ=WEEKLY", "FREQ stands there twice."),
    ("INTERVAL=2", "FREQ is missing."),
    ("", "'' is not supported."),
    ("FREQ=DAILY;", "'' is not supported."),
    ("FREQ=DAILY\nEXDATE:20260101", "FREQ=DAILY\nEXDATE:20260101 is not supported."),
    ("FREQ=DA\u0131LY", "A rule has ASCII characters only."),
    ("FREQ=DAILY;BYMONTH=" + "1," * 120 + "1", "A rule has up to 250 characters."),
    (
        f"FREQ=DAILY;BYMINUTE={','.join(map(str, range(60)))};BYHOUR=1,2;BYMONTH=1",
        "A rule has up to 62 values.",
    ),
]


@pytest.mark.parametrize(("rule", "detail"), NAMED)
def test_what_is_not_supported_is_named(rule: str, detail: str) -> None:
    with pytest.raises(RuleUnsupported) as refused:
        series.start(rule, UTC, instant("2026-12-01T09:00Z"))
    assert refused.value.detail == detail


@pytest.mark.parametrize("part", ["FREQ=HOURLY", "BYHOUR", "BYMINUTE"])
def test_times_need_a_due_time(part: str) -> None:
    rule = part if "=" in part else f"FREQ=DAILY;{part}=9"
    with pytest.raises(RuleUnsupported, match=f"{part} needs a due time"):
        series.start(rule, UTC, due("2026-12-01"))
    assert series.start(rule, UTC, due("2026-12-01T09:00Z"))


NEVER = [
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=MONTHLY;BYMONTH=4;BYMONTHDAY=31",
    "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=6",
    "FREQ=MONTHLY;INTERVAL=12;BYMONTH=1;BYMONTHDAY=1",
    "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2",
    "FREQ=DAILY;BYHOUR=9;BYSETPOS=2",
    "FREQ=DAILY;INTERVAL=7;BYDAY=MO",
    "FREQ=HOURLY;INTERVAL=2;BYHOUR=2,4",
    "FREQ=HOURLY;BYMINUTE=1;BYSETPOS=2",
    "FREQ=YEARLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=WE",
    "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=WE",
]


@pytest.mark.parametrize("rule", NEVER)
def test_a_rule_without_an_occurrence_in_eight_years_is_refused(rule: str) -> None:
    with pytest.raises(RuleNever) as refused:
        series.start(rule, UTC, instant("2025-12-02T09:00Z"))  # a Tuesday
    assert (refused.value.code, refused.value.pointer) == ("rule_never", "/recurrence/rule")


@pytest.mark.parametrize("first", ["1896-03-01", "2024-03-01", "2096-03-01", "2097-01-01", "2100-02-28", "2900-12-31"])
@pytest.mark.parametrize("frequency", ["YEARLY", "MONTHLY", "DAILY"])
def test_a_leap_day_is_never_too_far(first: str, frequency: str) -> None:
    day = max(due(first), dt.date(1900, 1, 1))
    found = series.start(f"FREQ={frequency};BYMONTH=2;BYMONTHDAY=29", UTC, day)
    following = series.preview(found, day, 2).occurrences[1]
    assert (following.month, following.day) == (2, 29)


@pytest.mark.parametrize("frequency", ["YEARLY", "MONTHLY", "DAILY"])
def test_what_comes_after_more_than_eight_years_is_not_waited_for(frequency: str) -> None:
    monday = due("2044-02-29")
    found = series.start(f"FREQ={frequency};BYMONTH=2;BYMONTHDAY=29;BYDAY=MO", UTC, monday)
    assert series.preview(found, monday, 2) == ([monday], True)


def test_the_stored_rule() -> None:
    karachi, moment = ZoneInfo("Asia/Karachi"), instant("2026-12-01T04:00Z")
    for sent, stored in [
        ("rrule:freq=daily;until=20261202t040000z", "FREQ=DAILY;UNTIL=20261202T090000"),
        ("FREQ=DAILY;UNTIL=20261203", "FREQ=DAILY;UNTIL=20261203"),
        ("FREQ=DAILY;UNTIL=99991231T235959Z", "FREQ=DAILY;UNTIL=99991231T235959"),
        ("FREQ=DAILY;UNTIL=00010101T000000Z", "FREQ=DAILY;UNTIL=00010101T042812"),
        ("FREQ=MONTHLY;COUNT=3", "FREQ=MONTHLY;COUNT=3"),
    ]:
        assert series.start(sent, karachi, moment).rule.text == stored


# The rule, its zone, and dues, each the next of the one before: facts from public reports, and of calendars.
FACTS = [
    ("FREQ=MONTHLY", "UTC", "2021-03-31 2021-04-30"),
    ("FREQ=MONTHLY;BYMONTHDAY=30", "UTC", "2026-01-30 2026-03-30"),
    ("FREQ=MONTHLY;COUNT=3", "UTC", "2026-01-31 2026-02-28 2026-03-31"),
    ("FREQ=MONTHLY;BYHOUR=9", "UTC", "2026-01-31T09:00Z 2026-03-31T09:00Z"),
    ("FREQ=DAILY", "Europe/Madrid", "2026-03-28T08:00Z 2026-03-29T07:00Z"),
    ("FREQ=DAILY", "Europe/Madrid", "2026-10-24T07:00Z 2026-10-25T08:00Z"),
    ("FREQ=DAILY", "Australia/Sydney", "2023-09-30 2023-10-01"),
    ("FREQ=DAILY", "Pacific/Auckland", "2022-09-24 2022-09-25"),
    ("FREQ=DAILY", "Europe/Berlin", "2026-03-28T01:30Z 2026-03-29T01:30Z 2026-03-30T00:30Z"),
    ("FREQ=DAILY", "Europe/Berlin", "2026-10-24T00:30Z 2026-10-25T00:30Z 2026-10-26T01:30Z"),
    # Both in the gap and after it: in the order of time, each moment once.
    ("FREQ=DAILY;BYHOUR=2,3;BYMINUTE=0,30", "Europe/Berlin", "2026-03-28T02:30Z 2026-03-29T01:00Z 2026-03-29T01:30Z"),
    (
        "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=0,45;BYSETPOS=2,3",
        "Europe/Berlin",
        "2026-03-28T02:00Z 2026-03-29T01:00Z 2026-03-29T01:45Z",
    ),
    # Half an hour of summer time: 02:15 is in the gap, 01:45 comes twice.
    ("FREQ=DAILY", "Australia/Lord_Howe", "2026-10-02T15:45Z 2026-10-03T15:45Z 2026-10-04T15:15Z"),
    ("FREQ=DAILY", "Australia/Lord_Howe", "2026-04-03T14:45Z 2026-04-04T14:45Z 2026-04-05T15:15Z"),
    ("FREQ=HOURLY", "Australia/Lord_Howe", "2026-10-03T14:45Z 2026-10-03T15:45Z 2026-10-03T16:45Z"),
    ("FREQ=HOURLY;BYMINUTE=0", "Australia/Lord_Howe", "2026-10-03T14:30Z 2026-10-03T16:00Z 2026-10-03T17:00Z"),
    ("FREQ=HOURLY;BYHOUR=4;BYMINUTE=15", "Australia/Lord_Howe", "2026-10-02T17:45Z 2026-10-03T17:15Z"),
    # Samoa had no 30 December 2011; the day belongs to no zone.
    ("FREQ=DAILY", "Pacific/Apia", "2011-12-28T19:00Z 2011-12-29T19:00Z 2011-12-30T19:00Z 2011-12-31T19:00Z"),
    ("FREQ=DAILY;INTERVAL=2", "Pacific/Apia", "2011-12-28T19:00Z 2011-12-30T19:00Z 2011-12-31T19:00Z"),
    ("FREQ=DAILY", "Pacific/Apia", "2011-12-29 2011-12-30 2011-12-31"),
    ("FREQ=WEEKLY;BYDAY=FR", "Pacific/Apia", "2011-12-23T19:00Z 2011-12-30T19:00Z 2012-01-05T19:00Z"),
    ("FREQ=DAILY", "Pacific/Kiritimati", "1994-12-30T10:40Z 1994-12-31T10:40Z 1995-01-01T10:40Z"),
    # The gap at midnight of the Persian new year, until 2022.
    ("FREQ=DAILY", "Asia/Tehran", "2021-03-20T21:00Z 2021-03-21T21:00Z 2021-03-22T20:00Z"),
    ("FREQ=DAILY", "Asia/Tehran", "2023-03-20T21:00Z 2023-03-21T21:00Z 2023-03-22T21:00Z"),
    ("FREQ=HOURLY;INTERVAL=2;BYHOUR=9,11", "Asia/Kolkata", "2026-12-01T03:30Z 2026-12-01T05:30Z 2026-12-02T03:30Z"),
    ("FREQ=HOURLY;BYHOUR=1", "Europe/Berlin", "2026-10-23T23:00Z 2026-10-24T23:00Z 2026-10-26T00:00Z"),
    ("FREQ=HOURLY;BYHOUR=2", "Europe/Berlin", "2026-10-24T00:00Z 2026-10-25T00:00Z 2026-10-25T01:00Z"),
    ("FREQ=HOURLY;INTERVAL=100;BYMONTH=1", "Pacific/Kiritimati", "2026-12-27T11:00Z 2026-12-31T15:00Z"),
    ("FREQ=HOURLY;INTERVAL=100;BYMONTH=1", "Pacific/Honolulu", "2027-01-28T01:00Z 2027-02-01T05:00Z"),
    ("FREQ=DAILY;BYMONTHDAY=-1,15", "UTC", "2026-01-31 2026-02-15 2026-02-28 2026-03-15"),
    ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO", "UTC", "2026-11-30 2026-12-06 2026-12-14"),
    ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU", "UTC", "2026-11-30 2026-12-13 2026-12-14"),
    ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1", "UTC", "2026-12-02 2026-12-07"),
    ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "UTC", "2026-11-30 2026-12-31 2027-01-29"),
    ("FREQ=YEARLY;INTERVAL=4", "UTC", "2096-02-29 2100-02-28 2104-02-29"),
    ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "UTC", "2096-02-29 2104-02-29"),
    ("FREQ=DAILY", "UTC", "1900-02-28 1900-03-01"),
    ("FREQ=DAILY", "UTC", "2000-02-28 2000-02-29"),
    ("FREQ=YEARLY;INTERVAL=10", "UTC", "1900-01-01 1910-01-01 1920-01-01"),
    ("FREQ=YEARLY;INTERVAL=999", "UTC", "1900-01-01 2899-01-01"),
    ("FREQ=WEEKLY;INTERVAL=500;BYDAY=MO", "UTC", "2100-05-03 2109-12-02"),
]


@pytest.mark.parametrize(("rule", "zone", "dues"), FACTS)
def test_facts_of_calendars(rule: str, zone: str, dues: str) -> None:
    first, *others = expected = [due(each) for each in dues.split()]
    found = series.start(rule, ZoneInfo(zone), first)
    assert series.preview(found, first, len(expected)).occurrences == expected
    for earlier, later in pairwise(expected):
        at = earlier if isinstance(earlier, dt.datetime) else dt.datetime.combine(earlier, dt.time(), ZoneInfo(zone))
        advance = series.skip(found, earlier, at)
        assert advance.due == later and advance.series is not None
        found = advance.series


@pytest.mark.parametrize("last", ["2999-12-31", "2999-12-30T00:00Z"])
@pytest.mark.parametrize("frequency", rules.FREQUENCIES)
def test_after_the_last_possible_due_comes_none(frequency: str, last: str) -> None:
    if frequency == "HOURLY" and "T" not in last:
        return
    found = series.start(f"FREQ={frequency}", ZoneInfo("Asia/Tokyo"), due(last))
    assert series.preview(found, due(last), 3) == ([due(last)], True)
