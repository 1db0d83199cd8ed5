"""The admin of sessions: their own list, and the inline on an account's page; staff may end them."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.forms import PaginationInlineFormSet

from users import services
from users.admin.audited import AuditedAdmin
from users.admin.lists import named
from users.audit import Action
from users.models import Session, User


@admin.register(Session)
class SessionAdmin(AuditedAdmin):
    """Deleting a session is ending it."""

    icon = "devices"
    recorded_by_services = frozenset({Action.STAFF_DELETED})
    list_display = ("device", "user", "created_at", "last_used_at")
    list_select_related = ("user",)
    list_filter = ("last_used_at", ("user", AutocompleteSelectFilter))
    list_filter_submit = True
    search_fields = ("user__email", "user__name", "address", "=id")
    search_help_text = "E-mail, name or id of the account, address, or id of the session."
    ordering = ("-last_used_at", "-pk")
    fields = readonly_fields = ("user", "user_agent", "address", "created_at", "last_used_at")

    def device(self, session: Session) -> str:
        return str(session)

    def search(self, request: HttpRequest, queryset: QuerySet[Session], term: str) -> Any:
        found, may_repeat = super().search(request, queryset, term)
        return found | queryset.filter(named(term, "user__")), may_repeat

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


class SessionRows(PaginationInlineFormSet):
    """A read-only formset: it ignores what was posted, as sessions come and go while a page is shown."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "data": None, "files": None})
        self.new_objects: list[Session] = []
        self.changed_objects: list[Session] = []
        self.deleted_objects: list[Session] = []

    def is_valid(self) -> bool:
        return True

    def save(self, commit: bool = True) -> list[Session]:
        return []


class SessionInline(TabularInline):
    """The live sessions of an account. Each has a button of a form of its own (`end_session.html`): Enter in a field of
    the page must not press it."""

    model = Session
    formset = SessionRows
    verbose_name_plural = "sessions"
    ordering = ("-last_used_at",)
    per_page = 20
    hide_title = True
    readonly_fields = ("device", "address", "created_at", "last_used_at", "expires_at", "end")

    @admin.display(description="device", empty_value="unknown")
    def device(self, session: Session) -> str:
        return session.user_agent

    @admin.display(description="expires at")
    def expires_at(self, session: Session) -> str:
        if session.last_used_at is None:
            return ""  # a form that was sent without its rows is shown with empty ones
        return date_format(session.expires_at, "DATETIME_FORMAT")

    @admin.display(description="")
    def end(self, session: Session) -> str:
        address = reverse("admin:users_user_end_session", args=[session.user_id, session.pk])
        return format_html(
            '<button type="submit" form="end-session" formaction="{}" class="end-session">End session</button>', address
        )

    def get_fields(self, request: HttpRequest, obj: User | None = None) -> Iterable[str]:
        if obj is not None and may_end_sessions(request, obj):
            return self.readonly_fields
        return [field for field in self.readonly_fields if field != "end"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Session]:
        sessions: QuerySet[Session] = super().get_queryset(request).live()
        return sessions

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def may_end_sessions(request: HttpRequest, user: User) -> bool:
    staff = request.user
    return (
        isinstance(staff, User) and staff.has_perm("users.delete_session") and (staff == user or outranks(staff, user))
    )


def outranks(staff: User, account: User | None) -> bool:
    """Whether `staff` may act on an account: a change of its password would give them its privileges."""
    return account is None or staff.is_superuser or not (account.is_staff or account.is_superuser)
