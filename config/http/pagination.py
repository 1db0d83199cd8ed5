"""Keyset pagination of bare arrays: RFC 8288 `Link` headers with an opaque cursor."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from typing import NamedTuple, Protocol, Self
from urllib.parse import urlencode

from django.http import HttpRequest
from django.utils.encoding import escape_uri_path

from config.http.serializers import query_of, query_pairs
from config.values import is_storable


class Cursor(NamedTuple):
    """The last row of a page: the sort order, the row's sort key as text, and its id."""

    sort: str
    key: str | None
    id: int

    def encode(self) -> str:
        return urlsafe_b64encode(json.dumps(self).encode()).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Parse a cursor. Raises ValueError for any text that `encode` does not make."""
        with suppress(TypeError, RecursionError):
            raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
            sort, key, id_ = json.loads(raw)
            if isinstance(sort, str) and isinstance(key, str | None) and type(id_) is int and 0 < id_ < 2**63:
                cursor = cls(sort, key, id_)
                if is_storable(key or "") and cursor.encode() == text:
                    return cursor
        raise ValueError("not a cursor")


class Encodable(Protocol):
    """A cursor of any list."""

    def encode(self) -> str: ...


def next_link(request: HttpRequest, cursor: Encodable) -> str:
    """The `Link` header of the next page: this request's URL, with `cursor`.

    A relative reference (RFC 8288, section 3.2), since a proxy may serve us at another host or below a path. It begins
    with the last segment, which `?…` alone would drop by RFC 2396.
    """
    rest = [(name, value) for name, value in query_pairs(query_of(request)) if name not in {"cursor", "offset"}]
    last = escape_uri_path(request.path.rpartition("/")[2])
    return f'<{last}?{urlencode([*rest, ("cursor", cursor.encode())])}>; rel="next"'
