"""Serializers of recurrence and completions, and the query parameters of their lists."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from config.http.fields import BooleanField, ChoiceField, DateField, InstantField, IntegerField, TextField
from config.http.pagination import Cursor
from config.http.serializers import QuerySerializer, StrictSerializer
from tasks import recurring
from tasks.completions import Completion
from tasks.fields import DueField, ProjectsField
from tasks.models import MAX_DESCRIPTION, MAX_TAG
from tasks.recurrence import rules
from users.api.serializers import TimezoneField
from users.resources.lists import DEFAULT_LIMIT, MAX_CURSOR, MAX_LIMIT, Bound, CountField, CursorField, MomentField
from users.resources.querysets import parse_instant
from users.resources.serializers import JsonField

MAX_PREVIEW, DEFAULT_PREVIEW = 100, 10


@extend_schema_field({"type": "string", "minLength": 1, "maxLength": rules.MAX_LENGTH})
class RuleField(TextField):
    """Bounded only for the sake of the body: the rule's own parser names what it does not support."""

    def __init__(self) -> None:
        super().__init__(
            max_length=MAX_DESCRIPTION,
            trim_whitespace=False,
            help_text="RFC 5545's RRULE without DTSTART, from FREQ=HOURLY to FREQ=YEARLY, with INTERVAL, COUNT or "
            "UNTIL, BYDAY, BYMONTHDAY, BYMONTH, BYSETPOS, BYHOUR, BYMINUTE and WKST; answered as it is stored.",
        )


class RecurrenceSerializer(JsonField, StrictSerializer):
    rule = RuleField()
    zone = TimezoneField(max_length=64, required=False, help_text="IANA, whose wall clock counts; by default yours.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "rule" not in attrs:  # which a PATCH would take for a member to leave as it is
            raise serializers.ValidationError({"rule": ErrorDetail("Send the rule.", code="required")})
        return attrs


# A keyword in Python; the first, as PostgreSQL sorts the members of what is stored.
RecurrenceSerializer._declared_fields = {
    "from": ChoiceField(
        choices=[recurring.FROM_DUE, recurring.FROM_COMPLETION],
        required=False,
        help_text="Whether the next one is counted from the due, or from the day of completion; by default the due.",
    ),
    **RecurrenceSerializer._declared_fields,
}


@extend_schema_field({"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]})
class OccurrenceField(DueField):
    """The due of an occurrence."""


class CompletingSerializer(StrictSerializer):
    completed = BooleanField(required=False, help_text="Left out, the task is toggled.")
    series = BooleanField(
        required=False,
        help_text="With `completed: true`, a task that recurs is completed for good.",
    )
    occurrence = OccurrenceField(
        required=False, help_text="With `completed: true`, only if this is the present due: its `due_at`, or the day."
    )
    subtasks = ChoiceField(
        choices=["complete", "leave"],
        required=False,
        help_text="Of the open ones within it; by default they are completed.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name in ("series", "occurrence"):
            if attrs.get(name) and not attrs.get("completed"):
                raise serializers.ValidationError({name: "Send it with completed: true."})
        return attrs


class SkippingSerializer(StrictSerializer):
    occurrence = OccurrenceField(
        required=False, help_text="Skip only if this is the present due: its `due_at`, or the day."
    )


class CompletionSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    task_id = serializers.IntegerField()
    at = InstantField()
    occurrence_date = DateField(allow_null=True, help_text="The due that it had.")
    occurrence_at = InstantField(allow_null=True)
    kind = ChoiceField(choices=Completion.Kind.choices)
    missed = serializers.IntegerField(help_text="Occurrences that passed before the next due; at most 1,000.")
    revoked_at = InstantField(allow_null=True, help_text="When it was taken back, by reopening the task or by undo.")


class PreviewSerializer(StrictSerializer):
    recurrence = RecurrenceSerializer()
    due_date = DateField(required=False, help_text="The first one, of whole days; or send due_at.")
    due_at = InstantField(required=False)
    limit = IntegerField(min_value=1, max_value=MAX_PREVIEW, default=DEFAULT_PREVIEW)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "due_date" in attrs and "due_at" in attrs:
            raise serializers.ValidationError({"due_at": "Send one of due_date and due_at."})
        return attrs


class OccurrencesSerializer(serializers.Serializer[Any]):
    rule = serializers.CharField(allow_null=True, help_text="As it is stored; null of a task that does not recur.")
    occurrences = serializers.ListField(
        child=OccurrenceField(), help_text="Dates, or instants: the due, and those that follow if each is done in time."
    )
    ends = serializers.BooleanField(help_text="Whether the series ends with the last one shown.")
    text = serializers.CharField(help_text="In English words, such as `every month on the last Friday`.")


class CompletionCursorField(CursorField):
    """The `at` and the id of the last row of a page."""

    def to_internal_value(self, data: Any) -> Any:
        cursor: Cursor = super().to_internal_value(data)
        try:
            return parse_instant(cursor.key or ""), cursor.id
        except ValueError:
            self.fail("invalid_cursor")


class OccurrencesQuery(QuerySerializer):
    limit = CountField(
        min_value=1, max_value=MAX_PREVIEW, default=DEFAULT_PREVIEW, help_text="How many occurrences to show."
    )


class CompletionsOfTaskQuery(QuerySerializer):
    limit = CountField(min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT, help_text="Completions per page.")
    cursor = CompletionCursorField(required=False, max_length=MAX_CURSOR, help_text="From the Link header.")


class CompletionsQuery(CompletionsOfTaskQuery):
    repeatable = filters = frozenset({"project"})

    since = MomentField(required=False, help_text="At this moment or later.")
    until = MomentField(required=False, help_text="Before this moment.")
    tag = TextField(max_length=MAX_TAG, required=False, help_text="Of tasks that have this tag now, in any case.")
    project = ProjectsField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if isinstance(place := attrs.get("project"), Bound):
            attrs["project"] = place.value
        return attrs
