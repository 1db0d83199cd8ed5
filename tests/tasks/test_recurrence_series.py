"""How a series advances: completed early, late and from completion, skipped, moved, counted down; and its words."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from tasks.recurrence import calendar, series, words
from tasks.recurrence.calendar import Due
from tests.tasks.test_recurrence import due, instant

UTC = ZoneInfo("UTC")
TIMED: Due = instant("2026-12-01T09:00Z")  # a Tuesday

# The rule, the due, when it is completed, the next due: facts from public reports.
COMPLETED = [
    ("FREQ=WEEKLY;BYDAY=MO", "2026-09-14T08:00Z", "2026-09-13T10:00Z", "2026-09-21T08:00Z"),
    ("FREQ=WEEKLY;BYDAY=MO", "2026-09-14T08:00Z", "2026-09-16T10:00Z", "2026-09-21T08:00Z"),
    ("FREQ=WEEKLY;BYDAY=MO", "2026-09-14T08:00Z", "2026-09-30T10:00Z", "2026-10-05T08:00Z"),
    ("FREQ=DAILY", "2026-09-14T10:00Z", "2026-09-14T09:00Z", "2026-09-15T10:00Z"),
    ("FREQ=HOURLY", "2026-09-14T10:00Z", "2026-09-14T12:00Z", "2026-09-14T13:00Z"),
    # Late, and still in phase with the first.
    ("FREQ=HOURLY;INTERVAL=5", "2026-09-14T10:00Z", "2026-09-14T17:00Z", "2026-09-14T20:00Z"),
    ("FREQ=DAILY;INTERVAL=5", "2026-09-01", "2026-09-08T10:00Z", "2026-09-11"),
    ("FREQ=WEEKLY;INTERVAL=2", "2026-09-14", "2026-09-22T10:00Z", "2026-09-28"),
    ("FREQ=MONTHLY;INTERVAL=5", "2026-01-10", "2026-02-15T10:00Z", "2026-06-10"),
    ("FREQ=YEARLY;INTERVAL=3", "2020-05-01", "2021-06-01T10:00Z", "2023-05-01"),
    ("FREQ=YEARLY;BYDAY=2SU;BYMONTH=5", "2026-05-10", "2026-05-10T20:00Z", "2027-05-09"),
]
FROM_COMPLETION = [
    ("FREQ=DAILY;INTERVAL=30", "2024-12-17", "2024-12-17T10:00Z", "2025-01-16"),
    ("FREQ=DAILY", "2022-05-20", "2022-05-17T10:00Z", "2022-05-18"),
    ("FREQ=DAILY", "2022-05-20T09:00Z", "2022-05-17T08:00Z", "2022-05-18T09:00Z"),
    ("FREQ=DAILY;BYHOUR=9,20", "2022-05-20T09:00Z", "2022-05-20T21:00Z", "2022-05-21T09:00Z"),
    ("FREQ=WEEKLY", "2026-11-23", "2026-11-26T10:00Z", "2026-12-03"),
    ("FREQ=WEEKLY;BYDAY=MO", "2026-11-23", "2026-11-26T10:00Z", "2026-11-30"),
    ("FREQ=MONTHLY", "2026-01-31", "2026-02-10T10:00Z", "2026-03-10"),
    ("FREQ=MONTHLY", "2026-01-10", "2026-01-31T10:00Z", "2026-02-28"),
    ("FREQ=HOURLY;INTERVAL=6", "2026-01-10T09:00Z", "2026-01-10T18:40:31Z", "2026-01-11T00:40Z"),
]


@pytest.mark.parametrize(("rule", "first", "at", "following"), COMPLETED)
def test_completed(rule: str, first: str, at: str, following: str) -> None:
    found = series.start(rule, UTC, due(first))
    assert series.complete(found, due(first), instant(at)).due == due(following)


@pytest.mark.parametrize(("rule", "first", "at", "following"), FROM_COMPLETION)
def test_counted_from_completion(rule: str, first: str, at: str, following: str) -> None:
    found = series.start(rule, UTC, due(first), from_completion=True)
    advance = series.complete(found, due(first), instant(at))
    assert (advance.due, advance.missed) == (due(following), 0)
    assert advance.series is not None and advance.series.rule.text == rule
    assert series.complete(advance.series, due(following), instant(at)).due == due(following)  # twice on one day


def test_from_completion_the_other_times_of_that_day_stay() -> None:
    found = series.start("FREQ=DAILY;BYHOUR=9,20", UTC, TIMED, from_completion=True)
    assert series.complete(found, TIMED, instant("2026-12-01T10:00Z")).due == due("2026-12-01T20:00Z")


def test_the_local_day_of_completion_counts() -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    found = series.start("FREQ=DAILY;INTERVAL=2", tokyo, due("2026-11-20"), from_completion=True)
    assert series.complete(found, due("2026-11-20"), instant("2026-11-20T16:00Z")).due == due("2026-11-23")


def test_a_rule_that_never_comes_after_completion_is_over() -> None:
    found = series.start("FREQ=DAILY;INTERVAL=7;BYDAY=MO", UTC, due("2026-11-23"), from_completion=True)
    assert series.complete(found, due("2026-11-23"), instant("2026-11-24T10:00Z")) == (None, None, 0)
    found = series.start("FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29", UTC, due("2028-02-29"), from_completion=True)
    assert series.complete(found, due("2028-02-29"), instant("2029-02-28T10:00Z")) == (None, None, 0)


def test_skipping_moves_to_the_next_that_is_to_come() -> None:
    found = series.start("FREQ=DAILY;INTERVAL=3", UTC, due("2026-11-01"), from_completion=True)
    advance = series.skip(found, due("2026-11-01"), instant("2026-11-01T10:00Z"))
    assert (advance.due, advance.missed) == (due("2026-11-04"), 0)
    assert advance.series is not None
    assert series.skip(advance.series, due("2026-11-04"), instant("2026-11-11T10:00Z"))[1:] == (due("2026-11-13"), 2)


@pytest.mark.parametrize(
    ("moved", "at", "following", "missed"),
    [
        ("2026-09-10T08:00Z", "2026-09-10T08:00Z", "2026-09-21T08:00Z", 0),  # earlier: not the 14th again
        ("2026-09-16T08:00Z", "2026-09-16T08:00Z", "2026-09-21T08:00Z", 0),
        ("2026-09-22T08:00Z", "2026-09-15T08:00Z", "2026-09-28T08:00Z", 1),  # past the next one
        ("2026-09-20", "2026-09-15T08:00Z", "2026-09-21T08:00Z", 0),  # to a whole day
        ("2026-09-21", "2026-09-15T08:00Z", "2026-09-28T08:00Z", 1),
    ],
)
def test_a_due_that_was_moved_changes_no_other(moved: str, at: str, following: str, missed: int) -> None:
    found = series.start("FREQ=WEEKLY", UTC, due("2026-09-14T08:00Z"))
    assert series.complete(found, due(moved), instant(at))[1:] == (due(following), missed)
    assert series.preview(found, due(moved), 2).occurrences == [due(moved), due(following)]


def test_an_all_day_series_stays_all_day() -> None:
    found = series.start("FREQ=WEEKLY", ZoneInfo("Asia/Tokyo"), due("2026-09-14"))
    assert series.complete(found, due("2026-09-20T15:30Z"), instant("2026-09-15T08:00Z")).due == due("2026-09-28")


def test_a_time_in_a_gap_comes_back_the_next_day() -> None:
    berlin, first = ZoneInfo("Europe/Berlin"), due("2026-03-28T01:30Z")
    advance = series.complete(series.start("FREQ=DAILY", berlin, first), first, instant("2026-03-28T01:30Z"))
    assert advance.series is not None and advance.due is not None
    assert advance.series.anchor == dt.datetime(2026, 3, 29, 2, 30)  # noqa: DTZ001  # a wall clock, which nobody saw
    assert series.complete(advance.series, advance.due, instant("2026-03-29T01:30Z")).due == due("2026-03-30T00:30Z")


def test_a_day_that_was_left_out_is_the_day_after() -> None:
    """Samoa's Friday, 30 December 2011, looked for on the Saturday."""
    first = due("2011-12-23T19:00Z")
    found = series.start("FREQ=WEEKLY;BYDAY=FR", ZoneInfo("Pacific/Apia"), first)
    assert series.complete(found, first, instant("2011-12-30T12:00Z")).due == due("2011-12-30T19:00Z")


def test_missed_ones_use_up_the_count() -> None:
    first = due("2026-12-01")
    found = series.start("FREQ=DAILY;COUNT=5", UTC, first)
    advance = series.complete(found, first, instant("2026-12-03T10:00Z"))
    assert (advance.due, advance.missed) == (due("2026-12-04"), 2)
    assert advance.series is not None and advance.series.left == 2
    assert series.preview(advance.series, due("2026-12-04"), 9) == ([due("2026-12-04"), due("2026-12-05")], True)
    assert series.complete(found, first, instant("2026-12-31T10:00Z")) == (None, None, 4)


def test_a_count_from_completion_counts_completions() -> None:
    first = due("2026-12-01")
    found = series.start("FREQ=DAILY;COUNT=2", UTC, first, from_completion=True)
    advance = series.complete(found, first, instant("2026-12-20T10:00Z"))
    assert advance.due == due("2026-12-21")
    assert advance.series is not None and advance.series.left == 1
    assert series.complete(advance.series, due("2026-12-21"), instant("2026-12-21T10:00Z")).series is None


def test_not_more_than_a_thousand_missed_ones_are_counted() -> None:
    first = due("1900-01-02T00:00Z")
    advance = series.complete(series.start("FREQ=HOURLY", UTC, first), first, instant("2026-11-28T12:30Z"))
    assert (advance.due, advance.missed) == (due("2026-11-28T13:00Z"), 1000)


def test_what_is_past_its_until_has_no_next() -> None:
    first = due("2026-12-01")
    found = series.start("FREQ=DAILY;UNTIL=20200101", UTC, first)
    assert series.preview(found, first, 5) == ([first], True)
    assert series.complete(found, first, instant("2026-12-01T10:00Z")) == (None, None, 0)


@pytest.mark.parametrize(
    ("first", "days", "shifted"),
    [
        ("2026-03-28T01:30Z", 1, "2026-03-29T01:30Z"),
        ("2026-03-28T09:00Z", 2, "2026-03-30T08:00Z"),
        ("2026-03-30", -30, "2026-02-28"),
        ("2999-12-30", 9, "2999-12-31"),
        ("1900-01-02T00:00Z", -9, "1900-01-02T00:00Z"),
        ("2999-12-29T00:00Z", 9, "2999-12-30T00:00Z"),
    ],
)
def test_shifting_by_local_days(first: str, days: int, shifted: str) -> None:
    assert calendar.shift(due(first), days, ZoneInfo("Europe/Berlin")) == due(shifted)


WORDS = [
    ("FREQ=DAILY", "every day"),
    ("FREQ=DAILY;INTERVAL=3;COUNT=5", "every 3 days, 5 times"),
    ("FREQ=DAILY;COUNT=1", "every day, once"),
    ("FREQ=DAILY;UNTIL=20270105", "every day, until 5 January 2027"),
    ("FREQ=DAILY;BYHOUR=9,17", "every day at 09:00 and 17:00"),
    ("FREQ=DAILY;BYMINUTE=15", "every day at 09:15"),
    ("FREQ=DAILY;BYHOUR=6,9,12,15;BYMINUTE=0,30", "every day at 8 times of the day"),
    ("FREQ=DAILY;BYMONTH=6,7,8", "every day in June, July and August"),
    ("FREQ=WEEKLY", "every week on Tuesday"),
    ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TH,MO", "every 2 weeks on Monday and Thursday"),
    ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "every week on weekdays"),
    ("FREQ=MONTHLY", "every month on the 1st"),
    (
        "FREQ=MONTHLY;BYMONTHDAY=2,3,11,22,-1,-2",
        "every month on the 2nd to last day, last day, 2nd, 3rd, 11th and 22nd",
    ),
    ("FREQ=MONTHLY;BYDAY=-1FR", "every month on the last Friday"),
    ("FREQ=MONTHLY;BYDAY=1MO,-2WE", "every month on the first Monday and the second to last Wednesday"),
    ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "every month on Friday that is the 13th"),
    ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "every month on the last weekday"),
    ("FREQ=MONTHLY;BYDAY=SA,SU;BYSETPOS=1", "every month on the first weekend day"),
    ("FREQ=MONTHLY;BYDAY=FR;BYSETPOS=2", "every month on the second Friday"),
    ("FREQ=MONTHLY;BYDAY=MO,TH;BYSETPOS=1,-1", "every month on Monday and Thursday, the last and first of them"),
    ("FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1", "every month on the last day"),
    ("FREQ=MONTHLY;BYMONTHDAY=28,29,30;BYSETPOS=-1", "every month on the 30th, or the last day of a shorter month"),
    ("FREQ=YEARLY", "every year on 1 December"),
    ("FREQ=YEARLY;BYMONTH=5;BYDAY=2SU", "every year in May on the second Sunday"),
    ("FREQ=YEARLY;BYMONTH=1,7;BYMONTHDAY=1", "every year in January and July on the 1st"),
    ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=28,29;BYSETPOS=-1", "every year on 29 February, or the last day of that month"),
    ("FREQ=YEARLY;BYDAY=20MO", "every year on the 20th Monday"),
    ("FREQ=HOURLY;INTERVAL=2", "every 2 hours"),
    ("FREQ=HOURLY;BYHOUR=9,10;BYMINUTE=0,30", "every hour in the hours 09 and 10 at minute 0 and 30"),
]


@pytest.mark.parametrize(("rule", "text"), WORDS)
def test_words(rule: str, text: str) -> None:
    assert words.describe(series.start(rule, UTC, TIMED)) == text


def test_words_of_month_ends_and_completion() -> None:
    last = due("2026-01-31")
    assert words.describe(series.start("FREQ=MONTHLY", UTC, last)) == "every month on the last day"
    leap = due("2028-02-29")
    assert words.describe(series.start("FREQ=YEARLY;INTERVAL=2", UTC, leap)) == (
        "every 2 years on 29 February, or the last day of that month"
    )
    again = series.start("FREQ=MONTHLY;INTERVAL=3", UTC, last, from_completion=True)
    assert words.describe(again) == "every 3 months from completion"
