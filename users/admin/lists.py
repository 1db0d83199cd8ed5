"""The change list of accounts: its filters and search, and the numbers of each account's rows."""

import datetime as dt
from collections.abc import Callable
from typing import Any, NamedTuple

from django.contrib import admin
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from unfold.views import ChangeList

from config.admin.lists import ChoiceFilter
from config.values import MAX_BIGINT
from users.models import PersonalToken, Session, User
from users.resources.resource import registered
from users.text import canonical_email

Rows = Callable[[], QuerySet[Any]]

_DIGITS = len(str(MAX_BIGINT))


class Counted(NamedTuple):
    """Rows that are counted for each account, by their `user`; the query is that of their list."""

    rows: Rows
    query: str = ""
    is_column: bool = True


class Figure(NamedTuple):
    title: str
    value: int
    address: str  # of the list of what is counted


_counts: dict[str, Counted] = {}


def count_per_user(title: str, rows: Rows, query: str, *, is_column: bool = False) -> None:
    """Count these rows on the page of each account, and in a column of their list; each resource is counted anyhow."""
    _counts[title] = Counted(rows, query, is_column)


def _all_counts() -> dict[str, Counted]:
    rows = {str(each.model._meta.verbose_name_plural): Counted(each.model.objects.visible) for each in registered()}
    tokens = Counted(PersonalToken.objects.live, is_column=False)
    return {"sessions": Counted(Session.objects.live), "tokens": tokens, **rows, **_counts}


def figures_of(request: HttpRequest, user: User) -> list[Figure]:
    """Of what this member of the staff may see."""
    figures = []
    for title, counted in _all_counts().items():
        rows = counted.rows()
        opts = rows.model._meta
        if isinstance(request.user, User) and request.user.has_perm(f"{opts.app_label}.view_{opts.model_name}"):
            address = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
            query = f"user__id__exact={user.pk}{counted.query and f'&{counted.query}'}"
            figures.append(Figure(title, rows.filter(user=user).count(), f"{address}?{query}"))
    return figures


def count_columns() -> list[Callable[[User], int]]:
    return [_column(title) for title, counted in _all_counts().items() if counted.is_column]


def number_in(term: str) -> int | None:
    """The id that was searched for, if it may be one."""
    is_number = len(term) <= _DIGITS and term.isascii() and term.isdecimal() and 0 < int(term) <= MAX_BIGINT
    return int(term) if is_number else None


def named(term: str, prefix: str = "") -> Q:
    """Accounts by their id or public id; with a prefix, what belongs to them."""
    number = number_in(term)
    found = Q(**{f"{prefix}subject": term})
    return found if number is None else found | Q(**{f"{prefix}pk": number})


def with_email(term: str) -> QuerySet[User]:
    """Accounts whose address has this part. That of an external account has no canonical form."""
    return User.objects.filter(
        Q(email_canonical__contains=canonical_email(term)) | Q(email_canonical=None, email__icontains=term)
    )


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
        counts = {_alias(title): _count(each.rows()) for title, each in _all_counts().items() if each.is_column}
        users = super().get_queryset(*args, **kwargs)
        return users.annotate(last_seen=Subquery(sessions.values("last_used_at")[:1]), **counts)


class ConfirmedFilter(ChoiceFilter):
    title = "address confirmed"
    parameter_name = "confirmed"
    narrowing = {
        "yes": ("Yes", lambda users: users.exclude(email_verified_at=None)),
        "no": ("No", lambda users: users.filter(email_verified_at=None)),
    }


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
