"""Where people are signed in: staff sees it, and ends it."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from users import services
from users.admin.audited import AuditedAdmin
from users.admin.lists import may_end_sessions
from users.audit import Action
from users.models import Session


@admin.register(Session)
class SessionAdmin(AuditedAdmin):
    """Deleting a session is ending it."""

    icon = "devices"
    recorded_by_services = frozenset({Action.STAFF_DELETED})
    list_display = ("device", "user", "created_at", "last_used_at")
    list_select_related = ("user",)
    list_filter = ("last_used_at",)
    search_fields = ("user__email", "address")
    ordering = ("-last_used_at", "-pk")
    show_full_result_count = False
    fields = readonly_fields = ("user", "user_agent", "address", "created_at", "last_used_at")

    def device(self, session: Session) -> str:
        return str(session)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Session | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Session | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or may_end_sessions(request, obj.user))

    def delete_model(self, request: HttpRequest, obj: Session) -> None:
        services.end_session(obj.user, obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Session]) -> None:
        """By user, so that two such transactions lock accounts in one order. What has ended already has ended."""
        for session in queryset.order_by("user_id", "pk"):
            with suppress(services.SessionNotFound):
                services.end_session(session.user, session.pk)

    def get_deleted_objects(self, objs: Iterable[Session], request: HttpRequest) -> Any:
        sessions = list(objs)
        refused = {self.opts.verbose_name for each in sessions if not self.has_delete_permission(request, each)}
        links = self.deletion_links([self.change_link(session) for session in sessions])
        return links, {self.opts.verbose_name_plural: len(sessions)}, refused, []
