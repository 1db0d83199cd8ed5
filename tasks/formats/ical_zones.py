"""Time zones of iCalendar: names of the tz database, of Windows, of programs, and definitions within a file."""

import datetime as dt
import re
from io import StringIO
from zoneinfo import ZoneInfo

from tasks.formats import dates
from tasks.formats.ical import Component

_OFFSET = re.compile(r"[+-]\d{4}(\d\d)?", re.ASCII)
_START = re.compile(r"\d{8}T\d{6}", re.ASCII)
# Changes of the clock once a year; other rules may cost any time.
_YEARLY = re.compile(
    r"FREQ=YEARLY(;(INTERVAL=1|BYMONTH=\d{1,2}|BYDAY=[+-]?[1-4]?(SU|MO|TU|WE|TH|FR|SA)|UNTIL=\d{8}T\d{6}Z?|"
    r"BYMONTHDAY=(1?[1-9]|2[0-8])(,(1?[1-9]|2[0-8])){0,9})){0,5}",
    re.ASCII,
)
MAX_OBSERVANCES = 20


class Zones:
    """The zones that a file names. `known` answers None for what nobody knows."""

    def __init__(self) -> None:
        self.found: dict[str, dt.tzinfo | None] = {}

    def define(self, timezone: Component) -> None:
        """A name that is known counts more than its definition, which programs cut down to a few years."""
        name = timezone.value("TZID") or ""
        self.found[name] = (
            dates.zone_by_any_name(name)
            or dates.zone_by_any_name(timezone.value("X-LIC-LOCATION") or "")
            or _defined(timezone)
        )

    def known(self, name: str) -> dt.tzinfo | None:
        if name not in self.found:
            self.found[name] = dates.zone_by_any_name(name)
        return self.found[name]


def _defined(timezone: Component) -> dt.tzinfo | None:
    from dateutil.tz import tzical

    lines = ["BEGIN:VTIMEZONE", "TZID:zone"]
    for observance in timezone.children[:MAX_OBSERVANCES]:
        start, rule = observance.value("DTSTART") or "", observance.value("RRULE")
        before, after = observance.value("TZOFFSETFROM") or "", observance.value("TZOFFSETTO") or ""
        is_plain = _START.fullmatch(start) and _OFFSET.fullmatch(before) and _OFFSET.fullmatch(after)
        if not is_plain or (rule is not None and not _YEARLY.fullmatch(rule)):
            return None
        rules = [f"RRULE:{rule}"] if rule else []
        body = [f"DTSTART:{start}", f"TZOFFSETFROM:{before}", f"TZOFFSETTO:{after}", *rules]
        kind = "DAYLIGHT" if observance.name == "DAYLIGHT" else "STANDARD"
        lines += [f"BEGIN:{kind}", *body, f"END:{kind}"]
    try:
        return tzical(StringIO("\n".join([*lines, "END:VTIMEZONE"]))).get()
    except ValueError:
        return None


def definition(zone: ZoneInfo, name: str) -> bytes:
    """The VTIMEZONE of that name."""
    from icalendar import Timezone

    written: bytes = Timezone.from_tzinfo(zone, name).to_ical()
    return written
