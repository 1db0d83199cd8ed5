"""The serializers of when reminders fire."""

from typing import Any

from rest_framework import serializers

from config.http.fields import InstantField, IntegerField
from config.http.serializers import StrictSerializer
from users.models import MAX_REMINDER_MINUTES


class ReminderSerializer(serializers.Serializer[Any]):
    uid = serializers.CharField(help_text="That of the reminder in the task.")
    remind_at = InstantField(
        allow_null=True,
        help_text="When it fires; null without a due, and while the task is closed or in an archived project.",
    )
    snoozed_until = InstantField(allow_null=True)
    sent_at = InstantField(allow_null=True, help_text="When you were told.")
    missed_at = InstantField(
        allow_null=True, help_text="When it was given up: more than a day late, or with no way to tell you."
    )


class SnoozeSerializer(StrictSerializer):
    minutes = IntegerField(min_value=1, max_value=MAX_REMINDER_MINUTES, required=False, help_text="From now.")
    until = InstantField(required=False, help_text="A moment to come; or send minutes.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError({"until": "Send one of minutes and until."})
        return attrs
