"""Bounds and normal forms of values from outside: dates, instants and Unicode text. Needs no Django."""

import datetime as dt
import re
import unicodedata
from contextlib import suppress
from typing import Any

FIRST_DATE = dt.date(1900, 1, 1)
LAST_DATE = dt.date(2999, 12, 31)
# An instant falls on different dates in different time zones; with a day of room, on dates of the range above.
FIRST_INSTANT = dt.datetime(1900, 1, 2, tzinfo=dt.UTC)
LAST_INSTANT = dt.datetime(2999, 12, 30, tzinfo=dt.UTC)
MAX_BIGINT = 2**63 - 1  # PostgreSQL's, as of ids and versions
_LAST_SECOND = 253_402_300_000  # Unix time, in the year 9999


class JsonList(list[Any]):
    """A JSON array for a column of jsonb; psycopg takes a plain list for an array of PostgreSQL."""


def is_numeric_date(value: Any) -> bool:
    """Whether it is a NumericDate (RFC 7519, section 2) that `datetime` can represent; NaN is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LAST_SECOND


def is_same(one: Any, other: Any) -> bool:
    """Whether they are equal; within JSON also of the same type, as `True`, 1 and 1.0 are not the same there."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_same_json(one[name], other[name]) for name in one)
    return bool(one == other)


def _is_same_json(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_same_json, one, other))
    return type(one) is type(other) and is_same(one, other)


def keep_newest(entries: dict[Any, Any], most: int) -> None:
    """Delete the oldest entries beyond `most`. Other threads may write meanwhile: each step is atomic."""
    while len(entries) > most:
        with suppress(StopIteration, KeyError, RuntimeError):  # another thread was faster
            del entries[next(iter(entries))]


# --- Text -------------------------------------------------------------------------------------------

MAX_PADDING = 1000  # characters of whitespace around a text, which do not count
MAX_SEARCH = 200  # characters of a search, through the API and in the admin
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")

# Unicode's Default_Ignorable_Code_Point, which renders as nothing, with the code points reserved for it.
_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Whitespace and control characters; Braille's blank, annotation marks, joiners of hieroglyphs, a note without a head.
_BLANK = r"\s\0-\x1f\x7f-\x9f\u2800\ud800-\udfff\ufff9-\ufffb\U00013430-\U0001343f\U0001d159"
_VISIBLE = re.compile(f"[^{_IGNORABLE}{_BLANK}]")
_IS_IGNORABLE = re.compile(f"[{_IGNORABLE}]")

# Combining marks, all of them in Unicode's first two planes; and five characters that decompose into some.
_MARKS = "".join(filter(unicodedata.combining, map(chr, range(0x10000)))) + "\u0f73\u0f75\u0f81\uff9e\uff9f"
_RARE_MARKS = frozenset(filter(unicodedata.combining, map(chr, range(0x10000, 0x20000))))
_MARK = re.compile(f"[{_MARKS}]")
# Matching marks of the second plane takes thirty times as long: one of the first takes their places.
_LONG_RUN = re.compile(f"[{_MARKS}]{{30}}(?=[{_MARKS}])")
_BEYOND_FIRST_PLANE = re.compile("[\U00010000-\U0010ffff]")
_TO_COMMON_MARK = {ord(mark): "\N{COMBINING ACUTE ACCENT}" for mark in _RARE_MARKS}


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can store it: no NUL, and no lone surrogates, which UTF-8 cannot encode."""
    if "\0" in text:
        return False
    try:
        text.encode()  # four times as fast as to look for surrogates
    except UnicodeEncodeError:
        return False
    return True


def storable(text: str) -> str:
    """The text without the characters that PostgreSQL cannot store."""
    return _UNSTORABLE.sub("", text)


def trimmed(text: str, max_length: int) -> str | None:
    """The text without whitespace around it, or None if it is too long; not scanned if it is far too long."""
    if len(text) > max_length + MAX_PADDING:
        return None
    stripped = text.strip()
    return stripped if len(stripped) <= max_length else None


def is_visible(text: str) -> bool:
    """Whether it has any character beside whitespace, control characters, zero-width and blank ones."""
    return bool(_VISIBLE.search(text))


def is_ignorable(character: str) -> bool:
    """Whether it is a Default_Ignorable_Code_Point of Unicode."""
    return bool(_IS_IGNORABLE.match(character))


def stream_safe(text: str) -> str:
    """Stream-Safe Text Format (UAX #15, section 13): at most 30 combining marks in a row.

    Normalisation sorts the marks of a run in quadratic time. Longer runs, which no language has, are split by a
    COMBINING GRAPHEME JOINER, which renders as nothing.
    """
    if text.isascii():
        return text
    sample = text[::30]  # which has one of each run of 30
    if not _MARK.search(sample) and _RARE_MARKS.isdisjoint(sample):
        return text
    is_rare = _BEYOND_FIRST_PLANE.search(text) and not _RARE_MARKS.isdisjoint(text)
    matched = text.translate(_TO_COMMON_MARK) if is_rare else text
    ends = [run.end() for run in _LONG_RUN.finditer(matched)]
    if not ends:
        return text
    return "\u034f".join(text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True))


def nfc(text: str) -> str:
    """Normalization Form C, in which equivalent texts are equal, whatever a keyboard sends."""
    return unicodedata.normalize("NFC", stream_safe(text))


def ascii_domain(domain: str) -> str:
    """The domain in ASCII: IDNA 2008 by UTS #46 without transitional mapping, so that ß, ς and joiners stay distinct
    from ss, σ and nothing, as they were not in IDNA 2003.

    Raises UnicodeError for what cannot be a domain.
    """
    if domain.isascii():
        return domain.lower()
    import idna  # its tables take 3 MiB, and most domains are ASCII

    labels = idna.uts46_remap(domain).split(".")
    return ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels)
