"""The serializers of tasks."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from config.http.fields import (
    BooleanField,
    ChoiceField,
    Clearable,
    EmptyIsNull,
    InstantField,
    IntegerField,
    ListField,
    TextField,
)
from config.http.serializers import StrictSerializer
from tasks.choices import Priority, Status
from tasks.fields import (
    DescriptionField,
    DueField,
    ExtraField,
    PlaceSerializer,
    PositionField,
    ReferenceField,
    ReferenceUidField,
)
from tasks.models import MAX_DEPTH, MAX_DESCRIPTION, MAX_TAG, MAX_TAGS, MAX_TITLE, Task
from tasks.reminding import MAX_REMINDERS
from tasks.series_serializers import RecurrenceSerializer
from users.models import MAX_REMINDER_MINUTES
from users.resources.models import MAX_UID
from users.resources.serializers import JsonField, ResourceSerializer


class DueDateField(EmptyIsNull, DueField):
    """An instant is the `due_at`, for which `Task.take_over` takes it."""


class DueAtField(EmptyIsNull, InstantField):
    pass


class PriorityField(Clearable, ChoiceField):
    pass


class TagsField(Clearable, ListField):
    """Trimmed, in order, each once."""

    child = TextField(max_length=MAX_TAG)

    def to_internal_value(self, data: Any) -> list[str]:
        return list(dict.fromkeys(super().to_internal_value(data)))


class ReminderSettingSerializer(StrictSerializer):
    """One of `at` and `minutes_before`, which `tasks.reminding` holds."""

    uid = TextField(max_length=MAX_UID, required=False, trim_whitespace=False)
    at = InstantField(required=False)
    minutes_before = IntegerField(min_value=0, max_value=MAX_REMINDER_MINUTES, required=False)


_UID = {"type": "string", "minLength": 1, "maxLength": MAX_UID, "description": "Unique in the task."}
_AT = {"type": "string", "format": "date-time", "description": "The moment."}
_BEFORE = {
    "type": "integer",
    "minimum": 0,
    "maximum": MAX_REMINDER_MINUTES,
    "description": "Before the due; before your `reminder_time` on a day that is due as a whole.",
}


def _either(member: str, schema: dict[str, Any]) -> dict[str, Any]:
    properties = {"uid": _UID, member: schema}
    return {"type": "object", "properties": properties, "required": [member], "additionalProperties": False}


@extend_schema_field(
    {
        "type": "array",
        "maxItems": MAX_REMINDERS,
        "items": {"oneOf": [_either("at", _AT), _either("minutes_before", _BEFORE)]},
    }
)
class RemindersField(JsonField, Clearable, ListField):
    child = ReminderSettingSerializer()
    absent: ClassVar[Any] = []


class TaskSerializer(ResourceSerializer):
    model = Task

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
    project_id = ReferenceField(help_text="null is the inbox. That of a subtask is its parent's.")
    project_uid = ReferenceUidField(help_text="In place of project_id.")
    parent_id = ReferenceField(help_text=f"The task that it is within, of at most {MAX_DEPTH} levels.")
    parent_uid = ReferenceUidField(help_text="In place of parent_id.")
    position = PositionField()
    recurrence = RecurrenceSerializer(
        source="recurrence_json",
        allow_null=True,
        required=False,
        help_text="The rule by which a next due follows when the task is completed; it needs a due. null ends it.",
    )
    completions = serializers.IntegerField(read_only=True, help_text="How often it was completed.")
    last_completed_at = InstantField(read_only=True, allow_null=True)
    reminders = RemindersField(
        cleared=[],
        max_length=MAX_REMINDERS,
        help_text="When to be reminded; `…/reminders` tells when each fires. Left out, a new task with a due has that "
        "of your default_reminder_minutes.",
    )
    extra = ExtraField()


class NumbersSerializer(StrictSerializer):
    """For the OpenAPI document, as those below."""

    open = IntegerField()
    completed = IntegerField()


class CountsSerializer(StrictSerializer):
    inbox = NumbersSerializer()
    projects = serializers.DictField(child=NumbersSerializer(), help_text="By id; also those without tasks.")
    tags = serializers.DictField(child=IntegerField(), help_text="Open tasks by tag, as its newest tasks spell it.")
    today = IntegerField(help_text="Due today, in your time zone.")
    overdue = IntegerField(help_text="Past their due, as `overdue=true` lists them.")


class TagSerializer(StrictSerializer):
    tag = TextField(max_length=MAX_TAG, help_text="As its newest tasks spell it.")
    open = IntegerField()
    completed = IntegerField()


class TagRenameSerializer(StrictSerializer):
    to = TextField(max_length=MAX_TAG, help_text="Trimmed; may be a tag that is there, or another spelling.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """With `from`, which is a keyword of Python."""
        return {"from": TextField(max_length=MAX_TAG, help_text="In any case."), **super().get_fields()}


class TagRenamedSerializer(StrictSerializer):
    changed = IntegerField(help_text="How many tasks.")


class TaskPlaceSerializer(PlaceSerializer):
    project_id = ReferenceField(help_text="null is the inbox; left out, it stays in the same, or goes to its parent's.")
    project_uid = ReferenceUidField(help_text="In place of project_id.")
