"""The filters of the task list."""

from collections.abc import Mapping
from typing import Any

from django.db.models import TextChoices
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers

from config.database.queries import Param
from config.http.fields import DateField, ListField, TextField
from config.values import MAX_BIGINT, MAX_SEARCH
from tasks.choices import ACTIVE, INBOX, Priority, Sort, Status
from tasks.fields import MAX_PROJECTS, IdField, ProjectsField, split
from tasks.models import MAX_TAG, MAX_TAGS, Task
from tasks.querysets import NEAR, TaskQuerySet
from users.resources.lists import FlagField, ListQuery, SortField
from users.tokens.callers import Actor

ALL = "all"
MAX_CHOICES = 1000  # characters

# An array for typed clients; on the wire, one parameter with commas, or a repeated one.
# Without examples, which /api/docs would fill in: who tries the list there asks for all of it.
_STATUSES = {"type": "array", "items": {"type": "string", "enum": [*Status.values, ALL]}, "minItems": 1}
STATUS = OpenApiParameter(
    "status", _STATUSES, description="Any of these; `all`, alone, is all of them.", style="form", explode=False
)
# One is no array, too: so it was when there could only be one, and generated clients have a type for it.
_PRIORITY = {"$ref": "#/components/schemas/TaskPriority"}
_PRIORITIES = {"oneOf": [_PRIORITY, {"type": "array", "items": _PRIORITY, "minItems": 1}]}
PRIORITY = OpenApiParameter(
    "priority",
    _PRIORITIES,
    description="One, or any of several: `high,medium`.",
    style="form",
    explode=False,
)

NONE = "none"

_AN_ID = {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_BIGINT}
_PROJECTS = {
    "oneOf": [
        {"type": "string", "enum": [INBOX, ACTIVE]},
        {"type": "array", "items": _AN_ID, "minItems": 1, "maxItems": MAX_PROJECTS},
    ]
}
PROJECT = OpenApiParameter(
    "project",
    _PROJECTS,
    description=f"`{INBOX}`; `{ACTIVE}`, which is the inbox and every project that is not archived; or the id of a "
    f"project, or of up to {MAX_PROJECTS}, with commas or by repetition.",
)
PARENT = OpenApiParameter(
    "parent",
    {"oneOf": [{"type": "string", "const": NONE}, _AN_ID]},
    description=f"`{NONE}`: only what is no subtask. Or an id: the subtasks of this task, without those within them.",
)
ROOT = OpenApiParameter("root", _AN_ID, description="The id of a task: it, and all that is within it.")


@extend_schema_field({"type": "array", "items": {"type": "string"}, "minItems": 1})  # `described` says which
class ChoicesField(serializers.Field):
    """One or several of these choices, with commas or by repetition, or `all`."""

    default_error_messages = {"invalid_choice": "Use {known}, several with commas, or all."}

    def __init__(self, choices: type[TextChoices]) -> None:
        super().__init__(required=False)
        self.known = choices.values

    def to_internal_value(self, data: Any) -> Any:
        chosen = split(data) if sum(map(len, data)) <= MAX_CHOICES else [""]
        if chosen == [ALL]:
            return tuple(self.known)
        if not {*chosen} <= {*self.known}:
            self.fail("invalid_choice", known=", ".join(self.known))
        return tuple(sorted({*chosen}))


class TaskListQuery(ListQuery):
    model = Task
    described = (STATUS, PRIORITY, PROJECT, PARENT, ROOT)
    repeatable = frozenset({"status", "priority", "tag", "project"})
    # Beside `narrowing`, as they need the user, or the user's time zone.
    filters = frozenset({"project", "root", "overdue"})
    narrowing = {
        "status": TaskQuerySet.with_status,
        "completed": lambda tasks, wanted: tasks.completed() if wanted else tasks.not_completed(),
        "priority": TaskQuerySet.with_priorities,
        "tag": TaskQuerySet.with_tags,
        "parent": lambda tasks, wanted: tasks.at_the_root() if wanted == NONE else tasks.children_of(wanted),
        "due_on": TaskQuerySet.due_on,
        "due_before": TaskQuerySet.due_before,
        "due_after": TaskQuerySet.due_after,
        "search": TaskQuerySet.matching,
        **ListQuery.narrowing,
    }

    status = ChoicesField(Status)
    completed = FlagField(required=False, help_text="Whether the status is completed.")
    priority = ChoicesField(Priority)
    tag = ListField(
        child=TextField(max_length=MAX_TAG),
        max_length=MAX_TAGS,
        required=False,
        help_text="In any case; repeat it: all must match. A comma is part of the tag.",
    )
    project = ProjectsField()
    # Fields of a serializer are no attributes of it: these do not hide DRF's own.
    parent = IdField(NONE, required=False, known=f"{NONE} or the id of a task")  # type: ignore[assignment]
    root = IdField(required=False, known="the id of a task")  # type: ignore[assignment]
    due_on = DateField(required=False, help_text="Due on this day, at whatever time.")
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
        "due_date goes by due_at, and whole days come after it; position is the order among siblings.",
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
    def narrowed(cls, user: Actor | Param, query: Mapping[str, Any], **clock: Any) -> Any:
        tasks: TaskQuerySet = super().narrowed(user, query)
        if "project" in query:
            tasks = tasks.placed_in(user, query["project"])
        if "root" in query:
            tasks = tasks.within(user, query["root"])
        if "overdue" not in query:
            return tasks
        narrow = TaskQuerySet.overdue if query["overdue"] else TaskQuerySet.not_overdue
        return narrow(tasks, clock["now"], clock["today"])
