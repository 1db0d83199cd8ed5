"""Parameters, headers and path segments that no list and no row takes."""

import json
from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import quote


def forged(*cursor: Any) -> str:
    return urlsafe_b64encode(json.dumps(cursor).encode()).rstrip(b"=").decode()


def encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


CREATED = "2026-01-01T00:00:00+00:00"
BAD_CURSORS = {
    "empty": "",
    "word": "next",
    "not ASCII": "é",
    "NUL": "\0",
    "too long": "A" * 5000,
    "longer than any of ours": forged("title", "a" * 5000, 1),
    "not JSON": encoded(b"\xff\xfe"),
    "3,000 brackets": encoded(b"[" * 3000),
    "5,000 digits": encoded(b'["-created","x",' + b"9" * 5000 + b"]"),
    "object": encoded(b'{"a":1,"b":2,"c":3}'),
    "two elements": forged("-created", CREATED),
    "other spelling": encoded(json.dumps(["-created", CREATED, 1], separators=(",", ":")).encode()),
    "of another sort": forged("created", CREATED, 1),
    "lone surrogate": forged("-created", "\ud800", 1),
    "NUL inside": forged("-created", "2026\0", 1),
    "lone surrogate as sort": forged("\ud800", CREATED, 1),
    "null key": forged("-created", None, 1),
    "number as key": forged("-created", 1, 1),
    "word as key": forged("-created", "yesterday", 1),
    "date as key": forged("-created", "2026-01-01", 1),
    "no offset": forged("-created", "2026-01-01T00:00:00", 1),
    "an offset that PostgreSQL refuses": forged("-created", "2026-01-01T00:00:00+23:59", 1),
    "before year 1": forged("-created", "0001-01-01T00:00:00+23:59", 1),
    "after year 9999": forged("-created", "9999-12-31T23:59:59-23:59", 1),
    "id 0": forged("-created", CREATED, 0),
    "negative id": forged("-created", CREATED, -1),
    "id 2^63": forged("-created", CREATED, 2**63),
    "float as id": forged("-created", CREATED, 1.5),
    "boolean as id": forged("-created", CREATED, True),
    "null as id": forged("-created", CREATED, None),
    "NaN as id": forged("-created", CREATED, float("nan")),
    "infinite id": forged("-created", CREATED, float("inf")),
}
NOT_COUNTS = ["", "-1", "1.5", "1e2", "NaN", "Infinity", "0x10", " 1", "+1", "1_0", "٣", "9" * 30, str(2**63), "a%00"]
NOT_FLAGS = ["%20", "1", "yes", "True", "null", "%00", "true,false"]
BAD_QUERIES: dict[str, list[str]] = {
    "limit": [*NOT_COUNTS, "0", "201"],
    "offset": [*NOT_COUNTS, "10001"],
    "total": ["", "please", *NOT_FLAGS],
    "updated_since": ["%20", "x", "2026-01-01", "2026-01-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z"],
    "sort": [
        "", "id", "due_at", "_at", "--updated_at", "--created", "-", "created,updated", "created;drop", "password",
        "user__password", "%00",
    ],
    "cursor": [quote(cursor) for cursor in BAD_CURSORS.values()],
}  # fmt: skip
BAD_IDS = {
    "zero": "0",
    "negative": "-1",
    "2^63": str(2**63),
    "2^64": str(2**64),
    "float": "1.5",
    "exponent": "1e1",
    "word": "abc",
    "NUL": "%00",
    "digit and NUL": "1%00",
    "digit and line end": "1%0A",
    "Arabic digit": quote("١"),
    "superscript": quote("²"),
    "full width": quote("１"),
    "leading zero": "01",
    "plus": "%2B1",
    "space": "%201",
    "not UTF-8": "%ff",
    "4,000 digits": "1" * 4000,
    "wildcard": "%25",
    "injection": quote("1 or 1=1"),
}
UNKNOWN = [
    "", "Limit", "limit[]", "limit%00", "user_id", "id__gt", "page", "q", "a" * 3000, "sort%20", "non_field_errors",
]  # fmt: skip
NOBODIES = [
    "0", "-1", "%00", "Me", "ME", "me%00", "me%20", "me%0A", "null", "%ff", "9" * 4000, str(2**63), quote("١"), "*",
]  # fmt: skip
BAD_TAGS_OF_VERSIONS = ["", "5", '"5', '5"', '""5""', "*,*", '"1",', ',"1"', "W/5", 'w/"1"', '"a b"', "null", '"\x7f"']
