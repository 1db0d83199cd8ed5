"""JSON, the one format of the API: encoding, and bodies of requests, which are read strictly."""

import json
import math
from decimal import Decimal
from typing import Any, NoReturn

import orjson
from django.conf import settings
from django.utils.http import parse_header_parameters
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request

from config.http.errors import BodyTooLarge, MalformedBody, UnreadableBody

CONTENT_TYPE = "application/json"  # RFC 8259 defines no charset parameter
MERGE_PATCH = "application/merge-patch+json"  # RFC 7396
FORM = "multipart/form-data"
MAX_NESTING = 32
_ASCII = bytes(range(128))

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


def to_json(value: Any) -> bytes:
    """Compact, in UTF-8. Dates and times become RFC 3339, UTC as `Z`; enumerations their values; decimals text."""
    return orjson.dumps(value, default=_as_text, option=_OPTIONS)


def _as_text(value: Any) -> str:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} is no JSON")
    return str(value)


def parse_body(request: Request) -> Any:
    """The value of a JSON body, which PATCH applies as a JSON Merge Patch under either media type; {} if it is empty.

    Raises UnsupportedMediaType, MalformedBody, BodyTooLarge, and Django's RequestDataTooBig.
    """
    sent = request.META.get("CONTENT_TYPE", "")
    try:
        length = int(request.META.get("CONTENT_LENGTH", 0))
    except ValueError:
        length = 0
    if length == 0:
        return {}
    media_type, _, parameters = sent.partition(";")
    media_type = media_type.strip().lower()
    if media_type == CONTENT_TYPE or (media_type == MERGE_PATCH and request.method == "PATCH"):
        return _loads(_text_of(request, length, sent if parameters else ""))
    if media_type == FORM:
        # One without fields is empty (RFC 2046, section 5.1.1); an empty body of any other type has no bytes.
        boundary = (request.content_params or {}).get("boundary", "")
        closing = f"--{boundary}--".encode("latin-1", "replace")
        if request.read(len(closing) + len(b"\r\n") + 1) in (closing, closing + b"\r\n"):
            return {}
    raise UnsupportedMediaType(sent)


def _text_of(request: Request, length: int, parameters: str) -> str:
    if parameters and parse_header_parameters(parameters)[1].get("charset", "utf-8").lower() not in {"utf-8", "utf8"}:
        raise UnreadableBody(parameters, detail="JSON is UTF-8 (RFC 8259, section 8.1); send it so.")
    coding = request.META.get("HTTP_CONTENT_ENCODING", "")
    if coding and coding.strip().lower() not in {"", "identity"}:
        raise UnreadableBody(coding, detail="Compressed bodies are not read; send it without Content-Encoding.")
    body: bytes = request.body  # checks the length before it reads
    if len(body) < length:
        raise MalformedBody("The body ended before its Content-Length; send it again.")
    # Text beyond ASCII is slow to normalise. Escaped, a character takes six bytes, about twice as many as in UTF-8.
    if not body.isascii() and len(body) + len(body.translate(None, _ASCII)) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise BodyTooLarge("The body is larger than 1 MiB, if bytes beyond ASCII count twice; send less at a time.")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not UTF-8: byte {error.start} is invalid.") from error


def _loads(text: str) -> Any:
    try:
        value = json.loads(
            text, object_pairs_hook=_unique_members, parse_float=_finite, parse_constant=_refuse_constant
        )
    except json.JSONDecodeError as error:
        raise MalformedBody(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:  # Python's bound on the digits of an integer
        raise MalformedBody("The body holds a number with too many digits.") from error
    # Python's own bound depends on its version.
    if text.count("[") + text.count("{") > MAX_NESTING and _is_deeper(value, MAX_NESTING):
        raise _too_deep()
    return value


def _is_deeper(value: Any, limit: int) -> bool:
    """Breadth first, since recursion has a bound of its own."""
    level = [value]
    for _ in range(limit):
        containers = [node for node in level if isinstance(node, list | dict)]
        level = [child for node in containers for child in (node.values() if isinstance(node, dict) else node)]
        if not level:
            return False
    return any(isinstance(node, list | dict) for node in level)


def _too_deep() -> MalformedBody:
    return MalformedBody(f"The body is nested too deeply; {MAX_NESTING} levels are enough for anything here.")


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        duplicate = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise MalformedBody(f"The member {duplicate[:100]!r} occurs twice.")
    return members


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise MalformedBody("The body holds a number that is too large.")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedBody(f"{name} is not JSON.")
