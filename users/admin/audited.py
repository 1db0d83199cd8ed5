"""AuditedAdmin: changes by staff are recorded in the audit log instead of Django's LogEntry, and shown from it."""

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Self

from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import PAGE_VAR
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from config.admin.base import ServiceAdmin
from users import audit
from users.audit import Action
from users.models import AuditEvent, User
from users.resources.models import OwnedModel
from users.resources.resource import Resource

PER_PAGE = 100


class Entry(NamedTuple):
    """An audit event with the attributes of a LogEntry, for Django's template of an object's history."""

    action_time: dt.datetime
    user: User
    get_change_message: str

    @classmethod
    def of(cls, event: AuditEvent) -> Self:
        """Without a look-up: the account may be gone."""
        said = ", ".join(event.details.get("fields", ())) or event.details.get("reason", "")
        label = audit.label(event.action)
        return cls(event.at, User(email=event.actor_email), f"{label}: {said}" if said else label)


class Done(NamedTuple):
    """The result of an action: the objects that it changed, which are logged, and its response.

    For actions that return anything else, all selected objects are logged.
    """

    to: Iterable[Model] = ()
    answer: HttpResponseBase | None = None


class AuditedAdmin(ServiceAdmin):
    # Fields whose values are not logged, only that they changed: events outlive the account, and its texts must not.
    unrecorded: tuple[str, ...] = ()
    # Events that the services record already.
    recorded_by_services: frozenset[Action] = frozenset()

    def subject_of(self, obj: Model) -> User | None:
        return obj if isinstance(obj, User) else getattr(obj, "user", None)

    def note(self, action: Action, obj: Any, **details: Any) -> None:
        if action not in self.recorded_by_services:
            audit.record(action, self.subject_of(obj), of=obj, **details)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Old and new values by field; Django passes them to `log_addition` or `log_change`."""
        names = [name for name in form.changed_data if "password" not in name]  # its service records that
        fields = {name: self._change(form, name, add) for name in names}
        return {"fields": fields} if fields else {}

    def _change(self, form: Any, name: str, add: bool) -> list[Any] | None:
        if name in self.unrecorded:
            return None
        before = None if add else _shown(form.get_initial_for_field(form.fields[name], name))
        return [before, _shown(form.cleaned_data.get(name))]

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self.note(Action.STAFF_ADDED, obj, **message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Django's hook; actions may also pass a sentence."""
        if message:
            self.note(Action.STAFF_CHANGED, obj, **({"said": message} if isinstance(message, str) else message))

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Any]) -> Any:
        for obj in queryset:
            self.note(Action.STAFF_DELETED, obj)

    def run_action(self, name: str, run: Callable[..., Any], request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Run an action, and record an event for each object that it changed."""
        if name == "delete_selected":  # shows a confirmation first, then calls `log_deletions`
            return super().run_action(name, run, request, queryset)
        chosen = list(queryset)
        answer = super().run_action(name, run, request, queryset)
        done = answer if isinstance(answer, Done) else Done(chosen, answer)
        for obj in done.to:
            self.note(Action.STAFF_RAN, obj, ran=name)
        return done.answer

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        return super().history_view(request, object_id, {**self.events(request, object_id), **(extra_context or {})})

    def events(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        """A page of the audit events of an object, as Django's template of its history takes them."""
        events = AuditEvent.objects.filter(object_type=self.opts.label_lower, object_id=unquote(object_id))
        paginator = self.get_paginator(request, events.order_by("-pk"), PER_PAGE)
        page = paginator.get_page(request.GET.get(PAGE_VAR, 1))
        page.object_list = [Entry.of(event) for event in page.object_list]
        return {
            "action_list": page,
            "page_range": paginator.get_elided_page_range(page.number),
            "page_var": PAGE_VAR,
            "pagination_required": paginator.num_pages > 1,
        }


def reads_text(request: HttpRequest, resource: Resource) -> bool:
    """Whether this member of the staff may read users' text."""
    permission = resource.text_permission
    return permission is None or (isinstance(request.user, User) and request.user.has_perm(permission))


def note_reading(request: HttpRequest, resource: Resource, rows: Iterable[OwnedModel], *, page: str) -> None:
    """Record that staff read text of other users; one event for a page with several rows."""
    if not resource.text or not reads_text(request, resource):
        return
    others = [row for row in rows if row.user_id != request.user.pk]
    if len(others) == 1:
        audit.record(Action.STAFF_READ, others[0].user, of=others[0], page=page)
    elif others:
        rows_read = {resource.plural: [row.pk for row in others]}
        audit.record_reading([row.user for row in others], page=page, **rows_read)


def _shown(value: Any) -> Any:
    """A field's value as JSON."""
    if isinstance(value, QuerySet | list | tuple | set):
        return sorted(str(item) for item in value)
    if isinstance(value, Model):
        return value.pk
    return value if value is None or isinstance(value, bool | int | str) else str(value)
