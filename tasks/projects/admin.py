"""The admin of projects, and the field with which staff chooses one of an owner's projects."""

import json
from collections.abc import Iterable
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from config.admin.lists import ChoiceFilter
from tasks.choices import OPEN, Status
from tasks.models import Task
from tasks.placed import Placed
from tasks.projects import services
from tasks.projects.models import COLOR, MAX_DEPTH, MAX_DESCRIPTION, MAX_NAME, Project
from tasks.projects.querysets import ProjectQuerySet
from tasks.projects.resource import PROJECTS
from users.admin.audited import Done, note_reading, reads_text
from users.admin.references import OWNER, Choices, ReferenceField, ReferenceFilter, title_of, unshown
from users.admin.resources import ResourceAdmin
from users.admin.rows import DeletedFilter, LineField, PlainTextarea, RowForm, RowList, TextField

# The Content-Security-Policy takes no style of an element, but the color of a shape.
SWATCH = '<svg class="tickbase-swatch" aria-hidden="true"><circle cx="6" cy="6" r="6" fill="{}"/></svg>'
ABOVE = ["__".join(["parent"] * levels) for levels in range(1, MAX_DEPTH)]


def with_path(projects: ProjectQuerySet) -> ProjectQuerySet:
    """With the projects that they are within."""
    unseen = [f"{above}__{name}" for above in ABOVE for name in unshown(Project)]
    return projects.select_related("user", *ABOVE).defer(*unshown(Project), *unseen)


def path_of(project: Project, *, reads: bool) -> list[str]:
    """Its name after those of the projects that it is within."""
    line: list[Project] = [project]
    while len(line) < MAX_DEPTH and (parent := line[0].parent) is not None:
        line.insert(0, parent)
    return [title_of(each, reads=reads) for each in line]


def owned_by(user_id: int) -> list[Project]:
    return [*with_path(Project.objects.visible().filter(user=user_id)).in_tree_order(MAX_DEPTH)]


def choices_of(request: HttpRequest, projects: Iterable[Project]) -> Choices:
    reads = reads_text(request, PROJECTS)
    paths = ((each, " / ".join(path_of(each, reads=reads))) for each in projects)
    return [(each.pk, f"{path} (archived)" if each.is_archived else path) for each, path in paths]


def owned_choices(request: HttpRequest, user_id: int) -> Choices:
    """The choices of a filter."""
    projects = owned_by(user_id)
    note_reading(request, PROJECTS, projects, page="filter")
    return choices_of(request, projects)


class ProjectField(forms.TypedChoiceField):
    """One of an owner's projects; the empty choice is called `empty`."""

    def __init__(self, request: HttpRequest, projects: list[Project], empty: str, **options: Any) -> None:
        self.projects = projects
        choices = [("", empty), *choices_of(request, projects)]
        super().__init__(
            required=False, coerce=int, empty_value=None, choices=choices, widget=UnfoldAdminSelectWidget(), **options
        )


def note_choices(request: HttpRequest, form: Any, *, page: str) -> None:
    """Record that staff read the choices of a form's ProjectFields."""
    for field in form.fields.values():
        if isinstance(field, ProjectField):
            note_reading(request, PROJECTS, field.projects, page=page)


class ArchivedFilter(ChoiceFilter):
    title = parameter_name = "archived"
    narrowing = {"yes": ("Yes", ProjectQuerySet.archived), "no": ("No", ProjectQuerySet.not_archived)}


class ParentFilter(ReferenceFilter):
    title, parameter_name = "within", "parent"
    none, any = "No other project", "Another project"

    def owned(self, request: HttpRequest, user_id: int) -> Choices:
        return owned_choices(request, user_id)


class ColorField(LineField):
    """Colors are stored in lower case."""

    def to_python(self, value: Any) -> str | None:
        text = super().to_python(value)
        return text.lower() if text else None

    def validate(self, value: Any) -> None:
        super().validate(value)
        if value and not COLOR.match(value):
            raise forms.ValidationError("Write a color as #rrggbb.", code="invalid_color")


class ProjectForm(RowForm):
    name = LineField(max_length=MAX_NAME, widget=UnfoldAdminTextInputWidget())
    description = TextField(max_length=MAX_DESCRIPTION, required=False, strip=False, widget=PlainTextarea())
    color = ColorField(
        required=False,
        empty_value=None,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "#3366cc"}),
        help_text="#rrggbb, or empty.",
    )
    parent_id = ReferenceField(label="Within", help_text="The id of a project of the same owner, or empty.")
    is_archived = forms.BooleanField(label="Archived", required=False, widget=UnfoldBooleanWidget())

    class Meta:
        model = Project
        fields = ("user", "name", "description", "color", "uid")


class ProjectList(RowList):
    """With the number of each project's tasks; that of one owner in the order of the tree."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> Any:
        projects = with_path(super().get_queryset(*args, **kwargs))
        return projects.in_tree_order(MAX_DEPTH) if OWNER in self.params and "o" not in self.params else projects

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        projects: list[Any] = [*self.result_list]  # type: ignore[has-type]
        owners, ids = {each.user_id for each in projects}, {each.pk for each in projects}
        counting = {
            "open": Count("pk", filter=Q(status__in=OPEN)),
            "completed": Count("pk", filter=Q(status=Status.COMPLETED)),
        }
        tasks = Task.objects.visible().filter(user__in=owners, project__in=ids)
        counts = {
            pk: both for pk, *both in tasks.values("project").annotate(**counting).values_list("project", *counting)
        }
        for each in projects:
            each.open_count, each.completed_count = counts.get(each.pk, (0, 0))
        self.result_list = projects


class PlacedAdmin(ResourceAdmin):
    """Of tasks and projects, with what clients have stored in `extra`, which they alone change."""

    readonly_fields = (*ResourceAdmin.readonly_fields, "extra_json")
    text_columns = ("extra_json",)

    @admin.display(description="extra")
    def extra_json(self, row: Placed) -> str:
        """Of our own, as unfold's display of JSON has styles, which the Content-Security-Policy forbids."""
        return format_html("<pre>{}</pre>", json.dumps(row.extra, indent=2, ensure_ascii=False)) if row.extra else ""


@admin.register(Project)
class ProjectAdmin(PlacedAdmin):
    resource = PROJECTS
    form = ProjectForm
    list_display = ("name_path", "user", "open_tasks", "completed_tasks", "is_archived", "created_at")
    list_filter = (
        ArchivedFilter,
        DeletedFilter,
        ParentFilter,
        ("user", AutocompleteSelectFilter),
        "created_at",
    )
    actions = ("archive", "unarchive", "restore")
    search_fields = ("name", "description")
    readonly_fields = (*PlacedAdmin.readonly_fields, "archived_at")
    fieldsets = (
        (None, {"fields": ("user", "name", "description", "color")}),
        ("Place", {"fields": ("parent_id", "is_archived")}),
    )

    @admin.display(description="name", ordering="name_key")
    def name_path(self, project: Project) -> str:
        return _with_path(project, reads=True)

    @admin.display(description="project")
    def number_path(self, project: Project) -> str:
        """For staff who may read no text."""
        return _with_path(project, reads=False)

    @admin.display(description="open tasks")
    def open_tasks(self, project: Any) -> Any:
        return _tasks_link(project, project.open_count, OPEN)

    @admin.display(description="completed tasks")
    def completed_tasks(self, project: Any) -> Any:
        return _tasks_link(project, project.completed_count, [Status.COMPLETED])

    @display(description="archived", ordering="archived_at", label=True)  # type: ignore[untyped-decorator]
    def is_archived(self, project: Project) -> str | None:
        return "Archived" if project.is_archived else None

    def state_of(self, row: Any) -> str:
        return "archived" if row.is_archived else ""

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        return ["number_path" if each == "number_link" else each for each in columns]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[RowList]:
        return ProjectList

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        if obj is not None and (asked := form.base_fields.get("parent_id")):
            others = [each for each in owned_by(obj.user_id) if each.pk != obj.pk]
            form.base_fields["parent_id"] = ProjectField(request, others, "None", label=asked.label)
        return form

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        note_choices(request, context["adminform"].form, page="project")
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(description="Archive", permissions=["change"])
    def archive(self, request: HttpRequest, queryset: ProjectQuerySet) -> Done:
        archive = partial(services.archive_projects, archived=True)
        return self.run_many(request, queryset.not_archived(), archive, "Archived")

    @admin.action(description="Unarchive", permissions=["change"])
    def unarchive(self, request: HttpRequest, queryset: ProjectQuerySet) -> Done:
        archive = partial(services.archive_projects, archived=False)
        return self.run_many(request, queryset.archived(), archive, "Unarchived")


def _with_path(project: Project, *, reads: bool) -> str:
    *above, name = path_of(project, reads=reads)
    swatch = format_html(SWATCH, project.color) if project.color else ""
    path = "".join(f"{each} / " for each in above)
    return format_html('{}<span class="text-subtle">{}</span>{}', swatch, path, name)


def _tasks_link(project: Project, count: int, statuses: Iterable[str]) -> Any:
    if not count:
        return 0
    address = f"{reverse('admin:tasks_task_changelist')}?project={project.pk}&status__in={','.join(statuses)}"
    return format_html('<a href="{}" class="tickbase-link">{}</a>', address, count)
