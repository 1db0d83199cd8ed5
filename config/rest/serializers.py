"""Serializers that drop nothing silently: an unknown member or parameter is refused by name."""

from itertools import islice
from typing import Any, Self
from urllib.parse import parse_qsl

from django.http import HttpRequest
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from config.rest.problems import MAX_ERRORS, InvalidBody, InvalidParameter

MAX_PARAMETERS = 100


class StrictSerializer(serializers.Serializer):
    """A JSON object. Read-only members are ignored, so that a client may send back what it got."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            message = "Send a JSON object."
            raise InvalidBody({"non_field_errors": [ErrorDetail(message, code="not_an_object")]})
        unknown = list(islice((name for name in data if name not in self.fields), MAX_ERRORS))
        if unknown:
            known = ", ".join(name for name, field in self.fields.items() if not field.read_only)
            error = ErrorDetail(f"Unknown member; known are {known or 'none'}.", code="unknown")
            raise InvalidBody({name: [error] for name in unknown})
        return super().to_internal_value(data)


class QuerySerializer(serializers.Serializer):
    """The query string of a request. Only parameters named in `repeatable` may occur twice."""

    repeatable: frozenset[str] = frozenset()

    @classmethod
    def of(cls, request: HttpRequest) -> Self:
        """Parse and validate; raises InvalidParameter."""
        serializer = cls(data=cls._parse(request))
        if not serializer.is_valid():
            raise InvalidParameter(serializer.errors)
        return serializer

    @classmethod
    def _parse(cls, request: HttpRequest) -> dict[str, Any]:
        try:
            pairs = query_pairs(request)
        except ValueError as error:
            raise _refusal("the query", f"It has more than {MAX_PARAMETERS} parameters.", "too_many") from error
        known = cls._declared_fields
        data: dict[str, Any] = {}
        for name, value in pairs:
            if not _is_text(name + value):
                raise _refusal(name, "It is not percent-encoded UTF-8.", "invalid_utf8")
            if name not in known:
                raise _refusal(name, f"Unknown parameter; known are {', '.join(known)}.", "unknown")
            if name in cls.repeatable:
                data.setdefault(name, []).append(value)
            elif name in data:
                raise _refusal(name, "It occurs twice; send it once.", "repeated")
            else:
                data[name] = value
        return data


def query_pairs(request: HttpRequest) -> list[tuple[str, str]]:
    """The parameters in their order; what is not UTF-8 becomes lone surrogates.

    Raises ValueError if there are too many. Clients may send UTF-8 as it is, unescaped, which WSGI
    hands over as Latin-1 (PEP 3333).
    """
    query = request.META.get("QUERY_STRING", "").encode("latin-1").decode(errors="surrogateescape")
    return parse_qsl(query, keep_blank_values=True, errors="surrogateescape", max_num_fields=MAX_PARAMETERS)


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _refusal(parameter: str, message: str, code: str) -> InvalidParameter:
    return InvalidParameter({parameter: [ErrorDetail(message, code=code)]})
