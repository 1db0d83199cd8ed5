"""Serializers that drop nothing silently: an unknown member or parameter is refused by name."""

from collections.abc import Callable, Mapping
from functools import cache, cached_property, lru_cache
from itertools import islice
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Self, cast
from urllib.parse import parse_qsl

from django.http import HttpRequest, QueryDict
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from config.http.errors import MAX_ERRORS, InvalidBody, InvalidParameter

Errors = dict[str, list[ErrorDetail]]  # by member or parameter

MAX_PARAMETERS = 100
REMEMBERED = 512  # characters of a query


class StrictSerializer(serializers.Serializer):
    """A JSON object. Read-only members are ignored, so that a client may send back what it got."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, QueryDict):
            data = {}  # DRF's empty body with the label of a form, where an absent boolean would be false
        if not isinstance(data, dict):
            message = "Send a JSON object."
            raise InvalidBody({"non_field_errors": [ErrorDetail(message, code="not_an_object")]})
        unknown = self._unknown_members(data)
        try:
            values = super().to_internal_value(data)
        except ValidationError as error:
            raise InvalidBody({**unknown, **cast(Errors, error.detail)}) from error
        if unknown:
            raise InvalidBody(unknown)
        return values

    def _unknown_members(self, data: dict[str, Any]) -> Errors:
        unknown = list(islice((name for name in data if name not in self.fields), MAX_ERRORS))
        if not unknown:
            return {}
        known = ", ".join(name for name, field in self.fields.items() if not field.read_only)
        error = ErrorDetail(f"Unknown member; known are {known or 'none'}.", code="unknown")
        return {name: [error] for name in unknown}

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
    """The query string of a request."""

    repeatable: frozenset[str] = frozenset()  # may occur twice
    filters: frozenset[str] = frozenset()  # an empty one is none

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
        data, refused = cls._parse(query)
        serializer = cls._validating()
        try:
            # `validate` compares parameters, and would compare with one that was refused.
            values = serializer.to_internal_value(data) if refused else serializer.run_validation(data)
        except ValidationError as error:
            raise InvalidParameter({**refused, **cast(Errors, error.detail)}) from error
        if refused:
            raise InvalidParameter(refused)
        return MappingProxyType(values)

    @classmethod
    @cache
    def _validating(cls) -> Self:
        return cls()

    @classmethod
    def _parse(cls, query: str) -> tuple[dict[str, Any], Errors]:
        """The values of known parameters, and what is wrong with the others."""
        try:
            pairs = query_pairs(query)
        except ValueError as error:
            message = f"It has more than {MAX_PARAMETERS} parameters."
            raise InvalidParameter({"the query": [ErrorDetail(message, code="too_many")]}) from error
        data: dict[str, Any] = {}
        refused: Errors = {}
        for name, value in pairs:
            if refusal := cls._refusal(name, value, data):
                refused[name] = [refusal]
            elif not value and name in cls.filters:
                continue  # web forms send all of their fields
            elif name in cls.repeatable:
                data.setdefault(name, []).append(value)
            else:
                data[name] = value
        return {name: value for name, value in data.items() if name not in refused}, refused

    @classmethod
    def _refusal(cls, name: str, value: str, data: dict[str, Any]) -> ErrorDetail | None:
        """What is wrong with a parameter beside its value."""
        known = cls._declared_fields
        if not _is_text(name + value):
            return ErrorDetail("It is not percent-encoded UTF-8.", code="invalid_utf8")
        if name not in known:
            return ErrorDetail(f"Unknown parameter; known are {', '.join(known)}.", code="unknown")
        if name in data and name not in cls.repeatable:
            return ErrorDetail("It occurs twice; send it once.", code="repeated")
        return None


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
