"""Every way to read tasks. The methods read as adjectives and can be chained in any order."""

import datetime as dt
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from django.db.models import F, Field, Func, IntegerField, OrderBy, Q, QuerySet, Value
from django.db.models.functions import StrIndex
from django.db.models.lookups import GreaterThan, LessThan

from config.database.compiled import Given
from tasks.choices import OPEN, Priority, Sort, Status
from tasks.text import words
from users.models import User

if TYPE_CHECKING:
    from tasks.models import Task  # noqa: F401 (ruff does not see the quoted use in a base class)

# An index serves only the very expression that it was made of, so that these take no parameters.
_RANKS = " ".join(f"WHEN '{priority}' THEN {rank}" for rank, priority in enumerate(Priority))
PRIORITY_RANK = Func(F("priority"), template=f"(CASE %(expressions)s {_RANKS} END)", output_field=IntegerField())


NEAR = dt.timedelta(days=3)


class SortKey(NamedTuple):
    """An order of the list: its expression, and how a key travels as text in a cursor."""

    expression: Any
    to_text: Callable[[Any], str | None]
    from_text: Callable[[str], Any]
    # Stand for null, ascending and descending: behind every other key.
    absent: tuple[dt.date, dt.date] | None = None

    def by(self, *, descending: bool) -> Any:
        """The expression, which is never null: whole rows (key, id) can be compared, and looked up in an index."""
        if self.absent is None:
            return self.expression
        absent = f"DATE '{self.absent[descending]}'"
        # COALESCE is not leakproof, CASE is: behind row level security, only what is leakproof looks into an index.
        template = f"(CASE WHEN %(expressions)s IS NULL THEN {absent} ELSE %(expressions)s END)"
        return Func(self.expression, template=template)

    def at(self, key: Any, *, descending: bool) -> Any:
        return self.absent[descending] if key is None and self.absent else key

    def parse(self, text: str | None) -> Any:
        """Raises ValueError for what `to_text` cannot have made."""
        if text is not None:
            return self.from_text(text)
        if self.absent is None:
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
        absent=(dt.date.max, dt.date.min),
    ),
    Sort.PRIORITY: SortKey(PRIORITY_RANK, lambda task: str(Priority.values.index(task.priority)), int),
    Sort.TITLE: SortKey(F("title_key"), lambda task: task.title_key, str),
}
DUE = SORT_KEYS[Sort.DUE_DATE].by(descending=False)
DUE_DESCENDING = SORT_KEYS[Sort.DUE_DATE].by(descending=True)


class TaskQuerySet(QuerySet["Task"]):
    def for_user(self, user: User | Given) -> Self:
        """The first wall: every read begins here."""
        return self.filter(user=user)

    def visible(self) -> Self:
        """Without tombstones."""
        return self.filter(deleted_at=None)

    def deleted(self) -> Self:
        """Tombstones."""
        return self.exclude(deleted_at=None)

    def shown(self) -> Self:
        """Without the columns that no answer shows; they are loaded if they are needed after all."""
        return self.defer("search_text", "deleted_at")

    def pending(self) -> Self:
        return self.with_status([Status.PENDING])

    def completed(self) -> Self:
        return self.with_status([Status.COMPLETED])

    def not_completed(self) -> Self:
        return self.exclude(status=Status.COMPLETED)

    def open(self) -> Self:
        return self.with_status(OPEN)

    def closed(self) -> Self:
        return self.exclude(status__in=OPEN)

    def with_status(self, statuses: Collection[str]) -> Self:
        return self.filter(status__in=statuses)

    def with_priority(self, priority: str) -> Self:
        return self.filter(priority=priority)

    def with_tags(self, tags: Collection[str]) -> Self:
        """Tagged with all of `tags`."""
        return self.filter(tags__contains=list(tags))

    def due_before(self, date: dt.date) -> Self:
        return self.filter(LessThan(DUE, date))

    def due_after(self, date: dt.date) -> Self:
        return self.filter(GreaterThan(DUE, date), LessThan(DUE, dt.date.max))

    def overdue(self, now: dt.datetime | Given, today: dt.date | Given) -> Self:
        """Open, and past their instant, or past their whole day. `today` is the user's."""
        return self.filter(_is_overdue(now, today))

    def not_overdue(self, now: dt.datetime | Given, today: dt.date | Given) -> Self:
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
        key = OrderBy(SORT_KEYS[sort].by(descending=descending), descending=descending)
        return self.order_by(key, "-id" if descending else "id")

    def after(self, sort: Sort, key: Any, task_id: int | Given, *, descending: bool) -> Self:
        """The rows behind the one with this key and id, in the same order as `sorted_by`."""
        sort_key = SORT_KEYS[sort]
        row = _row(sort_key.by(descending=descending), F("id"))
        last = _row(_value(sort_key.at(key, descending=descending)), _value(task_id))
        return self.filter(LessThan(row, last) if descending else GreaterThan(row, last))


def _value(value: Any) -> Any:
    return value if isinstance(value, Given) else Value(value)


def _row(*members: Any) -> Func:
    return Func(*members, function="ROW", output_field=Field())


def _is_overdue(now: dt.datetime | Given, today: dt.date | Given) -> Q:
    # An instant has another date elsewhere, at most two days from today's: a range that an index finds.
    near = LessThan(DUE, Given("near") if isinstance(today, Given) else today + NEAR)
    return Q(status__in=OPEN) & is_past_due(now, today) & Q(near)


def is_past_due(now: dt.datetime | Given, today: dt.date | Given) -> Q:
    """What makes an open task an overdue one."""
    timed = Q(due_at__isnull=False, due_at__lt=now)
    whole_day = Q(due_at=None, due_date__isnull=False, due_date__lt=today)
    return timed | whole_day
