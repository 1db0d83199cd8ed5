"""The base serializer of resources."""

from functools import cached_property
from typing import Any, ClassVar

from rest_framework import serializers

from config.http.fields import InstantField, TextField
from config.http.serializers import AttributesSerializer
from users.resources.models import MAX_UID

_LAST = ("created_at", "updated_at", "version")


class ResourceSerializer(AttributesSerializer):
    """Subclasses declare the other members, which come between `user_id` and `created_at`."""

    plural: ClassVar[str] = "rows"

    id = serializers.IntegerField(read_only=True)
    uid = TextField(max_length=MAX_UID)
    user_id = serializers.CharField(read_only=True, help_text="The owner's public id.")
    created_at = InstantField(read_only=True)
    updated_at = InstantField(read_only=True)
    version = serializers.IntegerField(read_only=True, help_text="Grows with every change; in quotes, the ETag.")

    def __init_subclass__(cls) -> None:
        fields = dict(cls._declared_fields)
        fields["uid"] = TextField(
            max_length=MAX_UID,
            trim_whitespace=False,
            required=False,
            help_text=f"Unique among your {cls.plural}; made by you or else by us, and then fixed.",
        )
        cls._declared_fields = fields | {name: fields.pop(name) for name in _LAST}

    def to_representation(self, instance: Any) -> dict[str, Any]:
        representation = super().to_representation(instance)
        representation["user_id"] = self._owner_id  # the public id, in place of the column's
        return representation

    @cached_property
    def _owner_id(self) -> str:
        """The caller's public id: rows are only ever shown to their owner."""
        public_id: str = self.context["request"].user.public_id
        return public_id
