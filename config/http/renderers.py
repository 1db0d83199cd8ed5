"""Answers are JSON, whatever `Accept` asks for: a 406 would help nobody."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from config.http.json import to_json
from config.http.parsers import MergePatchParser


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
            # What Django calls when the answer has been taken over.
            renderer_context["response"]._resource_closers.append(
                partial(_break_cycles, renderer_context, getattr(data, "serializer", None))
            )
        return b"" if data is None else to_json(data)


def _break_cycles(context: Any, serializer: Any) -> None:
    """Break the reference cycles of DRF's view, request, answer and serializers.

    Else they stay until the garbage collector runs, with all tasks of a list: hundreds of megabytes after some lists
    of 2 MB.
    """
    for each in (context["view"], context["request"], serializer, getattr(serializer, "child", None)):
        if each is not None:
            vars(each).clear()
    context.clear()


class AlwaysJSON(BaseContentNegotiation):
    """Chooses the parser by Content-Type, and the view's first renderer always."""

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
