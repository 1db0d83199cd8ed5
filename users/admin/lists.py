"""How the staff's list of accounts is narrowed down, what it counts, and the sessions on an account's page."""

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from unfold.admin import TabularInline
from unfold.forms import PaginationInlineFormSet
from unfold.views import ChangeList

from users.models import Session, User
from users.resources.resource import registered

Rows = Callable[[], QuerySet[Any]]

_counts: dict[str, Rows] = {}


def count_per_user(title: str, rows: Rows) -> None:
    """Add a column that counts these rows, by their `user`; each resource has one anyhow."""
    _counts[title] = rows


def _all_counts() -> dict[str, Rows]:
    rows = {str(each.model._meta.verbose_name_plural): each.model.objects.visible for each in registered()}
    return {"sessions": Session.objects.live, **rows, **_counts}


def count_columns() -> list[Callable[[User], int]]:
    return [_column(title) for title in _all_counts()]


def _column(title: str) -> Callable[[User], int]:
    @admin.display(description=title)
    def column(user: User) -> int:
        count: int = getattr(user, _alias(title))
        return count

    return column


def _alias(title: str) -> str:
    return f"count_of_{title.replace(' ', '_')}"


def _count(rows: QuerySet[Any]) -> Coalesce:
    own = rows.filter(user=OuterRef("pk")).order_by().values("user")
    return Coalesce(Subquery(own.annotate(count=Count("*")).values("count")), 0)


class UserList(ChangeList):
    """Counts in sub-selects, which PostgreSQL evaluates for the rows of the page alone."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> Any:
        sessions = Session.objects.filter(user=OuterRef("pk")).order_by("-last_used_at")
        counts = {_alias(title): _count(rows()) for title, rows in _all_counts().items()}
        users = super().get_queryset(*args, **kwargs)
        return users.annotate(last_seen=Subquery(sessions.values("last_used_at")[:1]), **counts)


class IssuerFilter(admin.SimpleListFilter):
    title = "issuer"
    parameter_name = "issuer"
    LOCAL = "local"  # issuers are addresses

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        issuers = User.objects.exclude(issuer=None).order_by("issuer").values_list("issuer", flat=True).distinct()
        return [(self.LOCAL, "This service"), *((issuer or "", issuer or "") for issuer in issuers)]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() is None:
            return queryset
        return queryset.filter(issuer=None if self.value() == self.LOCAL else self.value())


class LastSeenFilter(admin.SimpleListFilter):
    """By the sessions, which are deleted when they end."""

    title = "last seen"
    parameter_name = "seen"
    WITHIN = {"day": ("Within a day", 1), "week": ("Within a week", 7), "month": ("Within 30 days", 30)}
    NEVER = "never"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*((key, title) for key, (title, _) in self.WITHIN.items()), (self.NEVER, "No session")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        sessions = Session.objects.filter(user=OuterRef("pk"))
        if self.value() == self.NEVER:
            return queryset.exclude(Exists(sessions))
        if self.value() not in self.WITHIN:
            return queryset
        since = timezone.now() - dt.timedelta(days=self.WITHIN[self.value() or ""][1])
        return queryset.filter(Exists(sessions.filter(last_used_at__gt=since)))


class SessionRows(PaginationInlineFormSet):
    """Shows what is there now, and takes nothing: sessions come and go while a page is shown."""

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
    """Each has a button of a form of its own (`end_session.html`): Enter in a field must not press it."""

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
    """Whoever may change an account may sign in to it, and has its privileges."""
    return account is None or staff.is_superuser or not (account.is_staff or account.is_superuser)
