"""Every way to read tasks. The methods read as adjectives and can be chained in any order."""

import datetime as dt
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from django.db.models import Case, F, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import StrIndex

from tasks.choices import OPEN, Priority, Sort, Status
from tasks.text import words
from users.models import User

if TYPE_CHECKING:
    from tasks.models import Task  # noqa: F401 (ruff does not see the quoted use in a base class)

PRIORITY_RANK = Case(
    *(When(priority=priority, then=Value(rank)) for rank, priority in enumerate(Priority)),
    output_field=IntegerField(),
)


class SortKey(NamedTuple):
    """An order of the list: its expression, and how a key travels as text in a cursor."""

    expression: Any
    to_text: Callable[[Any], str | None]
    from_text: Callable[[str], Any]
    is_nullable: bool = False

    def parse(self, text: str | None) -> Any:
        """Raises ValueError for what `to_text` cannot have made."""
        if text is not None:
            return self.from_text(text)
        if not self.is_nullable:
            raise ValueError("this key is never null")
        return None


def _to_instant(text: str) -> dt.datetime:
    instant = dt.datetime.fromisoformat(text)
    if instant.tzinfo != dt.UTC:  # PostgreSQL refuses offsets that Python knows
        raise ValueError("not in UTC")
    return instant


SORT_KEYS = {
    Sort.CREATED: SortKey(F("created_at"), lambda task: task.created_at.isoformat(), _to_instant),
    Sort.UPDATED: SortKey(F("updated_at"), lambda task: task.updated_at.isoformat(), _to_instant),
    Sort.DUE_DATE: SortKey(
        F("due_date"),
        lambda task: task.due_date and task.due_date.isoformat(),
        dt.date.fromisoformat,
        is_nullable=True,
    ),
    Sort.PRIORITY: SortKey(PRIORITY_RANK, lambda task: str(Priority.values.index(task.priority)), int),
    Sort.TITLE: SortKey(F("title_key"), lambda task: task.title_key, str),
}


class TaskQuerySet(QuerySet["Task"]):
    def for_user(self, user: User) -> Self:
        """The first wall: every read begins here."""
        return self.filter(user=user)

    def visible(self) -> Self:
        """Without tombstones."""
        return self.filter(deleted_at=None)

    def pending(self) -> Self:
        return self.with_status([Status.PENDING])

    def completed(self) -> Self:
        return self.with_status([Status.COMPLETED])

    def not_completed(self) -> Self:
        return self.exclude(status=Status.COMPLETED)

    def with_status(self, statuses: Collection[str]) -> Self:
        return self.filter(status__in=statuses)

    def with_priority(self, priority: str) -> Self:
        return self.filter(priority=priority)

    def with_tags(self, tags: Collection[str]) -> Self:
        """Tagged with all of `tags`."""
        return self.filter(tags__contains=list(tags))

    def due_before(self, date: dt.date) -> Self:
        return self.filter(due_date__lt=date)

    def due_after(self, date: dt.date) -> Self:
        return self.filter(due_date__gt=date)

    def overdue(self, now: dt.datetime, today: dt.date) -> Self:
        """Open, and past their instant, or past their whole day. `today` is the user's."""
        return self.filter(_is_overdue(now, today))

    def not_overdue(self, now: dt.datetime, today: dt.date) -> Self:
        return self.exclude(_is_overdue(now, today))

    def updated_since(self, instant: dt.datetime) -> Self:
        return self.filter(updated_at__gte=instant)

    def matching(self, search: str) -> Self:
        """Every word occurs in title, description or tags, in any case, accent and script."""
        found = self
        for number, word in enumerate(words(search)):
            # strpos() takes the word as it is, where LIKE would need its wildcards escaped.
            name = f"_word_{number}"
            found = found.alias(**{name: StrIndex("search_text", Value(word))}).filter(**{f"{name}__gt": 0})
        return found

    def sorted_by(self, sort: Sort, *, descending: bool) -> Self:
        """Nulls come last either way; ties go by id, in the same direction."""
        key = SORT_KEYS[sort].expression
        if descending:
            return self.order_by(key.desc(nulls_last=True), "-id")
        return self.order_by(key.asc(nulls_last=True), "id")

    def after(self, sort: Sort, key: Any, task_id: int, *, descending: bool) -> Self:
        """The rows behind the one with this key and id, in the same order as `sorted_by`."""
        compare = "lt" if descending else "gt"
        ordered = self.alias(_key=SORT_KEYS[sort].expression)
        behind_in_tie = Q(**{f"id__{compare}": task_id})
        if key is None:
            return ordered.filter(behind_in_tie, _key=None)
        behind = Q(**{f"_key__{compare}": key}) | (Q(_key=key) & behind_in_tie)
        return ordered.filter(behind | Q(_key=None) if SORT_KEYS[sort].is_nullable else behind)


def _is_overdue(now: dt.datetime, today: dt.date) -> Q:
    timed = Q(due_at__isnull=False, due_at__lt=now)
    whole_day = Q(due_at=None, due_date__isnull=False, due_date__lt=today)
    return Q(status__in=OPEN) & (timed | whole_day)
