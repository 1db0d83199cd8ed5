"""The order that people choose: fractional keys in base 62, as npm's `fractional-indexing` makes them.

A key is an integer part, whose first character tells its length (`a` to `z` for 2 to 27 characters, `Z` to `A` for the
same below zero), and a fraction without trailing zeros. Keys are compared as bytes, so that a key can always be made
between two others, by a client that is offline as well (https://observablehq.com/@dgreensp/implementing-fractional-indexing).
"""

import datetime as dt
from os.path import commonprefix
from random import getrandbits
from threading import local

MAX_LENGTH = 100
FIRST = "a0"  # of the first key, where there is no other
RULE = f"A position is a fractional key of base 62, of 2 to {MAX_LENGTH} characters."
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES = {digit: value for value, digit in enumerate(DIGITS)}
_BASE = len(DIGITS)
_SMALLEST = "A" + "0" * 26  # of which there is no key below, as there is nothing to subtract from
# Two digits at a time, as each task gets a key.
_PAIRS = [first + second for first in DIGITS for second in DIGITS]
_ENDINGS = [pair for pair in _PAIRS if not pair.endswith("0")]
_ROOM = len(_ENDINGS)
_DIVISORS = [len(_PAIRS) ** power for power in (3, 2, 1, 0)]


class _Made(local):
    """What `newest` has made last in this thread: for which millisecond, and the number of the key."""

    ms, number = -1, 0


_made = _Made()


def newest(now: dt.datetime) -> str:
    """A key after all that were made like this before: milliseconds since 1970 in 8 digits, enough until the year 8888,
    and two more, which are random for the first of a millisecond, so that ties are rare, and count on from there: the
    creates of one batch have one `now`, and keep their order (as in UUIDv7, RFC 9562, section 6.2, method 2).
    """
    ms = max(0, int(now.timestamp() * 1000))
    if ms == _made.ms:
        _made.number += 1
    else:
        _made.ms, _made.number = ms, ms * _ROOM + getrandbits(32) % (_ROOM // 2)
    ms, ending = divmod(_made.number, _ROOM)
    first, second, third, last = (_PAIRS[ms // divisor % len(_PAIRS)] for divisor in _DIVISORS)
    return f"h{first}{second}{third}{last}{_ENDINGS[ending]}"


def is_valid(key: str) -> bool:
    """Whether it is a key of at most 100 characters."""
    return len(key) <= MAX_LENGTH and _is_key(key)


def between(low: str | None, high: str | None) -> str:
    """A key between two; None is the end. In one gap keys grow, by a character for each five or six of them, and become
    longer than is valid in the end. Raises ValueError for what is no key, and unless `low` is less than `high`.
    """
    if low is None:
        return FIRST if high is None else _before(high)
    integer, fraction = _split(low)
    after = _incremented(integer)
    if high is None:
        return after or integer + _midpoint(fraction, None)
    if low >= high:
        raise ValueError("there is nothing between them")
    above, high_fraction = _split(high)
    if integer == above:
        return integer + _midpoint(fraction, high_fraction)
    return after if after is not None and after < high else integer + _midpoint(fraction, None)


def spread(low: str | None, high: str | None, count: int) -> list[str]:
    """So many keys between two, in order: one after the other at an end, else by halving, so that they stay short.
    Raises ValueError as `between` does.
    """
    if count == 0:
        return []
    if low is None or high is None:
        keys = [between(low, high)]
        while len(keys) < count:
            keys.append(between(keys[-1], None) if high is None else between(None, keys[-1]))
        return keys if high is None else keys[::-1]
    middle, key = count // 2, between(low, high)
    return [*spread(low, key, middle), key, *spread(key, high, count - middle - 1)]


def _before(high: str) -> str:
    integer, fraction = _split(high)
    if integer == _SMALLEST:
        return integer + _midpoint("", fraction)
    if fraction:
        return integer
    before = _decremented(integer)
    # npm's answer would be the smallest integer alone, which it then refuses.
    return before if before != _SMALLEST else before + _midpoint("", None)


def _is_key(key: str) -> bool:
    if not _VALUES.keys() >= set(key) or not key[:1].isalpha():
        return False
    length = _integer_length(key)
    return length <= len(key) and not (len(key) > length and key.endswith("0")) and key != _SMALLEST


def _integer_length(key: str) -> int:
    return ord(key[0]) - ord("a") + 2 if key[0] >= "a" else ord("Z") - ord(key[0]) + 2


def _split(key: str) -> tuple[str, str]:
    if not _is_key(key):
        raise ValueError("not a key")
    length = _integer_length(key)
    return key[:length], key[length:]


def _midpoint(low: str, high: str | None) -> str:
    """A fraction between two, `high` exclusive; None is 1. Not recursive: fractions may be long."""
    prefix = ""
    while True:
        if high:
            same = len(commonprefix([low.ljust(len(high), "0"), high]))
            prefix, low, high = prefix + high[:same], low[same:], high[same:]
        first = _VALUES[low[0]] if low else 0
        last = _VALUES[high[0]] if high else _BASE
        if last - first > 1:
            return prefix + DIGITS[(first + last + 1) // 2]
        if high and len(high) > 1:
            return prefix + high[0]
        prefix, low, high = prefix + DIGITS[first], low[1:], None


def _incremented(integer: str) -> str | None:
    """The next integer part; None after the largest."""
    head, digits = integer[0], integer[1:]
    stripped = digits.rstrip("z")
    if stripped:
        return head + stripped[:-1] + DIGITS[_VALUES[stripped[-1]] + 1] + "0" * (len(digits) - len(stripped))
    if head == "z":
        return None
    following = DIGITS[_VALUES[head] + 1]
    return following.ljust(_integer_length(following), "0")


def _decremented(integer: str) -> str:
    """The integer part before, of one that is not the smallest."""
    head, digits = integer[0], integer[1:]
    stripped = digits.rstrip("0")
    if stripped:
        return head + stripped[:-1] + DIGITS[_VALUES[stripped[-1]] - 1] + "z" * (len(digits) - len(stripped))
    preceding = DIGITS[_VALUES[head] - 1]
    return preceding.ljust(_integer_length(preceding), "z")
