"""What holds for every recurrence, tried with rules that Hypothesis makes up, and beside dateutil on its own."""

import datetime as dt
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from dateutil import rrule
from hypothesis import assume, given
from hypothesis import strategies as st

from config.errors import Invalid
from config.values import FIRST_DATE, FIRST_INSTANT, LAST_DATE, LAST_INSTANT
from tasks.recurrence import calendar, rules, series, words
from tasks.recurrence.calendar import Due
from tasks.recurrence.rules import RuleUnsupported
from tasks.recurrence.series import Series

pytestmark = pytest.mark.thorough

ZONES = (
    "UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kiritimati",
    "Asia/Tehran", "America/Sao_Paulo", "Africa/Casablanca", "Pacific/Kwajalein", "Asia/Kathmandu",
)  # fmt: skip
UTC = ZoneInfo("UTC")
WHOLE = dt.timedelta(minutes=1)


def numbers(lowest: int, highest: int) -> st.SearchStrategy[str]:
    values = st.integers(lowest, highest).filter(lambda each: each or lowest >= 0)
    return st.lists(values, min_size=1, max_size=4, unique=True).map(lambda each: ",".join(map(str, each)))


@st.composite
def texts(draw: st.DrawFn, frequencies: tuple[str, ...] = rules.FREQUENCIES) -> str:
    frequency = draw(st.sampled_from(frequencies))
    nth = frequency in ("MONTHLY", "YEARLY")
    weekday = st.tuples(st.sampled_from(("", "1", "2", "-1") if nth else ("",)), st.sampled_from(rules.WEEKDAYS))
    weekdays = st.lists(weekday.map("".join), min_size=1, max_size=5, unique=True).map(",".join)
    parts = {
        "INTERVAL": st.integers(1, 60).map(str),
        "WKST": st.sampled_from(rules.WEEKDAYS),
        "BYMONTH": numbers(1, 12),
        "BYDAY": weekdays,
        "BYMONTHDAY": numbers(-31, 31),
        "BYHOUR": numbers(0, 23),
        "BYMINUTE": numbers(0, 59),
        "BYSETPOS": numbers(-3, 3),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(parts)), max_size=3))
    return ";".join([f"FREQ={frequency}", *(f"{name}={draw(parts[name])}" for name in sorted(chosen))])


def instants(first: dt.datetime, last: dt.datetime) -> st.SearchStrategy[dt.datetime]:
    return st.integers(0, (last - first) // WHOLE).map(lambda minutes: first + minutes * WHOLE)


NEAR = instants(dt.datetime(1960, 1, 2, tzinfo=dt.UTC), dt.datetime(2090, 1, 1, tzinfo=dt.UTC))
dues = st.one_of(instants(FIRST_INSTANT, LAST_INSTANT), NEAR, st.dates(FIRST_DATE, LAST_DATE))
zones = st.sampled_from(ZONES).map(ZoneInfo)


def started(text: str, zone: ZoneInfo, due: Due, *, from_completion: bool = False) -> Series:
    """Rules that are refused are not what a test is about."""
    try:
        return series.start(text, zone, due, from_completion=from_completion)
    except Invalid:
        assume(False)
        raise


@given(texts(), zones, dues)
def test_the_next_is_later_and_of_the_same_kind(text: str, zone: ZoneInfo, due: Due) -> None:
    found = series.preview(started(text, zone, due), due, 30).occurrences
    assert found[0] == due
    assert all(earlier < later for earlier, later in pairwise(found))
    assert {type(each) for each in found} == {type(due)}
    last = LAST_INSTANT if isinstance(due, dt.datetime) else LAST_DATE
    assert found[-1] <= last


@given(texts(("YEARLY", "MONTHLY", "WEEKLY", "DAILY")), zones, NEAR)
def test_local_time_is_kept_but_in_gaps(text: str, zone: ZoneInfo, due: dt.datetime) -> None:
    assume("BYHOUR" not in text and "BYMINUTE" not in text)
    found = started(text, zone, due)
    time = calendar.to_wall(due, zone).time()
    for each in series.preview(found, due, 40).occurrences[1:]:
        assert isinstance(each, dt.datetime)
        wall = calendar.to_wall(each, zone)
        meant = [dt.datetime.combine(wall.date() - dt.timedelta(days=back), time) for back in (0, 1)]
        in_gap = [one for one in meant if calendar.to_wall(calendar.to_utc(one, zone), zone) != one]
        assert wall.time() == time or each in [calendar.to_utc(one, zone) for one in in_gap]


@given(texts(), zones, dues, st.booleans())
def test_a_series_that_advances_goes_where_its_preview_said(
    text: str, zone: ZoneInfo, due: Due, has_count: bool
) -> None:
    """Each advance makes a new anchor, from which the next is counted."""
    begun = started(f"{text};COUNT=9" if has_count else text, zone, due)
    said = series.preview(begun, due, 12).occurrences
    now, found = due, begun
    for expected in said[1:]:
        at = now if isinstance(now, dt.datetime) else dt.datetime.combine(now, dt.time(0), zone)
        advance = series.complete(found, now, at)
        assert (advance.due, advance.missed) == (expected, 0)
        assert advance.series is not None
        found, now = advance.series, expected
    if has_count and len(said) == 9:
        assert series.complete(found, now, dt.datetime(1900, 1, 2, tzinfo=dt.UTC)).series is None


@given(texts(), zones, NEAR, st.integers(0, 3_000_000))
def test_late_the_missed_ones_are_those_that_passed(text: str, zone: ZoneInfo, due: dt.datetime, minutes: int) -> None:
    found, at = started(text, zone, due), due + minutes * WHOLE
    said = series.preview(found, due, 90).occurrences[1:]
    assume(len(said) == 89 and said[-1] > at)
    advance = series.complete(found, due, at)
    assert advance.missed == sum(each <= at for each in said)
    assert advance.due == said[advance.missed]


@given(texts(), zones, dues, NEAR)
def test_from_completion_the_day_counts_alone(text: str, zone: ZoneInfo, due: Due, at: dt.datetime) -> None:
    advance = series.complete(started(text, zone, due, from_completion=True), due, at)
    if advance.due is not None:
        assert advance.due > (at if isinstance(due, dt.datetime) else calendar.local_date(at, zone))
        assert advance.series is not None and advance.series.rule.text == text


@given(texts(), NEAR)
def test_in_utc_the_occurrences_are_those_of_dateutil(text: str, due: dt.datetime) -> None:
    found = started(text, UTC, due)
    # dateutil begins with a part of a week, where BYSETPOS counts otherwise, and has nothing but hours of the anchor.
    assume("BYSETPOS" not in text or "WEEKLY" not in text)
    alone = rrule.rrulestr(found.rule.text, dtstart=due.replace(tzinfo=None))
    last = due + dt.timedelta(days=7 * 365)
    expected = []
    for each in islice(alone.xafter(due.replace(tzinfo=None)), 25):
        if each.replace(tzinfo=dt.UTC) > last:
            break
        expected.append(each.replace(tzinfo=dt.UTC))
    assert series.preview(found, due, 26).occurrences[1 : len(expected) + 1] == expected


@given(texts(("HOURLY",)), zones, NEAR)
def test_hours_are_counted_in_utc_and_named_in_local_time(text: str, zone: ZoneInfo, due: dt.datetime) -> None:
    assume("BYMINUTE" not in text and "BYSETPOS" not in text)
    found = started(text, zone, due)
    rule, expected, at = found.rule, [], due
    for _ in range(400 * 24 // rule.interval):
        at += dt.timedelta(hours=rule.interval)
        wall = calendar.to_wall(at, zone)
        lasting = (wall.replace(day=1) + dt.timedelta(days=32)).replace(day=1) - wall.replace(day=1)  # the month
        ends = {wall.day, wall.day - lasting.days - 1}
        named = [not rule.months or wall.month in rule.months, not rule.hours or wall.hour in rule.hours]
        named.append(not rule.weekdays or (wall.weekday(), 0) in rule.weekdays)
        if all(named) and (not rule.month_days or ends & set(rule.month_days)):
            expected.append(at)
    assert series.preview(found, due, 101).occurrences[1 : len(expected) + 1] == expected[:100]


@given(texts(), dues)
def test_the_canonical_form_is_its_own(text: str, due: Due) -> None:
    stored = started(f"rrule:{text.lower()}", UTC, due).rule
    again = started(stored.text, UTC, due).rule
    assert again == stored


@given(st.text(max_size=60) | st.from_regex(r"(FREQ=DAILY;)?[A-Z]{3,10}=[-+,0-9A-Z]{0,12}", fullmatch=True), zones)
def test_any_text_is_a_rule_or_refused(text: str, zone: ZoneInfo) -> None:
    try:
        rule = rules.parse(text, zone)
    except RuleUnsupported as refused:
        assert refused.pointer == "/recurrence/rule" and len(refused.detail) < 200
    else:
        assert rules.parse(rule.text, zone) == rule


@given(texts(), zones, dues, st.booleans())
def test_every_series_has_words(text: str, zone: ZoneInfo, due: Due, from_completion: bool) -> None:
    said = words.describe(started(text, zone, due, from_completion=from_completion))
    assert said.startswith("every ")
    assert not {"  ", "None", "()"} & {said[at : at + 4] for at in range(len(said))}


@pytest.mark.parametrize("days", [-800, -1, 0, 1, 800])
@given(zones, NEAR)
def test_shifting_keeps_the_time_of_day(days: int, zone: ZoneInfo, due: dt.datetime) -> None:
    wall = calendar.to_wall(due, zone) + dt.timedelta(days=days)
    assert calendar.shift(due, days, zone) == calendar.to_utc(wall, zone)
