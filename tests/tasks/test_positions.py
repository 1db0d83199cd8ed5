"""Fractional keys: always one between two, in order, and short; also what is no key, and the keys of the clock."""

import datetime as dt
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.positions import DIGITS, FIRST, MAX_LENGTH, between, is_valid, newest, spread

SMALLEST, LOWEST = "A" + "0" * 26, "A" + "0" * 26 + "1"
SECOND = "A" + "0" * 25 + "1"  # the integer after the smallest, before which npm's package finds nothing
LARGEST = "z" * 27
ENDS = [None, LOWEST, SECOND, "Zz", FIRST, "az", LARGEST, LARGEST + "z" * 20]
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
NOW = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
INSERTS = 2000

digits = st.one_of(st.sampled_from(DIGITS), st.sampled_from("01yz"))  # carries and borrows happen at the ends


@st.composite
def keys(draw: st.DrawFn) -> str:
    head = draw(st.one_of(st.sampled_from(DIGITS[10:]), st.sampled_from("AYZabhz")))
    size = abs(DIGITS.index(head) - DIGITS.index("a")) + (head >= "a")
    integer = head + "".join(draw(st.lists(digits, min_size=size, max_size=size)))
    fraction = draw(st.text(digits, max_size=12)).rstrip("0")
    assume(integer + fraction != SMALLEST)
    return integer + fraction


ends = st.one_of(st.none(), keys())
instants = st.integers(0, 2**47).map(lambda milliseconds: EPOCH + dt.timedelta(milliseconds=milliseconds))


def is_within(low: str | None, found: list[str], high: str | None) -> bool:
    line = [key for key in [low, *found, high] if key is not None]
    return all(one < other for one, other in pairwise(line))


def is_possible(low: str | None, high: str | None) -> bool:
    return low is None or high is None or low < high


@given(keys())
def test_a_key_is_valid_and_with_a_zero_more_it_is_none(key: str) -> None:
    assert is_valid(key)
    assert not is_valid(key + "0")


@given(ends, ends)
def test_a_key_between_two_is_valid_and_strictly_between(low: str | None, high: str | None) -> None:
    assume(is_possible(low, high))
    key = between(low, high)
    assert is_valid(key) and is_within(low, [key], high)
    assert len(key) <= max(len(low or FIRST), len(high or FIRST)) + 1


@given(keys())
def test_nothing_is_between_a_key_and_itself_or_a_smaller_one(key: str) -> None:
    for low in (key, between(key, None)):
        with pytest.raises(ValueError, match="nothing between"):
            between(low, key)


@given(ends, ends, st.integers(0, 70))
def test_several_keys_between_two_are_valid_and_in_order(low: str | None, high: str | None, count: int) -> None:
    assume(is_possible(low, high))
    found = spread(low, high, count)
    assert len(found) == count
    assert all(map(is_valid, found)) and is_within(low, found, high)


@pytest.mark.parametrize("low", ENDS)
@pytest.mark.parametrize("high", ENDS)
def test_there_is_room_at_the_ends_of_all_keys(low: str | None, high: str | None) -> None:
    if is_possible(low, high):
        found = spread(low, high, 5)
        assert all(map(is_valid, found)) and is_within(low, found, high)


def test_many_keys_at_once_stay_short() -> None:
    assert max(map(len, spread(None, None, 100_000))) == 4
    assert max(map(len, spread("a0", "a1", INSERTS))) == 4


Gap = tuple[str | None, str | None]
GROWING: dict[str, tuple[Gap, Callable[[Gap, str], Gap], int]] = {
    "to the front": (("a0", None), lambda gap, key: (None, key), 3),
    "to the end": (("a0", None), lambda gap, key: (key, None), 3),
    "to the front of new ones": ((None, newest(NOW)), lambda gap, key: (None, key), 9),
    "to the end of new ones": ((newest(NOW), None), lambda gap, key: (key, None), 9),
    "right after one": (("a0", "a1"), lambda gap, key: (gap[0], key), 336),
    "right before one": (("a0", "a1"), lambda gap, key: (key, gap[1]), 402),
}


@pytest.mark.parametrize(("gap", "following", "longest"), GROWING.values(), ids=GROWING)
def test_keys_grow_only_within_one_gap(gap: Gap, following: Callable[[Gap, str], Gap], longest: int) -> None:
    lengths = []
    for _ in range(INSERTS):
        key = between(*gap)
        assert is_within(gap[0], [key], gap[1])
        lengths.append(len(key))
        gap = following(gap, key)
    assert (max(lengths), lengths) == (longest, sorted(lengths))


def test_a_key_that_has_grown_past_the_longest_is_a_key_but_not_valid() -> None:
    long = "a0" + "V" * (MAX_LENGTH - 2)
    assert is_valid(long) and not is_valid(long + "V")
    assert is_within(long, [between(long, long + "V")], long + "V")


@given(st.lists(instants, min_size=2, max_size=20, unique=True))
def test_a_newest_key_sorts_after_older_ones_and_has_room_on_both_sides(moments: list[dt.datetime]) -> None:
    moments.sort()
    made = [newest(moment) for moment in moments]
    assert all(map(is_valid, made)) and is_within(None, made, None)
    around = [between(None, made[0]), *map(between, made, made[1:]), between(made[-1], None)]
    assert all(map(is_valid, around))
    assert is_within(around[0], made, around[-1])


def test_newest_keys_sort_after_those_that_clients_append_to_an_empty_list() -> None:
    appended = spread(None, None, 100_000)
    assert appended[-1] < newest(EPOCH) < newest(NOW)


def test_newest_keys_of_one_moment_keep_their_order() -> None:
    made = [newest(NOW) for _ in range(10_000)]  # more than a millisecond has endings
    assert made == sorted(set(made))
    assert {len(key) for key in [*made, newest(EPOCH)]} == {11}


def test_newest_keys_of_one_moment_in_two_processes_are_rarely_the_same() -> None:
    made = [newest(moment) for _ in range(100) for moment in (NOW, EPOCH)]  # each begins its millisecond anew
    assert len(set(made)) > 150


@pytest.mark.parametrize("year", [1, 1969, 8888, 9999])
def test_a_clock_that_is_wrong_makes_valid_keys(year: int) -> None:
    assert is_valid(newest(NOW.replace(year=year)))


HOSTILE = [
    "", "a", "0", "9z", "0a", "-0", "a-", "a 0", " a0", "a0 ", "a0\n", "a0\0", "a00", "a0V0", "b0", "Y0", "z", "z0",
    SMALLEST, SMALLEST + "0", "A0", "a" * 1_000_000, "ä0", "aä", "a٣", "ａ0", "a\ud800", "a0'", "a0%", "[0", "`0", "@0",
    "{0",
]  # fmt: skip


@pytest.mark.parametrize("key", HOSTILE, ids=lambda key: ascii(key[:30]))
def test_what_is_no_key_is_refused(key: str) -> None:
    assert not is_valid(key)


@pytest.mark.parametrize("key", [key for key in HOSTILE if len(key) < 100], ids=ascii)
@pytest.mark.parametrize("function", [between, lambda low, high: spread(low, high, 3)])
def test_there_is_nothing_beside_what_is_no_key(key: str, function: Callable[..., Any]) -> None:
    for low, high in ((key, None), (None, key), (key, "zz"), ("A0", key)):
        with pytest.raises(ValueError):
            function(low, high)


@given(st.text(max_size=130))
def test_any_text_is_valid_only_if_there_is_room_beside_it(text: str) -> None:
    if is_valid(text):
        assert is_within(None, [between(None, text), text, between(text, None)], None)
