"""The change list of accounts: its filters, and the columns that count each account's rows."""

import datetime as dt
from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone
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
