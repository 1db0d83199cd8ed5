"""Serializer fields without coercion: a number is no string, and "yes" no boolean."""

import datetime as dt
import re
import uuid
from copy import copy
from decimal import Decimal
from typing import Any, ClassVar

from django.core.validators import MaxLengthValidator, ProhibitNullCharactersValidator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import empty
from rest_framework.validators import ProhibitSurrogateCharactersValidator

from config.values import FIRST_DATE, FIRST_INSTANT, LAST_DATE, LAST_INSTANT, is_storable, is_visible, trimmed

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TIME = re.compile(r"^([01][0-9]|2[0-3]):[0-5][0-9]$")
# Characters of the longest valid ones.
MAX_DATE = len("2026-11-30")
MAX_INSTANT = len("2026-11-30T09:30:00.123456789+00:00")
MAX_CHOICE = 64
MAX_DECIMAL, MAX_UUID = 64, 36
_HELD = MaxLengthValidator, ProhibitNullCharactersValidator, ProhibitSurrogateCharactersValidator


class TextField(serializers.CharField):
    """A JSON string without NUL, which PostgreSQL cannot store, and without lone surrogates.

    The length is checked first: a body has room for a million characters, and some checks take quadratic time.
    """

    default_error_messages = {"invalid": "Send a JSON string."}
    is_for_people: ClassVar[bool] = True  # so that a text of invisible characters counts as blank
    max_length: int

    def __init__(self, *, max_length: int, **kwargs: Any) -> None:
        super().__init__(max_length=max_length, **kwargs)
        self._further = [each for each in self.validators if not isinstance(each, _HELD)]

    def run_validation(self, data: Any = empty) -> Any:
        if isinstance(data, str):
            fits = trimmed(data, self.max_length) is not None if self.trim_whitespace else len(data) <= self.max_length
            if not fits:
                self.fail("max_length", max_length=self.max_length)
            if self.is_for_people and not self.allow_blank and not is_visible(data):
                self.fail("blank")
        elif data is not empty and data is not None:
            self.fail("invalid")
        return super().run_validation(data)

    def run_validators(self, value: Any) -> None:
        """DRF's own are called only to raise: what they look for is told faster, and of surrogates not in Python."""
        if self._further or not is_storable(str(value)):
            super().run_validators(value)


class IntegerField(serializers.IntegerField):
    """A JSON number without a fraction."""

    default_error_messages = {"invalid": "Send a whole JSON number."}

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:  # a boolean is an int, too
            self.fail("invalid")
        return data


class Clearable(serializers.Field):
    """Mixin of a field that null in a request resets to `cleared`; responses never have null."""

    def __init__(self, *, cleared: Any, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **kwargs)
        self.cleared = cleared

    def run_validation(self, data: Any = empty) -> Any:
        return copy(self.cleared) if data is None else super().run_validation(data)


class EmptyIsNull(serializers.Field):
    """Mixin of a field that takes an empty string for null, as web forms send it."""

    def run_validation(self, data: Any = empty) -> Any:
        return super().run_validation(None if data == "" else data)


class ChoiceField(serializers.ChoiceField):
    default_error_messages = {"invalid_choice": "Use one of: {known}."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or len(data) > MAX_CHOICE or data not in self.choice_strings_to_values:
            self.fail("invalid_choice", known=", ".join(self.choice_strings_to_values))
        return self.choice_strings_to_values[data]


class BooleanField(serializers.BooleanField):
    default_error_messages = {"invalid": "Use true or false."}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class ListField(serializers.ListField):
    """A JSON array. Its length is checked before its elements: a body has room for half a million invalid ones."""

    default_error_messages = {"not_a_list": "Send a JSON array."}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, list) and self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        return super().to_internal_value(data)


@extend_schema_field(OpenApiTypes.UUID)
class UuidField(serializers.Field):
    """A UUID in its usual form, with hyphens."""

    default_error_messages = {"invalid": "Write a UUID, as 7f9c24e5-2f4d-4c6b-9d57-0a1b2c3d4e5f."}

    def to_internal_value(self, data: Any) -> uuid.UUID:
        if not isinstance(data, str) or len(data) != MAX_UUID or not _UUID.fullmatch(data):
            self.fail("invalid")
        return uuid.UUID(data)

    def to_representation(self, value: uuid.UUID) -> uuid.UUID:
        return value  # orjson writes it


class DecimalField(serializers.Field):
    """A decimal number in a JSON string, as numbers of JSON are binary in most clients; stored with all its places."""

    default_error_messages = {
        "invalid": "Write a decimal number as a string, with up to {places} digits after the point.",
        "out_of_range": "Use a number from {least} to {most}.",
    }

    def __init__(
        self, *, digits: int, places: int, min_value: Decimal | None = None, max_value: Decimal | None = None, **kw: Any
    ) -> None:
        super().__init__(**kw)
        most = Decimal(10) ** (digits - places) - Decimal(10) ** -places
        self.places, self.least, self.most = places, -most, most
        if min_value is not None:
            self.least = min_value
        if max_value is not None:
            self.most = max_value
        whole = digits - places
        fraction = rf"(\.[0-9]{{1,{places}}})?" if places else ""
        pattern = rf"-?(0|[1-9][0-9]{{0,{whole - 1}}}){fraction}" if whole else rf"-?0{fraction}"
        self._pattern = re.compile(pattern)
        self._spectacular_annotation = {"field": {"type": "string", "pattern": f"^{pattern}$", "example": "1"}}

    def to_internal_value(self, data: Any) -> Decimal:
        if not isinstance(data, str) or len(data) > MAX_DECIMAL or not self._pattern.fullmatch(data):
            self.fail("invalid", places=self.places)
        number = Decimal(data).quantize(Decimal(1).scaleb(-self.places)) + 0  # which makes -0 zero
        if not self.least <= number <= self.most:
            self.fail("out_of_range", least=self.least, most=self.most)
        return number

    def to_representation(self, value: Decimal) -> Decimal:
        return value  # `to_json` writes it


@extend_schema_field(OpenApiTypes.DATE)
class DateField(serializers.Field):
    """A calendar date, `YYYY-MM-DD`."""

    default_error_messages = {
        "invalid": "Write a date that exists, as YYYY-MM-DD.",
        "out_of_range": f"Use a date from {FIRST_DATE} to {LAST_DATE}.",
    }

    def to_internal_value(self, data: Any) -> dt.date:
        if not isinstance(data, str) or len(data) > MAX_DATE or not _DATE.fullmatch(data):
            self.fail("invalid")
        try:
            date = dt.date.fromisoformat(data)
        except ValueError:
            self.fail("invalid")
        if not FIRST_DATE <= date <= LAST_DATE:
            self.fail("out_of_range")
        return date

    def to_representation(self, value: dt.date) -> dt.date:
        return value  # orjson writes it


@extend_schema_field({"type": "string", "pattern": _TIME.pattern, "example": "09:00"})
class TimeField(serializers.Field):
    """A time of day on the wall clock, `HH:MM`."""

    default_error_messages = {"invalid": "Write a time of day as HH:MM, from 00:00 to 23:59."}

    def to_internal_value(self, data: Any) -> dt.time:
        if not isinstance(data, str) or not _TIME.fullmatch(data):
            self.fail("invalid")
        return dt.time.fromisoformat(data)

    def to_representation(self, value: dt.time) -> str:
        return f"{value:%H:%M}"


@extend_schema_field(OpenApiTypes.DATETIME)
class InstantField(serializers.Field):
    """A timestamp, RFC 3339 with an offset; represented in UTC with `Z`."""

    default_error_messages = {
        "invalid": "Write a time that exists, as RFC 3339 with its offset, for example 2026-11-30T09:30:00Z.",
        "out_of_range": f"Use a time from {FIRST_INSTANT:%Y-%m-%d} to {LAST_INSTANT:%Y-%m-%d}.",
    }

    def to_internal_value(self, data: Any) -> dt.datetime:
        if not isinstance(data, str) or len(data) > MAX_INSTANT or not _INSTANT.fullmatch(data):
            self.fail("invalid")
        try:
            instant = dt.datetime.fromisoformat(data.upper()).astimezone(dt.UTC)
        except OverflowError:
            self.fail("out_of_range")
        except ValueError:
            self.fail("invalid")
        if not FIRST_INSTANT <= instant <= LAST_INSTANT:
            self.fail("out_of_range")
        return instant

    def to_representation(self, value: dt.datetime) -> dt.datetime:
        return value.astimezone(dt.UTC)  # orjson writes it
