"""The admin of reminders, read-only: when each fires and what became of it; the task by its id, without its text."""

from django.contrib import admin
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from config.admin.base import ReadOnlyAdmin
from config.admin.lists import ChoiceFilter
from tasks.reminders.models import Reminder


class StateFilter(ChoiceFilter):
    title = parameter_name = "state"
    narrowing = {
        "waits": ("Waits", lambda reminders: reminders.exclude(due_at=None)),
        "sent": ("Sent", lambda reminders: reminders.exclude(sent_at=None)),
        "missed": ("Missed", lambda reminders: reminders.exclude(missed_at=None)),
    }


@admin.register(Reminder)
class ReminderAdmin(ReadOnlyAdmin):
    icon = "alarm"
    list_display = ("id", "user", "task_number", "remind_at", "snoozed_until", "sent_at", "missed_at")
    list_select_related = ("user",)
    list_filter = (StateFilter, ("user", AutocompleteSelectFilter))
    ordering = ("-pk",)
    fields = readonly_fields = (
        "user", "task_number", "uid", "remind_at", "is_muted", "planned_at", "snoozed_until", "sent_at", "missed_at",
        "attempts",
    )  # fmt: skip

    @admin.display(description="task")
    def task_number(self, row: Reminder) -> int:
        return row.task_id
