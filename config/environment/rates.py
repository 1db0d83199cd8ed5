"""Rate limits in the environment, such as 600/min."""

import re
from typing import NamedTuple

OFF = "off"
MAX_COUNT = 1_000_000

_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
}
_RATE = re.compile(r"([0-9]{1,7}) ?/ ?([a-z]+)")


class Rate(NamedTuple):
    """A rate limit: at most `limit` requests in a window of `seconds`."""

    limit: int
    seconds: int


def parse_rate(text: str) -> Rate | None:
    """The rate, or None for `off`. Raises ValueError, whose text says what would be valid."""
    if text.lower() == OFF:
        return None
    match = _RATE.fullmatch(text.lower())
    if match is None or match[2] not in _SECONDS or not 1 <= int(match[1]) <= MAX_COUNT:
        raise ValueError(
            f"write a number from 1 to {MAX_COUNT} per second, min, hour or day, such as 600/min, or {OFF}"
        )
    return Rate(int(match[1]), _SECONDS[match[2]])
