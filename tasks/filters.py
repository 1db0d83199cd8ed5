"""The filters of the task list."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers

from config.http.fields import ChoiceField, DateField, ListField, TextField
from config.values import MAX_SEARCH
from tasks.choices import Priority, Sort, Status
from tasks.models import MAX_TAG, MAX_TAGS, Task
from tasks.querysets import NEAR, TaskQuerySet
from users.resources.lists import FlagField, ListQuery, SortField
from users.tokens.callers import Actor

ALL = "all"
MAX_STATUSES = 1000  # characters

# An array for typed clients; on the wire, one parameter with commas, or a repeated one.
_STATUSES = {"type": "array", "items": {"type": "string", "enum": [*Status.values, ALL]}, "minItems": 1}
STATUS = OpenApiParameter(
    "status", _STATUSES, description="Any of these; `all`, alone, is all of them.", style="form", explode=False
)


@extend_schema_field(_STATUSES)
class StatusesField(serializers.Field):
    """One or several statuses, with commas or by repetition, or `all`."""

    default_error_messages = {"invalid_choice": "Use {known}, several with commas, or all."}

    def to_internal_value(self, data: Any) -> Any:
        if sum(map(len, data)) > MAX_STATUSES:
            self.fail("invalid_choice", known=", ".join(Status.values))
        statuses = [status.strip() for status in ",".join(data).split(",")]
        if statuses == [ALL]:
            return tuple(Status.values)
        if not set(statuses) <= set(Status.values):
            self.fail("invalid_choice", known=", ".join(Status.values))
        return tuple(sorted(set(statuses)))


class TaskListQuery(ListQuery):
    model = Task
    described = (STATUS,)
    repeatable = frozenset({"status", "tag"})
    filters = frozenset({"overdue"})  # beside `narrowing`, as it needs the user's time zone
    narrowing = {
        "status": TaskQuerySet.with_status,
        "completed": lambda tasks, wanted: tasks.completed() if wanted else tasks.not_completed(),
        "priority": TaskQuerySet.with_priority,
        "tag": TaskQuerySet.with_tags,
        "due_before": TaskQuerySet.due_before,
        "due_after": TaskQuerySet.due_after,
        "search": TaskQuerySet.matching,
        **ListQuery.narrowing,
    }

    status = StatusesField(required=False)
    completed = FlagField(required=False, help_text="Whether the status is completed.")
    priority = ChoiceField(choices=Priority.choices, required=False, help_text="Only this priority.")
    tag = ListField(
        child=TextField(max_length=MAX_TAG),
        max_length=MAX_TAGS,
        required=False,
        help_text="In any case; repeat it: all must match.",
    )
    due_before = DateField(required=False, help_text="Due on an earlier day than this one.")
    due_after = DateField(required=False, help_text="Due on a later day than this one.")
    overdue = FlagField(required=False, help_text="Open and past its due, in your time zone.")
    search = TextField(
        required=False,
        allow_blank=True,
        max_length=MAX_SEARCH,
        help_text="Every word must occur in title, description or tags, as a substring, in any case, with or without "
        "accents, and in any script's digits.",
    )
    sort = SortField(
        Sort.values,
        help_text="A leading - reverses; ties go by id, nulls come last; low priority is less than high; within a day, "
        "due_date goes by due_at, and whole days come after it.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "tag" in attrs:
            attrs["tag"] = tuple(attrs["tag"])  # hashable, for the cache of queries
        return super().validate(attrs)

    @classmethod
    def clock(cls, user: Actor, query: Mapping[str, Any]) -> dict[str, Any]:
        """The current instant, and today in the user's time zone, for `overdue`."""
        if "overdue" not in query:
            return {}
        now = timezone.now()
        today = now.astimezone(user.zone).date()
        return {"now": now, "today": today, "near": today + NEAR}

    @classmethod
    def narrowed(cls, rows: Any, query: Mapping[str, Any], **clock: Any) -> Any:
        rows = super().narrowed(rows, query)
        if "overdue" not in query:
            return rows
        narrow = TaskQuerySet.overdue if query["overdue"] else TaskQuerySet.not_overdue
        return narrow(rows, clock["now"], clock["today"])
