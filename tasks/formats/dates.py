"""Dates and times as files write them."""

import datetime as dt
import re
from collections.abc import Iterable
from functools import lru_cache
from zoneinfo import ZoneInfo

Moment = dt.date | dt.datetime  # a day, or an aware instant

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

# Of ISO 8601, extended or basic. `fromisoformat` takes week dates as well, which no format has.
_MOMENT = re.compile(r"\d{4}-?\d\d-?\d\d([T ]\d\d:?\d\d(:?\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d(:?\d\d)?)?)?", re.ASCII)
_TIME = r"(?:(?:,?\s+(?:at\s+)?|T)(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?(?::(?P<second>\d{2}))?\s*(?P<half>[ap]m)?)?$"
_NUMBERS = re.compile(r"(?P<a>\d{1,4})(?P<mark>[./-])(?P<b>\d{1,2})(?P=mark)(?P<c>\d{1,4})" + _TIME, re.I | re.A)
_MONTH_DAY = re.compile(
    r"(?P<month>[a-z]{3,9})\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?,?\s+(?P<year>\d{4})" + _TIME, re.I | re.A
)
_DAY_MONTH = re.compile(
    r"(?P<day>\d{1,2})(?:st|nd|rd|th|\.)?\s+(?P<month>[a-z]{3,9})\.?,?\s+(?P<year>\d{4})" + _TIME, re.I | re.A
)


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; a path; a folder of zones
        return None


@lru_cache(maxsize=512)
def zone_by_any_name(name: str) -> ZoneInfo | None:
    """Of the tz database, also behind a path as `/freeassociation.sourceforge.net/Europe/Berlin`; or of Windows."""
    parts = name.strip("/ ").split("/")[-3:]
    for start in range(len(parts)):
        if found := zone_named("/".join(parts[start:])):
            return found
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON  # an import of 100 ms (Unicode's windowsZones.xml)

    return zone_named(WINDOWS_TO_OLSON.get(name, ""))


def moment(text: str, zone: ZoneInfo) -> Moment:
    """A day, or an instant in UTC: without an offset it is of `zone`. Raises ValueError."""
    if not _MOMENT.fullmatch(text):
        raise ValueError("no date or time")
    if len(text) <= 10:
        return dt.date.fromisoformat(text)
    return in_utc(dt.datetime.fromisoformat(text), zone)


def in_utc(wall: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """A wall clock in a gap moves forward, in a fold it is the first. Raises ValueError beyond the calendar."""
    try:
        return (wall if wall.tzinfo else wall.replace(tzinfo=zone)).astimezone(dt.UTC)
    except OverflowError as error:
        raise ValueError("beyond the calendar") from error


def midnight(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """The instant at which a day begins. Raises ValueError."""
    return in_utc(dt.datetime.combine(day, dt.time.min), zone)


def as_instant(found: Moment, zone: ZoneInfo) -> dt.datetime:
    return found if isinstance(found, dt.datetime) else midnight(found, zone)


def split_due(due: Moment) -> tuple[dt.date | None, dt.datetime | None]:
    """As `due_date` and `due_at`."""
    return (None, due) if isinstance(due, dt.datetime) else (due, None)


def instant(text: str, zone: ZoneInfo) -> dt.datetime | None:
    """What ISO 8601 and RFC 3339 write, in UTC; local time without an offset. None if it is no moment."""
    try:
        return in_utc(dt.datetime.fromisoformat(text.strip()), zone)
    except ValueError:
        return None


def day(text: str) -> dt.date | None:
    """The date that an ISO 8601 date, or date and time, begins with."""
    try:
        return dt.date.fromisoformat(text.strip()[:10])
    except ValueError:
        return None


def day_or_instant(text: str, zone: ZoneInfo) -> dt.date | None:
    """A date, or an aware datetime in UTC."""
    try:
        return dt.date.fromisoformat(text.strip())
    except ValueError:
        return instant(text, zone)


def local_day(moment: dt.datetime, zone: ZoneInfo) -> dt.date | None:
    try:
        return moment.astimezone(zone).date()
    except OverflowError:  # at an end of the calendar
        return None


def local(at: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """The wall clock; that of UTC at either end of the calendar."""
    try:
        return at.astimezone(zone)
    except OverflowError:
        return at


def basic(moment: Moment) -> str:
    """ISO 8601's basic format: a day, a wall clock, or an instant with Z."""
    zulu = ""
    if isinstance(moment, dt.datetime):
        zulu = "Z" if moment.tzinfo else ""
        moment = (moment.astimezone(dt.UTC) if moment.tzinfo else moment).replace(microsecond=0, tzinfo=None)
    return moment.isoformat().replace("-", "").replace(":", "") + zulu


def written(moment: dt.datetime) -> str:
    """RFC 3339 in UTC."""
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def loose(text: str, zone: ZoneInfo, order: str | None = None) -> dt.date | None:
    """Also what people write: `5.10.2026`, `10/5/2026 9:30 pm`, `Oct 5 2026`.

    Numbers with slashes or dashes need their `order`: "dmy" or "mdy", unless only one of the two is possible.
    """
    text = text.strip()
    if found := day_or_instant(text, zone):
        return found
    if match := _NUMBERS.match(text):
        a, b, c = match["a"], match["b"], match["c"]
        if len(a) == 4:
            return _built(match, (int(a), int(b), int(c)), zone)
        order = "dmy" if match["mark"] == "." else order_of([text]) or order
        if order is None or len(c) not in (2, 4):
            return None
        year = int(c) + (2000 if len(c) == 2 else 0)
        return _built(match, (year, int(b), int(a)) if order == "dmy" else (year, int(a), int(b)), zone)
    if match := _MONTH_DAY.match(text) or _DAY_MONTH.match(text):
        month = month_named(match["month"])
        return _built(match, (int(match["year"]), month, int(match["day"])), zone) if month else None
    return None


def month_named(name: str) -> int | None:
    full = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
            "november", "december")  # fmt: skip
    name = name.lower()
    is_one = name in MONTHS or name in full or name == "sept"
    return MONTHS.index(name[:3]) + 1 if is_one else None


def order_of(texts: Iterable[str]) -> str | None:
    """Whether dates such as 3/4/2026 begin with the day or with the month, if some of them tell."""
    found = [match for match in map(_NUMBERS.match, texts) if match and match["mark"] != "." and len(match["a"]) < 3]
    orders = {"dmy" for match in found if int(match["a"]) > 12} | {"mdy" for match in found if int(match["b"]) > 12}
    orders = orders or {"dmy" for match in found if match["a"].zfill(2) == match["b"].zfill(2)}
    return orders.pop() if len(orders) == 1 else None


def clock(hour: str, minute: str | None, half: str | None) -> dt.time | None:
    """`9`, `30`, `pm` as a time of day."""
    number = int(hour)
    if half:
        if not 1 <= number <= 12:
            return None
        number = number % 12 + (12 if half.lower() == "pm" else 0)
    try:
        return dt.time(number, int(minute or 0))
    except ValueError:
        return None


def _built(match: re.Match[str], parts: tuple[int, int, int], zone: ZoneInfo) -> dt.date | None:
    try:
        date = dt.date(*parts)
    except ValueError:
        return None
    if match["hour"] is None:
        return date
    time = clock(match["hour"], match["minute"], match["half"])
    if time is None or int(match["second"] or 0) > 59:
        return None
    return at(date, time.replace(second=int(match["second"] or 0)), zone)


def at(date: dt.date, time: dt.time, zone: ZoneInfo) -> dt.datetime | None:
    """Local time as an instant; one that a zone leaves out moves forward by the gap."""
    try:
        return in_utc(dt.datetime.combine(date, time), zone)
    except ValueError:
        return None
