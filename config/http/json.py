"""JSON encoding, of responses and of files."""

from typing import Any

import orjson

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


def to_json(value: Any) -> bytes:
    """Compact, in UTF-8. Dates and times become RFC 3339, UTC as `Z`; enumerations their values, UUIDs text."""
    return orjson.dumps(value, option=_OPTIONS)
