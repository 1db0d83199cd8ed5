"""The base serializer of resources."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, ClassVar

from orjson import Fragment
from rest_framework import serializers

from config.http.fields import InstantField, TextField
from config.http.serializers import StrictSerializer
from users.resources.models import MAX_UID, OwnedModel

_LAST = ("created_at", "updated_at", "version")


class JsonField(serializers.Field):
    """Mixin of a field with a JSON object, whose source is a column as text, or the object itself of an instance."""

    absent: ClassVar[Any] = None  # what a text that is null stands for


class ResourceSerializer(StrictSerializer):
    """Subclasses declare their model, and the other members, which come between `user_id` and `created_at`."""

    model: ClassVar[type[OwnedModel]]

    id = serializers.IntegerField(read_only=True)
    uid = TextField(max_length=MAX_UID)
    user_id = serializers.CharField(read_only=True, help_text="The owner's public id.")
    created_at = InstantField(read_only=True)
    updated_at = InstantField(read_only=True)
    version = serializers.IntegerField(read_only=True, help_text="Grows with every change; in quotes, the ETag.")

    def __init_subclass__(cls) -> None:
        fields, plural = dict(cls._declared_fields), cls.model._meta.verbose_name_plural
        fields["uid"] = TextField(
            max_length=MAX_UID,
            trim_whitespace=False,
            required=False,
            help_text=f"Unique among your {plural}; made by you or else by us, and then fixed.",
        )
        cls._declared_fields = fields | {name: fields.pop(name) for name in _LAST}

    @classmethod
    @cache
    def columns(cls) -> tuple[str, ...]:
        """The attribute of each member, in their order: a column of the model, or one of its `expressions`."""
        return tuple(str(field.source or name) for name, field in cls._readable().items())

    @classmethod
    def represent(cls, rows: Iterable[Sequence[Any]], public_id: str) -> list[dict[str, Any]]:
        """Rows of `columns` as they become JSON, for their owner, whose public id takes the place of the column's.

        Values are taken as they are: only for fields whose own `to_representation` makes no difference to the JSON,
        which a test holds.
        """
        members, texts = cls._members(), cls._json_members()
        represented = [dict(zip(members, row, strict=True)) for row in rows]
        for each in represented:
            each["user_id"] = public_id
            for name, absent in texts:
                if type(text := each[name]) is str:
                    each[name] = Fragment(text)
                elif text is None:
                    each[name] = absent
        return represented

    @classmethod
    def represent_row(cls, row: OwnedModel, public_id: str) -> dict[str, Any]:
        return cls.represent([cls._values()(row)], public_id)[0]

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return self.represent_row(instance, self.context["request"].user.public_id)

    @classmethod
    def _readable(cls) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {name: field for name, field in cls._declared_fields.items() if not field.write_only}

    @classmethod
    @cache
    def _members(cls) -> tuple[str, ...]:
        return tuple(cls._readable())

    @classmethod
    @cache
    def _json_members(cls) -> tuple[tuple[str, Any], ...]:
        return tuple((name, field.absent) for name, field in cls._readable().items() if isinstance(field, JsonField))

    @classmethod
    @cache
    def _values(cls) -> Callable[[Any], tuple[Any, ...]]:
        return attrgetter(*cls.columns())
