"""Serializers that drop nothing silently: an unknown member or parameter is refused by name."""

from collections.abc import Callable, Mapping
from functools import cache, cached_property, lru_cache
from itertools import islice
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import parse_qsl

from django.http import HttpRequest
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from config.rest.problems import MAX_ERRORS, InvalidBody, InvalidParameter

MAX_PARAMETERS = 100
REMEMBERED = 512  # characters of a query


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

    @classmethod
    def validated(cls, data: Any, *, partial: bool = False) -> Any:
        """What a request has sent. Raises ValidationError."""
        return cls._validating(partial).run_validation(data)

    @classmethod
    @cache
    def _validating(cls, partial: bool) -> Self:
        """Validates one request after another, as a nested serializer does one element after another.

        A new one would copy all its fields first, which takes longer than to validate.
        """
        return cls(partial=partial)


class AttributesSerializer(StrictSerializer):
    """Represents an object by its attributes as they are, which the renderer knows how to write.

    Only for fields whose own `to_representation` makes no difference to the JSON; a test holds them to that.
    """

    def to_representation(self, instance: Any) -> dict[str, Any]:
        names, values_of = self._readable
        return dict(zip(names, values_of(instance), strict=True))

    @cached_property
    def _readable(self) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
        fields = {name: field for name, field in self._declared_fields.items() if not field.write_only}
        return tuple(fields), attrgetter(*(field.source or name for name, field in fields.items()))


class QuerySerializer(serializers.Serializer):
    """The query string of a request. Only parameters named in `repeatable` may occur twice."""

    repeatable: frozenset[str] = frozenset()

    @classmethod
    def validated(cls, request: HttpRequest) -> Mapping[str, Any]:
        """What the query says. Raises InvalidParameter."""
        query = query_of(request)
        return cls._remembered(query) if len(query) <= REMEMBERED else cls._validated(query)

    @classmethod
    @lru_cache(maxsize=1024)
    def _remembered(cls, query: str) -> Mapping[str, Any]:
        """Front ends ask the same again and again. Every value must be immutable."""
        return cls._validated(query)

    @classmethod
    def _validated(cls, query: str) -> Mapping[str, Any]:
        try:
            values: dict[str, Any] = cls._validating().run_validation(cls._parse(query))
        except ValidationError as error:
            raise InvalidParameter(error.detail) from error
        return MappingProxyType(values)

    @classmethod
    @cache
    def _validating(cls) -> Self:
        return cls()

    @classmethod
    def _parse(cls, query: str) -> dict[str, Any]:
        try:
            pairs = query_pairs(query)
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


def query_of(request: HttpRequest) -> str:
    """As it was sent. Clients may send UTF-8 as it is, unescaped, which WSGI hands over as Latin-1 (PEP 3333)."""
    query: str = request.META.get("QUERY_STRING", "")
    return query if query.isascii() else query.encode("latin-1").decode(errors="surrogateescape")


def query_pairs(query: str) -> list[tuple[str, str]]:
    """The parameters in their order; what is not UTF-8 becomes lone surrogates. Raises ValueError if there are
    too many."""
    return parse_qsl(query, keep_blank_values=True, errors="surrogateescape", max_num_fields=MAX_PARAMETERS)


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _refusal(parameter: str, message: str, code: str) -> InvalidParameter:
    return InvalidParameter({parameter: [ErrorDetail(message, code=code)]})
