"""The admin of the audit log, read-only."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join

from config.admin.base import ReadOnlyAdmin
from users import audit
from users.admin.lists import named, number_in
from users.audit import Action, label
from users.models import AuditEvent, User
from users.resources.resource import registered
from users.text import canonical_email

NOBODY = "nobody"
_SHOWN = 5  # of the rows on a page of a list; the details have them all


class ActionFilter(admin.SimpleListFilter):
    title = parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(action.value, action.label) for action in Action]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset if self.value() is None else queryset.filter(action=self.value())


class ActorFilter(admin.SimpleListFilter):
    """Members of the staff; others are found by the search."""

    title = parameter_name = "actor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        staff = User.objects.filter(is_staff=True).order_by("email").values_list("pk", "email")
        return [*((str(pk), email) for pk, email in staff), (NOBODY, "nobody")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value is None:
            return queryset
        return queryset.filter(actor=None) if value == NOBODY else queryset.filter(actor=value)


class AccountFilter(admin.SimpleListFilter):
    """By the page of an account: what it did, and what was done to it or read of its rows."""

    title = parameter_name = "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        pk = number_in(request.GET.get("account", ""))
        if pk is None:
            return []
        user = User.objects.filter(pk=pk).first()
        return [(str(pk), str(user or f"{pk}, which is gone"))]

    def has_output(self) -> bool:
        return bool(self.lookup_choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        pk = number_in(self.value() or "")
        return queryset if pk is None else queryset.filter(audit.about(pk) | Q(actor=pk))


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    icon = "history"
    list_display = ("at", "action_label", "actor_link", "subject_links", "object_name", "address")
    list_filter = (ActionFilter, "at", ActorFilter, AccountFilter)
    search_fields = ("actor_email", "subject_email", "object_type", "=object_id", "address", "=request_id")
    search_help_text = "E-mail or id of an account, object, address or request."
    ordering = ("-pk",)
    actions = None
    fields = (
        "at", "action_label", "actor_link", "actor_number", "all_subjects", "subject_number", "object_link",
        "address", "request_id", "content",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description="action", ordering="action")
    def action_label(self, event: AuditEvent) -> str:
        return label(event.action)

    def search(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> Any:
        found, may_repeat = super().search(request, queryset, term)
        accounts = User.objects.filter(named(term) | Q(email_canonical=canonical_email(term))).values_list(
            "pk", flat=True
        )
        for pk in accounts[:_SHOWN]:
            found = found | queryset.filter(audit.about(pk)) | queryset.filter(actor=pk)
        return found, may_repeat

    @admin.display(description="actor", ordering="actor_email")
    def actor_link(self, event: AuditEvent) -> str:
        return _account_link(event.actor_id, event.actor_email) if event.actor_id else event.actor_email

    @admin.display(description="subject", ordering="subject_email")
    def subject_links(self, event: AuditEvent) -> str:
        return _subjects(event, _SHOWN)

    @admin.display(description="subject")
    def all_subjects(self, event: AuditEvent) -> str:
        return _subjects(event, len(event.details.get("users", ())))

    @admin.display(description="object")
    def object_link(self, event: AuditEvent) -> str:
        """With its history, which also a row in the trash has."""
        name = self.object_name(event)
        try:
            address = reverse(f"admin:{event.object_type.replace('.', '_')}_history", args=[event.object_id])
        except NoReverseMatch:
            return name
        return format_html('<a href="{}" class="tickbase-link">{}</a>', address, name)

    @admin.display(description="object")
    def object_name(self, event: AuditEvent) -> str:
        for resource in registered() if event.action == Action.STAFF_READ else ():
            if resource.plural in event.details:
                ids = event.details[resource.plural]
                named = f"{resource.model._meta.label_lower} {', '.join(map(str, ids[:_SHOWN]))}"
                return f"{named} and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else named
        return f"{event.object_type} {event.object_id}".strip()

    @admin.display(description="actor’s id")
    def actor_number(self, event: AuditEvent) -> int | None:
        """Of an account that may be gone."""
        return event.actor_id

    @admin.display(description="subject’s id")
    def subject_number(self, event: AuditEvent) -> int | None:
        return event.subject_id

    @admin.display(description="details")
    def content(self, event: AuditEvent) -> str:
        return format_html("<pre>{}</pre>", json.dumps(event.details, indent=2, ensure_ascii=False))


def _account_link(pk: int, name: str) -> str:
    """Of an account that may be gone, which its page says then."""
    address = reverse("admin:users_user_change", args=[pk])
    return format_html('<a href="{}" class="tickbase-link tickbase-name">{}</a>', address, name or pk)


def _subjects(event: AuditEvent, most: int) -> str:
    """Links to the accounts that an event is about; their names are those of then."""
    if event.subject_id is not None:
        return _account_link(event.subject_id, event.subject_email)
    pks = event.details.get("users")
    if not isinstance(pks, list):
        return event.subject_email
    names = event.subject_email.split(audit.NEXT)
    names = names if len(names) == len(pks) else [f"account {pk}" for pk in pks]  # of an older event
    links = format_html_join(", ", "{}", ((_account_link(*each),) for each in [*zip(pks, names, strict=True)][:most]))
    return format_html("{} and {} more", links, len(pks) - most) if len(pks) > most else links
