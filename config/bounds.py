"""The days and moments that we take: wide enough for any plan, narrow enough that nothing overflows.

Python ends at the year 9999, and a time zone may shift an instant by a day.
"""

import datetime as dt
from typing import Any

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
