"""The shape of a task: what clients may send, and what they get."""

import datetime as dt
from functools import cached_property
from typing import Any

from rest_framework import serializers

from config.http.fields import (
    BooleanField,
    ChoiceField,
    Clearable,
    DateField,
    EmptyIsNull,
    InstantField,
    ListField,
    TextField,
)
from config.http.serializers import AttributesSerializer, StrictSerializer
from tasks.choices import Priority, Status
from tasks.models import MAX_DESCRIPTION, MAX_TAG, MAX_TAGS, MAX_TITLE, MAX_UID, Task


class DueDateField(EmptyIsNull, DateField):
    """A date; a date-time is let through: what it means, `Task.apply` knows."""

    def to_internal_value(self, data: Any) -> dt.date:
        if isinstance(data, str) and len(data) > len("YYYY-MM-DD"):
            return InstantField().to_internal_value(data)
        return super().to_internal_value(data)


class DueAtField(EmptyIsNull, InstantField):
    pass


class DescriptionField(Clearable, TextField):
    pass


class PriorityField(Clearable, ChoiceField):
    pass


class TagsField(Clearable, ListField):
    """Trimmed, in order, each once."""

    child = TextField(max_length=MAX_TAG)

    def to_internal_value(self, data: Any) -> list[str]:
        return list(dict.fromkeys(super().to_internal_value(data)))


class TaskSerializer(AttributesSerializer):
    id = serializers.IntegerField(read_only=True)
    uid = TextField(
        max_length=MAX_UID,
        trim_whitespace=False,
        required=False,
        help_text="Unique among your tasks; made by you or else by us, and then fixed.",
    )
    user_id = serializers.CharField(read_only=True, help_text="The owner's public id.")
    title = TextField(max_length=MAX_TITLE)
    description = DescriptionField(cleared="", max_length=MAX_DESCRIPTION, allow_blank=True, trim_whitespace=False)
    status = ChoiceField(choices=Status.choices, required=False)
    completed = BooleanField(
        source="is_completed", required=False, help_text="A view on status; of the two, the one that changes counts."
    )
    priority = PriorityField(cleared=Priority.MEDIUM, choices=Priority.choices)
    tags = TagsField(cleared=[], max_length=MAX_TAGS, help_text="Trimmed, in your order, each once.")
    due_date = DueDateField(
        allow_null=True,
        required=False,
        help_text='The day; sending one clears due_at, null or "" clears both. A date-time is taken as due_at.',
    )
    due_at = DueAtField(
        allow_null=True,
        required=False,
        help_text='The moment; sending one sets due_date to its day in your time zone, null or "" leaves the day.',
    )
    completed_at = InstantField(read_only=True, allow_null=True)
    created_at = InstantField(read_only=True)
    updated_at = InstantField(read_only=True)
    version = serializers.IntegerField(read_only=True, help_text="Grows with every change; in quotes, the ETag.")

    def to_representation(self, instance: Task) -> dict[str, Any]:
        representation = super().to_representation(instance)
        representation["user_id"] = self._owner_id  # in place of the row's
        return representation

    @cached_property
    def _owner_id(self) -> str:
        """Tasks are only ever shown to their owner."""
        public_id: str = self.context["request"].user.public_id
        return public_id


class CompletionSerializer(StrictSerializer):
    completed = BooleanField(required=False, help_text="Left out, the task is toggled.")
