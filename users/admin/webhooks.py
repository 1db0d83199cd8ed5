"""The admin of webhooks: where a user's events go, what became of the last deliveries, and what staff may do then."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from config.admin.base import ReadOnlyAdmin
from config.admin.lists import ChoiceFilter
from users import audit
from users.admin.audited import AuditedAdmin, Done
from users.audit import Action
from users.models import User
from users.webhooks import services
from users.webhooks.models import Delivery, Endpoint


class StateFilter(ChoiceFilter):
    """By `Endpoint.status`."""

    title = parameter_name = "status"
    narrowing = {
        "active": ("Active", lambda rows: rows.filter(is_active=True, failures=0)),
        "failing": ("Failing", lambda rows: rows.filter(is_active=True, failures__gt=0)),
        "disabled": ("Disabled", lambda rows: rows.exclude(disabled_at=None)),
        "paused": ("Paused", lambda rows: rows.filter(is_active=False, disabled_at=None)),
    }


@admin.register(Endpoint)
class EndpointAdmin(AuditedAdmin):
    """The path of an address may hold a secret of the receiver's: staff with the permission sees it, and each look is
    in the audit. The secrets that sign are shown to nobody."""

    icon = "webhook"
    list_display = ("__str__", "user", "host", "status", "failures", "last_error", "next_attempt_at", "created_at")
    list_select_related = ("user",)
    list_filter = (StateFilter, "created_at")
    search_fields = ("user__email",)
    ordering = ("-pk",)
    actions = ("try_now", "disable", "enable")
    fields = readonly_fields = (
        "user", "address", "events", "project_ids", "status", "disabled_at", "failures", "last_error",
        "next_attempt_at", "cursor_version", "cursor_event", "created_at", "updated_at", "last_deliveries",
    )  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Endpoint | None = None) -> bool:
        return False

    def address(self, row: Endpoint) -> str:
        return str(getattr(row, "shown", row.host))

    @admin.display(description="last deliveries")
    def last_deliveries(self, row: Endpoint) -> str:
        last = row.deliveries.order_by("-pk")[:10]
        return "\n".join(f"{each}: {each.reason or each.status}, attempt {each.attempt}" for each in last)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Endpoint | None:
        row: Endpoint | None = super().get_object(request, object_id, from_field)
        if row is not None and isinstance(request.user, User) and request.user.has_perm("webhooks.view_endpoint_url"):
            row.shown = row.url  # type: ignore[attr-defined]
        return row

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Endpoint | None = None,
    ) -> Any:
        if obj is not None and hasattr(obj, "shown") and obj.user_id != request.user.pk:
            audit.record(Action.STAFF_READ, obj.user, of=obj, page="webhook")
        return super().render_change_form(request, context, add, change, form_url, obj)

    @admin.action(description="Try again now", permissions=["change"])
    def try_now(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> Done:
        return self.done(request, services.try_now(list(queryset)), "Tried now")

    @admin.action(description="Disable", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> Done:
        return self.done(request, services.disable(list(queryset)), "Disabled")

    @admin.action(description="Enable", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> Done:
        return self.done(request, services.enable(list(queryset)), "Enabled")

    def done(self, request: HttpRequest, rows: list[Endpoint], did: str) -> Done:
        self.message_user(request, f"{did}: {self.counted(rows)}.", messages.SUCCESS)
        return Done(rows)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    icon = "outbox"
    list_display = ("at", "user", "endpoint", "event", "status", "reason", "milliseconds", "attempt")
    list_select_related = ("user", "endpoint")
    list_filter = ("event",)
    search_fields = ("user__email", "=webhook_id")
    ordering = ("-pk",)
    fields = readonly_fields = (
        "at", "user", "endpoint", "event", "webhook_id", "status", "reason", "milliseconds", "attempt",
    )  # fmt: skip
