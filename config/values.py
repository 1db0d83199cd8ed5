"""Values that come from outside: which text, which days and which moments are taken; needs no Django."""

import datetime as dt
import re
import unicodedata
from typing import Any

MAX_PADDING = 1000  # characters around a text, which do not count
MAX_SEARCH = 200  # characters that are searched for, through the API and in the admin
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")

# Unicode's property Default_Ignorable_Code_Point, with those that are reserved for it: they show nothing.
_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Spaces and control characters; Braille's blank, annotation marks, hieroglyphs' joiners and a note without a head.
_BLANK = r"\s\0-\x1f\x7f-\x9f\u2800\ud800-\udfff\ufff9-\ufffb\U00013430-\U0001343f\U0001d159"
_VISIBLE = re.compile(f"[^{_IGNORABLE}{_BLANK}]")
_IS_IGNORABLE = re.compile(f"[{_IGNORABLE}]")

# Marks that stack upon a character: all assigned ones lie in Unicode's first two planes. Five more characters are no
# marks, but decompose into some.
_MARKS = "".join(filter(unicodedata.combining, map(chr, range(0x10000)))) + "\u0f73\u0f75\u0f81\uff9e\uff9f"
_RARE_MARKS = "".join(filter(unicodedata.combining, map(chr, range(0x10000, 0x20000))))
_NON_STARTERS = frozenset(_MARKS + _RARE_MARKS)


def _long_run(marks: str) -> re.Pattern[str]:
    return re.compile(f"([{marks}]{{30}})(?=[{marks}])")


# Beyond the first plane, the look-up is a thirtieth as fast.
_LONG_RUN, _LONG_RARE_RUN = _long_run(_MARKS), _long_run(_MARKS + _RARE_MARKS)


def is_storable(text: str) -> bool:
    """PostgreSQL stores no NUL, and UTF-8 no lone surrogates."""
    return not _UNSTORABLE.search(text)


def storable(text: str) -> str:
    """The text without what cannot be stored."""
    return _UNSTORABLE.sub("", text)


def trimmed(text: str, max_length: int) -> str | None:
    """The text without the spaces around it, or None if it is too long; what is far too long is not looked at."""
    if len(text) > max_length + MAX_PADDING:
        return None
    stripped = text.strip()
    return stripped if len(stripped) <= max_length else None


def is_visible(text: str) -> bool:
    """Whether anything of it can be seen: not only spaces, control characters, zero-width or blank ones."""
    return bool(_VISIBLE.search(text))


def is_ignorable(character: str) -> bool:
    """Whether it has no look of its own (Unicode's Default_Ignorable_Code_Point)."""
    return bool(_IS_IGNORABLE.match(character))


def stream_safe(text: str) -> str:
    """Unicode's Stream-Safe Text Format (UAX #15, section 13): at most 30 marks in a row.

    Normalising sorts the marks of a run, which takes the square of their number. No language writes more than 30;
    a COMBINING GRAPHEME JOINER, which shows nothing, then begins another run.
    """
    if text.isascii() or _NON_STARTERS.isdisjoint(text):
        return text
    long_run = _LONG_RUN if max(text) <= "\uffff" else _LONG_RARE_RUN
    return long_run.sub("\\1\u034f", text)


def nfc(text: str) -> str:
    """The form in which equal characters are equal (Unicode's Normalization Form C), whatever a keyboard sends."""
    return unicodedata.normalize("NFC", stream_safe(text))


def ascii_domain(domain: str) -> str:
    """The domain in ASCII, as mail servers look it up: UTS #46 without its transitional mapping, so that ß, ς and
    the joiners make another domain than ss, σ and nothing (RFC 5891; IDNA 2003 took them for the same).

    Raises UnicodeError for what cannot be a domain.
    """
    if domain.isascii():
        return domain.lower()
    import idna  # its tables take 3 MiB, and most domains are ASCII

    labels = idna.uts46_remap(domain).split(".")
    return ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels)


FIRST_DATE = dt.date(1900, 1, 1)
LAST_DATE = dt.date(2999, 12, 31)
# An instant's calendar day is another one elsewhere: a day of room keeps that day in the range above.
FIRST_INSTANT = dt.datetime(1900, 1, 2, tzinfo=dt.UTC)
LAST_INSTANT = dt.datetime(2999, 12, 30, tzinfo=dt.UTC)
_LAST_SECOND = 253_402_300_000  # since 1970, in the year 9999


def is_numeric_date(value: Any) -> bool:
    """Whether it is a NumericDate (RFC 7519, section 2) that the calendar has; NaN is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LAST_SECOND


# The environment variable by which `serve` tells its workers which file to lock while they hash a password.
HASHING_LOCK = "TICKBASE_HASHING_LOCK"
