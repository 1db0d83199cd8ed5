"""Serializer fields that tasks and projects have in common."""

import datetime as dt
import re
from collections.abc import Iterable
from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from config.http.fields import Clearable, DateField, InstantField, IntegerField, TextField
from config.http.serializers import StrictSerializer
from config.values import MAX_BIGINT
from tasks import positions
from tasks.choices import ACTIVE, INBOX
from tasks.placed import EXTRA_RULE, MAX_EXTRA, is_extra
from users.resources.lists import Bound
from users.resources.models import MAX_UID
from users.resources.serializers import JsonField

MAX_PROJECTS = 20  # in one query

_ID = re.compile(r"[1-9][0-9]{0,18}")


class DescriptionField(Clearable, TextField):
    pass


class DueField(DateField):
    """A whole day, or an instant."""

    def to_internal_value(self, data: Any) -> dt.date:
        if isinstance(data, str) and len(data) > len("YYYY-MM-DD"):
            return InstantField().to_internal_value(data)
        return super().to_internal_value(data)


@extend_schema_field(OpenApiTypes.INT64)
class IdField(serializers.Field):
    """A query parameter: the id of a row, or one of these words. Of another user's row nobody is told."""

    default_error_messages = {"invalid": "Use {known}."}

    def __init__(self, *words: str, known: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words, self.known = words, known

    def to_internal_value(self, data: Any) -> Any:
        if data in self.words:
            return data
        if not _ID.fullmatch(data) or int(data) > MAX_BIGINT:
            self.fail("invalid", known=self.known)
        return Bound(int(data))


def split(sent: Iterable[str]) -> list[str]:
    """The values of a parameter that may be repeated, and may have commas."""
    return [each.strip(" ") for each in ",".join(sent).split(",")]


class ProjectsField(IdField):
    """Ids with commas or by repetition, or a word alone."""

    def __init__(self, **kwargs: Any) -> None:
        known = f"{INBOX} or {ACTIVE}, alone, or up to {MAX_PROJECTS} ids of projects"
        super().__init__(INBOX, ACTIVE, required=False, known=known, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        sent = split(data)
        if len(sent) > MAX_PROJECTS or (len(sent) > 1 and not set(sent).isdisjoint(self.words)):
            self.fail("invalid", known=self.known)
        first, *others = sorted({*map(super().to_internal_value, sent)})
        return tuple(each.value for each in (first, *others)) if others else first


class ReferenceField(IntegerField):
    """The id of another row, or null."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=MAX_BIGINT, required=False, allow_null=True, **kwargs)


class ReferenceUidField(TextField):
    """The uid of another row, or null, in place of its id."""

    def __init__(self, **kwargs: Any) -> None:
        bounds = {"max_length": MAX_UID, "trim_whitespace": False}
        super().__init__(required=False, allow_null=True, write_only=True, **bounds, **kwargs)


class PositionField(TextField):
    default_error_messages = {"invalid_position": positions.RULE}

    def __init__(self) -> None:
        super().__init__(
            min_length=2,
            max_length=positions.MAX_LENGTH,
            required=False,
            trim_whitespace=False,
            help_text="The place among its siblings, as `fractional-indexing` makes keys; new ones are last.",
        )

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not positions.is_valid(text):
            self.fail("invalid_position")
        return text


class ExtraField(Clearable, JsonField, serializers.DictField):
    absent: ClassVar[Any] = {}
    default_error_messages = {"not_a_dict": "Send a JSON object.", "invalid_extra": EXTRA_RULE}

    def __init__(self) -> None:
        super().__init__(
            source="extra_json",
            cleared={},
            help_text=f"Your own members, kept as they are; at most {MAX_EXTRA} bytes of JSON.",
        )

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            self.fail("not_a_dict", input_type=type(data).__name__)
        if not is_extra(data):
            self.fail("invalid_extra")
        return data


class PlaceSerializer(StrictSerializer):
    """Where something moves to: another parent, and another place among its siblings."""

    parent_id = ReferenceField(help_text="null is the root; left out, it stays within the same.")
    parent_uid = ReferenceUidField(help_text="In place of parent_id.")
    after_id = ReferenceField(help_text="Right after this sibling; without it and before_id, to the end.")
    before_id = ReferenceField(help_text="Right before this sibling.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("after_id") is not None and attrs.get("before_id") is not None:
            raise serializers.ValidationError({"before_id": "Send one of after_id and before_id."})
        return attrs
