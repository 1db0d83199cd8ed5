"""References in the admin: the column, the filter and the field of one, and the rows around another on its page.

A row is named by its title to staff who may read the text of its resource, and by its id to others.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from unfold.contrib.filters.admin import DropdownFilter
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from config.values import MAX_BIGINT
from users.admin.audited import note_reading, reads_text
from users.models import User
from users.resources import references
from users.resources.models import OwnedModel, Reference
from users.resources.resource import Resource, registered

MAX_LISTED = 20  # rows within another, on its page
NONE, ANY = "none", "any"
OWNER = "user__id__exact"  # the parameter of a list that is filtered by owner
_LISTED = '{} <span class="text-subtle">{}</span>'
Choices = list[tuple[int, str]]


def resource_of(model: Any) -> Resource:
    return next(each for each in registered() if each.model is model)


def unshown(model: Any) -> tuple[str, ...]:
    """Columns with long texts that a list of what refers to it does without."""
    return (*resource_of(model).text[1:], *model.derived)


def title_of(row: OwnedModel, *, reads: bool) -> str:
    text = resource_of(type(row)).text
    return str(getattr(row, text[0])) if reads and text else str(row)


def reads(request: HttpRequest, model: Any) -> bool:
    return reads_text(request, resource_of(model))


def may(request: HttpRequest, deed: str, model: Any) -> bool:
    opts = model._meta
    return isinstance(request.user, User) and request.user.has_perm(f"{opts.app_label}.{deed}_{opts.model_name}")


def may_view(request: HttpRequest, model: Any) -> bool:
    return may(request, "view", model) or may(request, "change", model)


def link(row: OwnedModel, text: str) -> str:
    """To its page; a tombstone has none but its history."""
    page = "change" if row.deleted_at is None else "history"
    address = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}", args=[row.pk])
    return format_html('<a href="{}" class="tickbase-link tickbase-name">{}</a>', address, text)


@cache
def column(reference: Reference, *, reads: bool, links: bool) -> Callable[[OwnedModel], Any]:
    """The same function each time, as Django compares it."""

    @admin.display(description=reference.verbose_name)
    def shown(row: OwnedModel) -> Any:
        referred = getattr(row, reference.name)
        if referred is None:
            return None
        title = title_of(referred, reads=reads)
        return link(referred, title) if links else title

    shown.__name__ = reference.name
    return shown


def listed(model: type[OwnedModel], names: Iterable[Any]) -> list[Reference]:
    """Those references that are columns of a list."""
    return [each for each in model.references() if each.name in names]


def columns(request: HttpRequest, model: type[OwnedModel], names: Sequence[Any]) -> list[Any]:
    """The columns of a list, those that are named as references by what they refer to."""
    made: dict[Any, Any] = {
        each.name: column(each, reads=reads(request, each.related_model), links=may_view(request, each.related_model))
        for each in listed(model, names)
    }
    return [made.get(name, name) for name in names]


def note_referred(request: HttpRequest, rows: Iterable[OwnedModel], listed: Sequence[Reference], *, page: str) -> None:
    """Record that staff read the titles of what these rows refer to."""
    rows = list(rows)
    for reference in listed:
        found: dict[int, OwnedModel] = {}
        for row in rows:
            referred = getattr(row, reference.name)
            if referred is not None:
                referred.user = row.user
                found[referred.pk] = referred
        note_reading(request, resource_of(reference.related_model), found.values(), page=page)


class ReferenceField(forms.IntegerField):
    """The id of a row of the same owner, which the service checks: a list would show what others own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            required=False, min_value=1, max_value=MAX_BIGINT, widget=UnfoldAdminIntegerFieldWidget(), **options
        )


class ReferenceFilter(DropdownFilter):
    """By what rows refer to: nothing, anything, or one row. Subclasses are named as the reference.

    One row may be named in the address, and is among the choices then; others of its owner, if the list is of one.
    """

    none, any = "None", "Any"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        sent = request.GET.get(str(self.parameter_name), "")
        self.reference = model._meta.get_field(self.parameter_name)
        rows: Any = self.reference.related_model._default_manager.light(*self._title())
        named = int(sent) if sent.isdecimal() and len(sent) < 20 else 0
        self.chosen = rows.filter(pk=named).first() if 0 < named <= MAX_BIGINT else None
        super().__init__(request, params, model, model_admin)

    def owned(self, request: HttpRequest, user_id: int) -> Choices:
        """The rows of an owner; of those who may have thousands, none."""
        return []

    def _title(self) -> tuple[str, ...]:
        return resource_of(self.reference.related_model).text[:1]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        choices: dict[int, str] = {}
        owner = request.GET.get(OWNER, "")
        if owner.isdecimal() and len(owner) < 19:
            choices = dict(self.owned(request, int(owner)))
        if self.chosen is not None and self.chosen.pk not in choices:
            choices[self.chosen.pk] = title_of(self.chosen, reads=reads(request, type(self.chosen)))
            note_reading(request, resource_of(type(self.chosen)), [self.chosen], page="filter")
        return [(NONE, self.none), (ANY, self.any), *((str(pk), name) for pk, name in choices.items())]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        name, value = self.reference.name, self.value()
        if not value:
            return queryset
        if value in (NONE, ANY):
            return queryset.filter(**{f"{name}__isnull": value == NONE})
        if value not in {key for key, _ in self.lookup_choices}:
            return queryset.none()
        # With the owner, by whom the index begins; others of the choices are of the list's.
        owner = {"user": self.chosen.user_id} if self.chosen is not None and value == str(self.chosen.pk) else {}
        return queryset.filter(**owner, **{name: int(value)})


class Relatives(NamedTuple):
    """Rows around another, as its page shows them."""

    title: str
    rows: Sequence[str]
    total: int
    all: str = ""  # the address of a list of them all


def relatives(request: HttpRequest, row: OwnedModel) -> list[Relatives]:
    """What a row refers to, in a tree all that is above it, and what refers to it."""
    shown: dict[type[OwnedModel], list[OwnedModel]] = defaultdict(list)
    found: list[Relatives] = []
    for reference in row.references():
        if line := _line(row, reference):
            shown[type(line[0])] += line
            title = "Within" if reference.is_tree else str(reference.verbose_name).capitalize()
            path = format_html_join(" / ", "{}", ((_name(request, each),) for each in reversed(line)))
            found.append(Relatives(title, [path], 1))
    for reference in references.referring(type(row)):
        model: Any = reference.model
        rows = model.objects.for_user(row.user).visible().filter(**{reference.name: row.pk})
        if not may_view(request, model) or not (count := rows.count()):
            continue
        first = list(rows.order_by("pk").defer(*model.derived)[:MAX_LISTED])
        shown[model] += first
        state_of = admin.site.get_model_admin(model).state_of  # type: ignore[attr-defined]
        names = [format_html(_LISTED, _name(request, each), state_of(each)) for each in first]
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        plural = str(model._meta.verbose_name_plural).capitalize()
        title = f"{plural} within it" if reference.is_tree else plural
        found.append(Relatives(title, names, count, f"{address}?{reference.name}={row.pk}"))
    for model, named in shown.items():
        for each in named:
            each.user = row.user
        note_reading(request, resource_of(model), named, page=row.type_name())
    return found


def _name(request: HttpRequest, row: OwnedModel) -> str:
    title = title_of(row, reads=reads(request, type(row)))
    return link(row, title) if may_view(request, type(row)) else title


def _line(row: OwnedModel, reference: Reference) -> list[OwnedModel]:
    """What it refers to, and in a tree also what is above that."""
    line: list[OwnedModel] = []
    referred = getattr(row, reference.name)
    while referred is not None and referred not in line:
        line.append(referred)
        referred = getattr(referred, reference.name) if reference.is_tree else None
    return line
