"""How the staff's list of tasks is narrowed down, and changed in place."""

from typing import Any

from django import forms
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import ValidationError
from django.forms import BaseModelFormSet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import TextFilter
from unfold.views import ChangeList

from tasks.choices import Status
from tasks.models import MAX_TAG, Task
from users.resources import writes


class OverdueFilter(SimpleListFilter):
    """A whole day ends in UTC here: the list has no one time zone of an owner."""

    title = "overdue"
    parameter_name = "overdue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        now = timezone.now()
        match self.value():
            case "yes":
                return queryset.overdue(now, now.date())
            case "no":
                return queryset.not_overdue(now, now.date())
        return queryset


class DeletedFilter(SimpleListFilter):
    """Tombstones are shown when they are asked for, and alone: nothing but restoring can be done with them."""

    title = "deleted"
    parameter_name = "deleted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes")]

    def choices(self, changelist: Any) -> Any:
        for choice in super().choices(changelist):
            yield {**choice, "display": "No"} if choice["display"] == "All" else choice

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.deleted() if shows_tombstones(request) else queryset.visible()


class TagFilter(TextFilter):
    title = "tag"
    parameter_name = "tag"

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        tag = (self.value() or "").strip()
        if len(tag) > MAX_TAG or "\0" in tag:
            return queryset.none()
        return queryset.with_tags([tag]) if tag else queryset


class TaskList(ChangeList):
    """Has tombstones, too: `DeletedFilter` decides about them."""

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        super().__init__(request, *args)
        if shows_tombstones(request):
            self.list_editable = ()

    def get_queryset(self, *args: Any, **kwargs: Any) -> Any:
        self.root_queryset = Task.objects.select_related("user").defer("description", "search_text")
        return super().get_queryset(*args, **kwargs)


def shows_tombstones(request: HttpRequest) -> bool:
    return request.GET.get(DeletedFilter.parameter_name) == "yes"


class Rows(BaseModelFormSet):
    def _existing_object(self, pk: Any) -> Any:
        """Raises TaskNotFound, where Django would take another row for one that is gone."""
        found: Any = super()._existing_object(pk)  # type: ignore[misc]
        if found is None:
            raise writes.no_such(Task)
        return found


class StatusForm(forms.ModelForm):
    """A row of the list. What somebody else has changed since the page was shown is not overwritten."""

    class Meta:
        model = Task
        fields = ("status",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["status"].show_hidden_initial = True

    def clean_status(self) -> str:
        status: str = self.cleaned_data["status"]
        if self.instance._state.adding:
            return status  # which Django refuses
        stored: str = self.initial["status"]
        shown = self.data.get(self.add_initial_prefix("status"))
        if "status" in self.changed_data and stored not in (shown, status):
            raise ValidationError(f"Meanwhile it has become “{Status(stored).label}”; choose again.", code="stale")
        return status

    def _get_validation_exclusions(self) -> set[str]:
        """All: the service checks."""
        return {field.name for field in Task._meta.fields}
