"""The admin of reminders, read-only: when each fires and what became of it; the task by its id, without its text."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from config.admin.base import ReadOnlyAdmin
from tasks.reminders.models import Reminder


class StateFilter(admin.SimpleListFilter):
    title = parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("waits", "Waits"), ("sent", "Sent"), ("missed", "Missed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Reminder]) -> QuerySet[Reminder]:
        match self.value():
            case "waits":
                return queryset.exclude(due_at=None)
            case "sent":
                return queryset.exclude(sent_at=None)
            case "missed":
                return queryset.exclude(missed_at=None)
        return queryset


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
