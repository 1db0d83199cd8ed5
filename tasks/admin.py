"""The admin of tasks."""

from datetime import date, datetime
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.postgres.forms import SimpleArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter, TextFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSingleDateWidget, UnfoldAdminSplitDateTimeWidget, UnfoldAdminTextInputWidget

from config.admin.lists import ChoiceFilter
from config.values import FIRST_DATE, FIRST_INSTANT, LAST_DATE, LAST_INSTANT, is_visible
from tasks import recurring, services
from tasks.choices import OPEN, Priority
from tasks.models import MAX_DESCRIPTION, MAX_TAG, MAX_TAGS, MAX_TITLE, Task
from tasks.projects.admin import PlacedAdmin, ProjectField, note_choices, owned_by, owned_choices
from tasks.querysets import PRIORITY_RANK, TaskQuerySet
from tasks.recurrence import words
from tasks.resource import TASKS
from users.admin.audited import Done
from users.admin.lists import count_per_user
from users.admin.references import Choices, ReferenceField, ReferenceFilter
from users.admin.rows import BREAK, BY_ID, DeletedFilter, LineField, PlainTextarea, RowForm, TextField

PRIORITY_COLOURS = {Priority.HIGH.label: "danger", Priority.MEDIUM.label: "info", Priority.LOW.label: "default"}
NEXT_DUES = 5  # on a task's page
_MAX_TAG_LINES = 2 * MAX_TAGS * (MAX_TAG + 2)  # characters, with room for spaces and repetitions

count_per_user("open tasks", lambda: Task.objects.visible().open(), f"status__in={','.join(OPEN)}", is_column=True)
count_per_user("overdue tasks", lambda: Task.objects.visible().overdue(*_now()), "overdue=yes")
count_per_user("completed tasks", lambda: Task.objects.visible().completed(), "status__exact=completed")
count_per_user("tasks in the trash", lambda: Task.objects.trashed(), "deleted=yes")


def _now() -> tuple[datetime, date]:
    now = timezone.now()
    return now, now.date()


class OverdueFilter(ChoiceFilter):
    """Overdue or not; whole days end in UTC, as the rows have owners in many time zones."""

    title = parameter_name = "overdue"
    narrowing = {
        "yes": ("Yes", lambda tasks: tasks.overdue(*_now())),
        "no": ("No", lambda tasks: tasks.not_overdue(*_now())),
    }


class TagFilter(TextFilter):
    title = "tag"
    parameter_name = "tag"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.searched = model_admin.searched

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        tag = (self.value() or "").strip()
        if len(tag) > MAX_TAG or "\0" in tag:
            return queryset.none()
        return self.searched(request, queryset).with_tags([tag]) if tag else queryset


class ProjectFilter(ReferenceFilter):
    title = parameter_name = "project"
    none, any = "Inbox", "Any project"

    def owned(self, request: HttpRequest, user_id: int) -> Choices:
        return owned_choices(request, user_id)


class ParentFilter(ReferenceFilter):
    title, parameter_name = "within", "parent"
    none, any = "No other task", "Another task"


class TagsField(SimpleArrayField):
    """One tag per line: a tag may contain commas. Trimmed, in order, each once, as in the API."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(forms.CharField(max_length=MAX_TAG), delimiter="\n", max_length=MAX_TAGS, **kwargs)

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and len(value) > _MAX_TAG_LINES:
            raise ValidationError(f"Write at most {MAX_TAGS} tags.", code="too_long")
        lines = value if isinstance(value, list) else BREAK.split(value or "")
        return list(dict.fromkeys(tag for tag in super().to_python(lines) if is_visible(tag)))


class TaskForm(RowForm):
    title = LineField(max_length=MAX_TITLE, widget=UnfoldAdminTextInputWidget())
    description = TextField(max_length=MAX_DESCRIPTION, required=False, strip=False, widget=PlainTextarea())
    tags = TagsField(
        required=False,
        widget=PlainTextarea(attrs={"rows": 4}),
        help_text=f"One per line, up to {MAX_TAGS} of up to {MAX_TAG} characters.",
    )
    due_date = forms.DateField(
        required=False,
        widget=UnfoldAdminSingleDateWidget(),
        validators=[MinValueValidator(FIRST_DATE), MaxValueValidator(LAST_DATE)],
        help_text="A whole day, wherever the owner is. Setting it clears “due at”.",
    )
    due_at = forms.SplitDateTimeField(
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget(),
        validators=[MinValueValidator(FIRST_INSTANT), MaxValueValidator(LAST_INSTANT)],
        help_text="In UTC. Sets “due date” to its day in the owner’s time zone.",
    )

    project_id = ReferenceField(label="Project", help_text="The id of a project of the same owner. Empty is the inbox.")
    parent_id = ReferenceField(
        label="Within", help_text="The id of a task of the same owner, which this is a subtask of, or empty."
    )

    class Meta:
        model = Task
        fields = ("user", "title", "description", "status", "priority", "tags", "due_date", "due_at", "uid")


class MoveForm(forms.Form):
    """The confirmation of “Move to project”."""

    def __init__(self, project: ProjectField, *args: Any) -> None:
        super().__init__(*args)
        self.fields["project_id"] = project


@admin.register(Task)
class TaskAdmin(PlacedAdmin):
    resource = TASKS
    form = TaskForm
    list_display = ("title_link", "user", "status", "priority_word", "project", "due_date", "created_at")
    list_editable = ("status",)
    list_filter = (
        "status",
        "priority",
        OverdueFilter,
        DeletedFilter,
        ProjectFilter,
        ParentFilter,
        TagFilter,
        ("user", AutocompleteSelectFilter),
        "due_date",
        "created_at",
    )
    text_filters = (TagFilter,)
    actions = ("complete", "reopen", "move_to_project", "restore")
    search_fields = ("search_text",)  # shows the box; `search` searches
    search_help_text = f"Every word of title, description or tags. {BY_ID}"
    readonly_fields = (*PlacedAdmin.readonly_fields, "completed_at", "recurs", "next_dues")
    fieldsets = (
        (None, {"fields": ("user", "title", "description")}),
        ("State", {"fields": ("status", "priority", "tags")}),
        ("Due", {"fields": ("due_date", "due_at")}),
        ("Place", {"fields": ("project_id", "parent_id")}),
    )

    @admin.display(description="recurs")
    def recurs(self, task: Task) -> str:
        found = recurring.series_of(task)
        return f"{words.describe(found)} ({found.zone.key})" if found else "–"

    @admin.display(description="next dues")
    def next_dues(self, task: Task) -> str:
        dues = recurring.occurrences(task, NEXT_DUES)["occurrences"]
        return ", ".join(f"{due:%Y-%m-%d %H:%M}" if isinstance(due, datetime) else str(due) for due in dues) or "–"

    @admin.display(description="title", ordering="title_key")
    def title_link(self, task: Task) -> str:
        return task.title

    @display(description="priority", ordering=PRIORITY_RANK, label=PRIORITY_COLOURS)  # type: ignore[untyped-decorator]
    def priority_word(self, task: Task) -> str:
        return task.get_priority_display()

    def state_of(self, row: Any) -> str:
        return str(row.get_status_display())

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        if obj is not None and "project_id" in form.base_fields:
            form.base_fields["project_id"] = ProjectField(request, owned_by(obj.user_id), "Inbox", label="Project")
        return form

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        note_choices(request, context["adminform"].form, page="task")
        return super().render_change_form(request, context, *args, **kwargs)

    def search_text(self, request: HttpRequest, queryset: Any, term: str) -> TaskQuerySet:
        matching: TaskQuerySet = queryset.matching(term)
        return matching

    @admin.action(description="Complete", permissions=["change"])
    def complete(self, request: HttpRequest, queryset: TaskQuerySet) -> Done:
        complete = partial(services.complete_tasks, completed=True)
        return self.run_many(request, queryset.not_completed(), complete, "Completed")

    @admin.action(description="Reopen", permissions=["change"])
    def reopen(self, request: HttpRequest, queryset: TaskQuerySet) -> Done:
        return self.run_many(request, queryset.closed(), partial(services.complete_tasks, completed=False), "Reopened")

    @admin.action(description="Move to project", permissions=["change"])
    def move_to_project(self, request: HttpRequest, queryset: TaskQuerySet) -> Done:
        """Asks for the project first, which is one of the owner's."""
        owners = {*queryset.order_by().values_list("user_id", flat=True).distinct()[:2]}
        if len(owners) != 1:
            self.message_user(request, "Nothing was moved: choose tasks of one owner.", messages.ERROR)
            return Done()
        project = ProjectField(request, owned_by(owners.pop()), "Inbox", label="Project")
        form = MoveForm(project, request.POST if "project_id" in request.POST else None)
        if form.is_valid():
            move = partial(services.move_tasks, project_id=form.cleaned_data["project_id"])
            return self.run_many(request, queryset, move, "Moved")
        note_choices(request, form, page="move")
        context = {
            **self.admin_site.each_context(request),
            "title": "Move to project",
            "opts": self.opts,
            "form": form,
            "action": "move_to_project",
            "checkbox": ACTION_CHECKBOX_NAME,
            "ids": [task.pk for task in queryset],
        }
        return Done((), TemplateResponse(request, "tasks/admin/move.html", context))
