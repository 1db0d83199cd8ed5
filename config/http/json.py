"""JSON encoding, of responses and of files."""

from collections.abc import Mapping
from typing import Any

import orjson
from django.http import HttpResponse

CONTENT_TYPE = "application/json"  # RFC 8259 defines no charset parameter

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


def to_json(value: Any) -> bytes:
    """Compact, in UTF-8. Dates and times become RFC 3339, UTC as `Z`; enumerations their values, UUIDs text."""
    return orjson.dumps(value, option=_OPTIONS)


class Response(HttpResponse):
    """The response of an API view, encoded at once; without data it has no body."""

    def __init__(self, data: Any = None, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(b"" if data is None else to_json(data), CONTENT_TYPE, status, headers=headers)
        self.data = data
        if data is None:
            del self.headers["Content-Type"]
        # Serializers and their fields refer to each other: the rows of a list would stay until the garbage collector
        # runs, hundreds of megabytes after some lists of 2 MB.
        if serializer := getattr(data, "serializer", None):
            for each in (getattr(serializer, "child", None), serializer):
                if each is not None:
                    vars(each).clear()
