"""The staff's view on tasks."""

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.postgres.forms import SimpleArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminSingleDateWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from config.admin.base import SHOWN, ServiceForm
from config.values import FIRST_DATE, FIRST_INSTANT, LAST_DATE, LAST_INSTANT, is_visible
from tasks import services
from tasks.admin.lists import (
    DeletedFilter,
    OverdueFilter,
    Rows,
    StatusForm,
    TagFilter,
    TaskList,
    shows_tombstones,
)
from tasks.choices import Priority
from tasks.models import MAX_DESCRIPTION, MAX_TAG, MAX_TAGS, MAX_TITLE, Task
from tasks.querysets import PRIORITY_RANK, TaskQuerySet
from users import audit
from users.admin.audited import AuditedAdmin, Done
from users.admin.lists import count_per_user
from users.audit import Action
from users.models import User
from users.resources.models import MAX_UID, new_uid

TEXT = ("title", "description", "tags")
# Whoever may filter by a column, or sort by it, finds out what is in it.
_DERIVED = ("search_text", "tag_keys", "title_key")
_TELLS_TEXT = {*TEXT, *_DERIVED}
PRIORITY_COLOURS = {Priority.HIGH.label: "danger", Priority.MEDIUM.label: "info", Priority.LOW.label: "default"}

count_per_user("tasks", lambda: Task.objects.visible())
count_per_user("open tasks", lambda: Task.objects.visible().open())

_BREAK = re.compile(r"\r\n|\r|\n")
_MAX_TAG_LINES = 2 * MAX_TAGS * (MAX_TAG + 2)  # characters, with room for spaces and repetitions


class LineField(forms.CharField):
    """One line: browsers drop line breaks from it, which is no change that anybody made."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(_BREAK.sub("", initial or "").strip(), _BREAK.sub("", data or ""))

    def validate(self, value: Any) -> None:
        super().validate(value)
        if value and not is_visible(value):
            raise ValidationError("Nothing of it can be seen.", code="blank")


class PlainTextarea(UnfoldAdminTextareaWidget):
    """Unfold's template leaves out the line break that browsers drop: theirs would be the first of the text."""

    template_name = "django/forms/widgets/textarea.html"


class TextField(forms.CharField):
    """Many lines, taken as they are; browsers send every line break as CRLF."""

    def to_python(self, value: Any) -> str:
        return _BREAK.sub("\n", super().to_python(value) or "")


class TagsField(SimpleArrayField):
    """One tag per line: a tag may contain commas. Trimmed, in order, each once, as in the API."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(forms.CharField(max_length=MAX_TAG), delimiter="\n", max_length=MAX_TAGS, **kwargs)

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and len(value) > _MAX_TAG_LINES:
            raise ValidationError(f"Write at most {MAX_TAGS} tags.", code="too_long")
        lines = value if isinstance(value, list) else _BREAK.split(value or "")
        return list(dict.fromkeys(tag for tag in super().to_python(lines) if is_visible(tag)))


class TaskForm(ServiceForm):
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
    # Suggested by the page, so that the same form sent twice makes one task.
    uid = LineField(
        max_length=MAX_UID,
        initial=new_uid,
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text="The task’s identity in clients and exports. Never changes.",
    )

    class Meta:
        model = Task
        fields = ("user", "title", "description", "status", "priority", "tags", "due_date", "due_at", "uid")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            # A change is what differs from what was shown, not from what others have stored since.
            for field in self.fields.values():
                field.show_hidden_initial = True

    def _get_validation_exclusions(self) -> set[str]:
        """All: constraints hold for what the service makes of these values, which also knows tombstones."""
        return {field.name for field in Task._meta.fields}


@admin.register(Task)
class TaskAdmin(AuditedAdmin):
    """Everybody's tasks. A write is a change of the owner's feed, as any other."""

    form = TaskForm
    unrecorded = TEXT
    list_display = ("title_link", "user", "status", "priority_word", "due_date", "created_at")
    list_editable = ("status",)
    list_filter = (
        "status",
        "priority",
        OverdueFilter,
        DeletedFilter,
        TagFilter,
        ("user", AutocompleteSelectFilter),
        "due_date",
        "created_at",
    )
    list_filter_submit = True
    actions = ("complete", "reopen", "restore")
    search_fields = ("search_text",)  # shows the box; get_search_results searches
    search_help_text = "Every word must occur in title, description or tags."
    date_hierarchy = "created_at"
    ordering = ("-pk",)  # of everybody's tasks, only this order has an index
    show_full_result_count = False
    autocomplete_fields = ("user",)
    readonly_fields = ("version", "created_at", "updated_at", "completed_at")
    add_fieldsets: Any = (
        (None, {"fields": ("user", "title", "description")}),
        ("State", {"fields": ("status", "priority", "tags")}),
        ("Due", {"fields": ("due_date", "due_at")}),
        ("Identity", {"fields": ("uid",)}),
    )
    fieldsets = (
        *add_fieldsets[:-1],
        ("Record", {"fields": ("uid", *readonly_fields), "description": "Times are in UTC."}),
    )

    @admin.display(description="title", ordering="title_key")
    def title_link(self, task: Task) -> str:
        return task.title

    @display(description="priority", ordering=PRIORITY_RANK, label=PRIORITY_COLOURS)  # type: ignore[untyped-decorator]
    def priority_word(self, task: Task) -> str:
        return task.get_priority_display()

    @admin.display(description="task", ordering="pk")
    def number_link(self, task: Task) -> str:
        return str(task)

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        if _reads_text(request):
            return columns
        return ["number_link" if column == "title_link" else column for column in columns]

    def get_fieldsets(self, request: HttpRequest, obj: Task | None = None) -> Any:
        if obj is None:
            return self.add_fieldsets
        return self.fieldsets if _reads_text(request) else _without_text(self.fieldsets)

    def get_readonly_fields(self, request: HttpRequest, obj: Task | None = None) -> Any:
        if obj is None:
            return self.readonly_fields
        # What is read-only is no field of the form.
        return (*self.readonly_fields, "user", "uid", *(() if _reads_text(request) else TEXT))

    def get_search_fields(self, request: HttpRequest) -> Any:
        return self.search_fields if _reads_text(request) else ()

    def get_list_filter(self, request: HttpRequest) -> Any:
        filters = super().get_list_filter(request)
        return filters if _reads_text(request) else [each for each in filters if each is not TagFilter]

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        if not _TELLS_TEXT.isdisjoint(lookup.split("__")) and (request is None or not _reads_text(request)):
            return False
        allowed: bool = super().lookup_allowed(lookup, value, request)
        return allowed

    def get_queryset(self, request: HttpRequest) -> TaskQuerySet:
        tasks: Any = super().get_queryset(request)
        visible: TaskQuerySet = tasks.visible().select_related("user")
        return visible

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[TaskList]:
        return TaskList

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, form=StatusForm, **kwargs)

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_formset(request, formset=Rows, **kwargs)

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        """A tombstone has no page."""
        return None if shows_tombstones(request) else super().get_list_display_links(request, list_display)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        return {name: action for name, action in actions.items() if (name == "restore") == shows_tombstones(request)}

    def run_action(self, name: str, run: Callable[..., Any], request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Without the long texts: those of as many tasks as an action takes have room for a gigabyte."""
        return super().run_action(name, run, request, queryset.defer("description", "tags", *_DERIVED))

    def search(self, request: HttpRequest, queryset: Any, term: str) -> tuple[TaskQuerySet, bool]:
        return queryset.matching(term) if _reads_text(request) else queryset, False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        response = super().changelist_view(request, extra_context)
        if changelist := (getattr(response, "context_data", None) or {}).get("cl"):
            self._note_reading(request, changelist.result_list, page="list")
        return response

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Task | None = None,
    ) -> Any:
        if obj is not None:
            self._note_reading(request, [obj], page="task")
        return super().render_change_form(request, context, add, change, form_url, obj)

    def _note_reading(self, request: HttpRequest, tasks: Iterable[Task], *, page: str) -> None:
        """The list shows titles: one event for a page of it."""
        others = [task for task in tasks if task.user_id != request.user.pk] if _reads_text(request) else []
        if len(others) == 1:
            self.note(Action.STAFF_READ, others[0], page=page)
        elif others:
            users = sorted({task.user_id for task in others})
            audit.record(Action.STAFF_READ, page=page, tasks=[task.pk for task in others], users=users)

    def save_model(self, request: HttpRequest, obj: Task, form: Any, change: bool) -> None:
        values: dict[str, Any] = form.cleaned_data
        if change:
            changes: Any = {name: values[name] for name in form.changed_data}
            # A row of the list was compared with what is stored before anything was locked.
            unchanged = {obj.version} if isinstance(form, StatusForm) else None
            services.update_task(obj.user, obj.pk, changes, expected_version=unchanged)
        else:
            fields = {name: value for name, value in values.items() if name != "user"}
            obj.pk = services.create_task(obj.user, **fields).pk

    def delete_model(self, request: HttpRequest, obj: Task) -> None:
        services.delete_task(obj.user, obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Task]) -> None:
        """By owner, so that two such transactions lock feeds in one order. What is gone already is gone."""
        for task in queryset.order_by("user_id", "pk"):
            with suppress(services.TaskNotFound):
                services.delete_task(task.user, task.pk)

    @admin.action(description="Complete", permissions=["change"])
    def complete(self, request: HttpRequest, queryset: TaskQuerySet) -> Done:
        complete = partial(services.complete_task, completed=True)
        return self._each(request, queryset.not_completed(), complete, "Completed")

    @admin.action(description="Reopen", permissions=["change"])
    def reopen(self, request: HttpRequest, queryset: TaskQuerySet) -> Done:
        return self._each(request, queryset.closed(), partial(services.complete_task, completed=False), "Reopened")

    @admin.action(description="Restore", permissions=["change"])
    def restore(self, request: HttpRequest, queryset: TaskQuerySet) -> Done:
        return self._each(request, queryset.deleted(), services.restore_task, "Restored")

    def _each(self, request: HttpRequest, tasks: TaskQuerySet, service: Callable[[User, int], Task], did: str) -> Done:
        """In the order of `delete_queryset`, and for the same reasons."""
        done = []
        for task in tasks.order_by("user_id", "pk"):
            with suppress(services.TaskNotFound):
                service(task.user, task.pk)
                done.append(task)
        self.message_user(request, f"{did}: {len(done)} {'task' if len(done) == 1 else 'tasks'}.", messages.SUCCESS)
        return Done(done)

    def get_deleted_objects(self, objs: Iterable[Task], request: HttpRequest) -> Any:
        """Only the tasks: a tombstone takes nothing else with it."""
        tasks = list(objs)
        if "post" not in request.POST:
            self._note_reading(request, tasks[:SHOWN], page="deletion")
        links = [self.change_link(task, task.title if _reads_text(request) else None) for task in tasks]
        return self.deletion_links(links), {self.opts.verbose_name_plural: len(links)}, set(), []


def _reads_text(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.has_perm("tasks.view_task_text")


def _without_text(fieldsets: Any) -> Any:
    shown = [(name, {**options, "fields": _others(options["fields"])}) for name, options in fieldsets]
    return [(name, options) for name, options in shown if options["fields"]]


def _others(fields: Iterable[str]) -> list[str]:
    return [field for field in fields if field not in TEXT]
