"""Conditional requests (RFC 9110, section 13), with versions as entity tags."""

import re
from typing import Any

from django.http import HttpRequest
from django.http.request import HttpHeaders
from rest_framework.exceptions import ErrorDetail

from config.http.errors import InvalidHeader
from config.http.views import Response

_TAG = r'(?:W/)?"[!#-~\x80-\xff]*"'
_TAGS = rf"{_TAG}(?:[ \t]*,[ \t]*{_TAG})*"
_TAG_LIST = re.compile(_TAGS)
# Proxies that compress change tags: nginx weakens them, Apache and Caddy append the coding.
_OPAQUE = re.compile(r'(?:W/)?"([!#-~\x80-\xff]*?)(?:-(?:gzip|deflate|br|zstd))?"')
_VERSION = re.compile(r'"([0-9]{1,19})"')
MAX_LENGTH = 1000  # characters of a header
ANY = "*"
# For the OpenAPI document.
HEADER: dict[str, Any] = {"type": "string", "maxLength": MAX_LENGTH, "pattern": rf"^(?:\*|{_TAGS})$"}


def etag(version: int) -> str:
    return f'"{version}"'


def if_match(request: HttpRequest) -> frozenset[int] | None:
    """The versions in `If-Match`; None if there is no such header, or if it is `*`.

    Weak tags match, against section 13.1.1: a version names one state of an object, however a proxy encoded it. Tags
    that are no version match nothing. Raises InvalidHeader if the header is no list of entity tags.
    """
    tags = _tags(request, "HTTP_IF_MATCH")
    if tags is None or tags == [ANY]:
        return None
    return frozenset(int(match[1]) for tag in tags if (match := _VERSION.fullmatch(tag)))


def if_none_match(request: HttpRequest) -> list[str] | None:
    """The entity tags in `If-None-Match`, or `*`; None if there is no such header. Raises InvalidHeader."""
    return _tags(request, "HTTP_IF_NONE_MATCH")


def not_modified(tags: list[str] | None, version: int) -> Response | None:
    """A 304 if the tags name the current version, by weak comparison (section 13.1.2)."""
    if tags is None or not (tags == [ANY] or etag(version) in tags):
        return None
    return Response(status=304, headers={"ETag": etag(version)})


def _tags(request: HttpRequest, key: str) -> list[str] | None:
    """The entity tags of a header as we sent them, before proxies changed them; or `*`."""
    value = request.META.get(key)
    if value is None:
        return None
    if len(value) > MAX_LENGTH:
        message = f"Send at most {MAX_LENGTH:,} characters; the tag of the version that you have is enough."
        error = ErrorDetail(message, code="max_length")
    elif (value := value.strip(" \t")) == ANY:
        return [ANY]
    elif _TAG_LIST.fullmatch(value):
        return [f'"{opaque}"' for opaque in _OPAQUE.findall(value)]
    else:
        error = ErrorDetail('Send * or entity tags as you got them, with the quotes: "5".', code="invalid_etag")
    raise InvalidHeader({str(HttpHeaders.parse_header_name(key)): [error]})
