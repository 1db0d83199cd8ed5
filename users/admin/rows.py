"""The change list of a resource, with its trash, and the forms and fields of its rows."""

import re
from typing import Any

from django import forms
from django.contrib.admin import SimpleListFilter
from django.contrib.admin.views.main import ORDER_VAR
from django.core.exceptions import ValidationError
from django.forms import BaseModelFormSet
from django.http import HttpRequest
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from config.admin.base import ServiceForm
from config.values import is_visible
from users.admin import references
from users.resources import errors
from users.resources.models import MAX_UID, OwnedModel, new_uid

BREAK = re.compile(r"\r\n|\r|\n")
BY_ID = "Id, uid, or e-mail of the owner."


class DeletedFilter(SimpleListFilter):
    """The trash: tombstones alone, which can only be restored; without it, visible rows alone."""

    title = "deleted"
    parameter_name = "deleted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes")]

    def choices(self, changelist: Any) -> Any:
        for choice in super().choices(changelist):
            yield {**choice, "display": "No"} if choice["display"] == "All" else choice

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.trashed() if shows_tombstones(request) else queryset.visible()


def shows_tombstones(request: HttpRequest) -> bool:
    return request.GET.get(DeletedFilter.parameter_name) == "yes"


class RowList(ChangeList):
    """The rows with their tombstones, which `DeletedFilter` selects or leaves out.

    Long texts are deferred: those of as many rows as an action takes may have a gigabyte.
    """

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        self.is_vast = args[-3].is_vast(request)
        super().__init__(request, *args)
        if shows_tombstones(request):
            self.list_editable = ()
        if self.is_vast:
            self.date_hierarchy = None
        if not self.model_admin.reads_text(request):
            self.search_help_text = BY_ID

    def get_ordering(self, request: HttpRequest, queryset: Any) -> Any:
        if self.is_vast:
            self.params.pop(ORDER_VAR, None)
        return super().get_ordering(request, queryset)

    def get_queryset(self, *args: Any, **kwargs: Any) -> Any:
        texts = (*self.model_admin.resource.text[1:], *self.model.derived)
        unseen = [name for name in texts if name not in self.list_display]
        referred = references.listed(self.model, self.model_admin.list_display)
        for each in referred:
            unseen += [f"{each.name}__{name}" for name in references.unshown(each.related_model)]
        self.root_queryset = self.model.objects.select_related("user", *(each.name for each in referred)).defer(*unseen)
        return super().get_queryset(*args, **kwargs)


class RowFormSet(BaseModelFormSet):
    model: type[OwnedModel]

    def _existing_object(self, pk: Any) -> Any:
        """Raises RowNotFound, where Django would take another row for one that is gone."""
        found: Any = super()._existing_object(pk)  # type: ignore[misc]
        if found is None:
            raise errors.no_such(self.model)
        return found


class _RowForm(forms.ModelForm):
    """Changes are relative to the values that the page showed, not to those stored since."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.show_hidden_initial = self.instance.pk is not None
            if name not in self.initial and self.instance.pk is not None:  # no field of the model: `parent_id`
                self.initial[name] = getattr(self.instance, name)

    def _get_validation_exclusions(self) -> set[str]:
        """All fields: the service validates, and its constraints also cover tombstones, which the form cannot see."""
        return {field.name for field in self._meta.model._meta.fields}


class ListedForm(_RowForm):
    """The form of a row in the list. A value that was changed since the page was shown is not overwritten."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs["aria-label"] = f"{name} of {self.instance}".capitalize()

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        for name in set(self.changed_data) & set(self.initial):
            field, bound = self.fields[name], self[name]
            stored = self.get_initial_for_field(field, name)
            shown = field.hidden_widget().value_from_datadict(self.data, self.files, bound.html_initial_name)
            if field.has_changed(stored, shown) and field.has_changed(stored, bound.data):
                choices = {None: "empty", **dict(self.instance._meta.get_field(name).flatchoices)}
                value = choices.get(stored, stored)
                self.add_error(name, ValidationError(f"Meanwhile it has become “{value}”; choose again.", code="stale"))
        return cleaned


class LineField(forms.CharField):
    """One line of text. Browsers drop line breaks from it, which does not count as a change."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(BREAK.sub("", initial or "").strip(), BREAK.sub("", data or ""))

    def validate(self, value: Any) -> None:
        super().validate(value)
        if value and not is_visible(value):
            raise ValidationError("Nothing of it can be seen.", code="blank")


class PlainTextarea(UnfoldAdminTextareaWidget):
    """A textarea with Django's template: unfold's lacks the line break that browsers drop, so a text would lose its
    own first one."""

    template_name = "django/forms/widgets/textarea.html"


class TextField(forms.CharField):
    """Text of many lines, not stripped; browsers send every line break as CRLF."""

    def to_python(self, value: Any) -> str:
        return BREAK.sub("\n", super().to_python(value) or "")


class RowForm(ServiceForm, _RowForm):
    """The form of a row's page. Subclasses declare fields that need more validation than their models' have."""

    # Suggested by the page, so that the same form sent twice makes one row.
    uid = LineField(max_length=MAX_UID, initial=new_uid, required=False, widget=UnfoldAdminTextInputWidget())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "uid" in self.fields:
            name = self._meta.model._meta.verbose_name
            self.fields["uid"].help_text = f"The {name}’s identity in clients and exports. Never changes."
