"""Strict serializers of bodies and query strings: unknown members and parameters are errors."""

from collections.abc import Mapping
from functools import cache, cached_property, lru_cache
from itertools import islice
from types import MappingProxyType
from typing import Any, Self, cast
from urllib.parse import parse_qsl

from django.http import HttpRequest
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.fields import SkipField, empty

from config.http.errors import MAX_ERRORS, InvalidBody, InvalidParameter

Errors = dict[str, list[ErrorDetail]]  # by member or parameter

MAX_PARAMETERS = 100
MAX_CACHED = 512  # characters of a query string


class StrictSerializer(serializers.Serializer):
    """A JSON object. Read-only members are ignored, so that clients may send back a representation."""

    @cached_property
    def _writable_fields(self) -> list[Any]:
        """DRF's, which looks for them in every validation."""
        return [field for field in self.fields.values() if not field.read_only]

    def run_validators(self, value: Any) -> None:
        """DRF's copies the values and looks for defaults of read-only fields, also where there are no validators."""
        if self.validators:
            super().run_validators(value)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            message = "Send a JSON object."
            raise InvalidBody({"non_field_errors": [ErrorDetail(message, code="not_an_object")]})
        unknown: Errors = {}
        if names := list(islice((name for name in data if name not in self.fields), MAX_ERRORS)):
            known = ", ".join(name for name, field in self.fields.items() if not field.read_only)
            error = ErrorDetail(f"Unknown member; known are {known or 'none'}.", code="unknown")
            unknown = {name: [error] for name in names}
        values, errors = self._sent(data)
        if unknown or errors:
            raise InvalidBody({**unknown, **errors})
        return values

    def _sent(self, data: dict[str, Any]) -> tuple[dict[str, Any], Errors]:
        """The validated members, and the errors of the others: what DRF does, but absent members take no call."""
        values: dict[str, Any] = {}
        errors: Errors = {}
        for field in self._writable_fields:
            name = field.field_name
            if name not in data and field.default is empty and (self.partial or not field.required):
                continue
            try:
                values[field.source] = field.run_validation(field.get_value(data))
            except ValidationError as invalid:
                errors[name] = cast(Any, invalid.detail)
            except SkipField:
                pass
        return values, errors

    @classmethod
    def validated(cls, data: Any, *, partial: bool = False) -> Any:
        """The validated data of a request. Raises ValidationError."""
        return cls._validating(partial).run_validation(data)

    @classmethod
    @cache
    def _validating(cls, partial: bool) -> Self:
        """One instance for all requests, as a nested serializer is one for all elements.

        DRF copies all fields for a new one, which takes longer than the validation.
        """
        return cls(partial=partial)


class QuerySerializer(serializers.Serializer):
    """The query string of a request."""

    repeatable: frozenset[str] = frozenset()  # may occur twice
    filters: frozenset[str] = frozenset()  # an empty one is none

    @classmethod
    def validated(cls, request: HttpRequest) -> Mapping[str, Any]:
        """The validated parameters of a request. Raises InvalidParameter."""
        query = query_of(request)
        return cls._cached(query) if len(query) <= MAX_CACHED else cls._validated(query)

    @classmethod
    @lru_cache(maxsize=1024)
    def _cached(cls, query: str) -> Mapping[str, Any]:
        """Front ends repeat their queries. Every value must be immutable."""
        return cls._validated(query)

    @classmethod
    def _validated(cls, query: str) -> Mapping[str, Any]:
        data, refused = cls._parse(query)
        serializer = cls._validating()
        try:
            # `validate` compares parameters with each other; without the refused ones it must not run.
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
        """The values of known parameters, and the errors of the others."""
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
        """The error of a parameter's name or encoding."""
        known = cls._declared_fields
        if any("\ud800" <= character <= "\udfff" for character in name + value):
            return ErrorDetail("It is not percent-encoded UTF-8.", code="invalid_utf8")
        if name not in known:
            return ErrorDetail(f"Unknown parameter; known are {', '.join(known) or 'none'}.", code="unknown")
        if name in data and name not in cls.repeatable:
            return ErrorDetail("It occurs twice; send it once.", code="repeated")
        return None


def query_of(request: HttpRequest) -> str:
    """The query string as it was sent: unescaped UTF-8, too, which WSGI decodes as Latin-1 (PEP 3333)."""
    query: str = request.META.get("QUERY_STRING", "")
    return query if query.isascii() else query.encode("latin-1").decode(errors="surrogateescape")


def query_pairs(query: str) -> list[tuple[str, str]]:
    """The parameters in their order, with lone surrogates for bytes that are not UTF-8. Raises ValueError if there
    are too many."""
    return parse_qsl(query, keep_blank_values=True, errors="surrogateescape", max_num_fields=MAX_PARAMETERS)
