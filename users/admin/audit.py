"""The admin of the audit log, read-only."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from config.admin.base import ServiceAdmin
from users.audit import Action, label
from users.models import AuditEvent, User
from users.resources.resource import registered

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


@admin.register(AuditEvent)
class AuditEventAdmin(ServiceAdmin):
    icon = "history"
    list_display = ("at", "action_label", "actor_email", "subject_email", "object_name", "address")
    list_filter = (ActionFilter, "at", ActorFilter)
    search_fields = ("actor_email", "subject_email", "object_type", "=object_id", "address", "=request_id")
    search_help_text = "E-mail of who did it or of whom it was done to, object, address or request."
    ordering = ("-pk",)
    list_per_page = 100
    show_full_result_count = False
    actions = None
    fields = (
        "at", "action_label", "actor_email", "actor_number", "subject_email", "subject_number", "object_name",
        "address", "request_id", "content",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description="action", ordering="action")
    def action_label(self, event: AuditEvent) -> str:
        return label(event.action)

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

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        return False
