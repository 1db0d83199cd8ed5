"""Parsers and renderer of DRF, and how they are chosen: JSON in and JSON out, whatever `Accept` asks for."""

import json
import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import IO, Any, NoReturn

from django.utils.http import parse_header_parameters
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.metadata import BaseMetadata
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from config.http.errors import MalformedBody, UnreadableBody
from config.http.json import to_json

MAX_NESTING = 32


class JSONParser(BaseParser):
    """RFC 8259 JSON in UTF-8, without duplicate names, NaN or Infinity (I-JSON, RFC 7493)."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        assert parser_context is not None
        request = parser_context["request"]
        charset = parse_header_parameters(media_type or "")[1].get("charset", "utf-8")
        if charset.lower() not in {"utf-8", "utf8"}:
            raise UnreadableBody(media_type or "", detail="JSON is UTF-8 (RFC 8259, section 8.1); send it so.")
        coding = request.headers.get("Content-Encoding", "")
        if coding.strip().lower() not in {"", "identity"}:
            raise UnreadableBody(coding, detail="Compressed bodies are not read; send it without Content-Encoding.")
        body: bytes = request.body  # checks the length before it reads
        declared = request.META.get("CONTENT_LENGTH") or ""
        if declared.isdecimal() and len(body) < int(declared):
            raise MalformedBody("The body ended before its Content-Length; send it again.")
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise MalformedBody(f"The body is not UTF-8: byte {error.start} is invalid.") from error
        return _loads(text)


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


class MergePatchParser(JSONParser):
    """JSON Merge Patch (RFC 7396), which PATCH applies under either content type."""

    media_type = "application/merge-patch+json"


class EmptyFormParser(BaseParser):
    """A multipart form without fields (RFC 2046, section 5.1.1), which counts as an empty body; others are refused.

    An empty body of any other type has no bytes, and DRF calls no parser for it.
    """

    media_type = "multipart/form-data"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        assert parser_context is not None
        boundary: str = parser_context["request"].content_params.get("boundary", "")
        closing = f"--{boundary}--".encode("latin-1", "replace")
        if stream.read(len(closing) + len(b"\r\n") + 1) not in (closing, closing + b"\r\n"):
            raise UnsupportedMediaType(media_type or self.media_type)
        return {}


class JSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None  # RFC 8259 defines no charset parameter

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if renderer_context:
            # Django calls these when the server has sent the answer.
            renderer_context["response"]._resource_closers.append(
                partial(_break_cycles, renderer_context, getattr(data, "serializer", None))
            )
        return b"" if data is None else to_json(data)


def _break_cycles(context: Any, serializer: Any) -> None:
    """Break the reference cycles between DRF's view, request, response and serializers.

    They would keep all tasks of a list until the garbage collector runs: hundreds of megabytes after some 2 MB lists.
    """
    for each in (context["view"], context["request"], serializer, getattr(serializer, "child", None)):
        if each is not None:
            vars(each).clear()
    context.clear()


class AlwaysJSON(BaseContentNegotiation):
    """Content negotiation: the parser by Content-Type, and always the view's first renderer."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        base = request.content_type.partition(";")[0].strip().lower()
        if base == MergePatchParser.media_type and request.method != "PATCH":
            return None
        return next((parser for parser in parsers if parser.media_type == base), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type or ""


class AllowOnly(BaseMetadata):
    """OPTIONS answers with the `Allow` header alone (RFC 9110, section 9.3.7); shapes are in the OpenAPI document."""

    def determine_metadata(self, request: object, view: object) -> None:
        return None
