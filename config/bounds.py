"""The days and moments that we take: wide enough for any plan, narrow enough that nothing overflows.

Python ends at the year 9999, and a time zone may shift an instant by a day.
"""

import datetime as dt

FIRST_DATE = dt.date(1900, 1, 1)
LAST_DATE = dt.date(2999, 12, 31)
# An instant's calendar day is another one elsewhere: a day of room keeps that day in the range above.
FIRST_INSTANT = dt.datetime(1900, 1, 2, tzinfo=dt.UTC)
LAST_INSTANT = dt.datetime(2999, 12, 30, tzinfo=dt.UTC)
