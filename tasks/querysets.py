"""The querysets of tasks. The methods read as adjectives and can be chained in any order."""

import datetime as dt
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Self, cast

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, Func, IntegerField, OrderBy, Q
from django.db.models.expressions import RawSQL
from django.db.models.lookups import Exact, GreaterThan, LessThan

from config.database.queries import Param
from tasks.choices import ACTIVE, INBOX, OPEN, Priority, Sort, Status
from tasks.text import tag_key, words
from users.resources.querysets import CREATED, UPDATED, OwnedQuerySet, SortKey, comes_after, one_of, parse_instant

if TYPE_CHECKING:
    from tasks.models import Task  # noqa: F401 (ruff does not see the quoted use in a base class)
    from users.tokens.callers import Actor

# Expressions without parameters: an index serves only the very expression that it was made of.
_RANKS = " ".join(f"WHEN '{priority}' THEN {rank}" for rank, priority in enumerate(Priority))
PRIORITY_RANK = Func(F("priority"), template=f"(CASE %(expressions)s {_RANKS} END)", output_field=IntegerField())


def _or(column: str, absent: str) -> Func:
    """The column with a substitute for null: whole rows can be compared then, and looked up in an index."""
    # CASE, as COALESCE is not leakproof: behind row level security, only leakproof expressions use an index.
    return Func(F(column), template=f"(CASE WHEN %(expressions)s IS NULL THEN {absent} ELSE %(expressions)s END)")


# Null comes last in both directions. Whole days are due at the end of their day, after all times.
NEVER, NEVER_DESCENDING = dt.date.max, dt.date.min
END_OF_DAY = dt.datetime(9999, 12, 31, tzinfo=dt.UTC)
DUE = _or("due_date", f"DATE '{NEVER}'")
DUE_DESCENDING = _or("due_date", f"DATE '{NEVER_DESCENDING}'")
DUE_TIME = _or("due_at", f"TIMESTAMPTZ '{END_OF_DAY}'")

# Of a task: itself and its descendants. UNION, which would end in a cycle.
_WITHIN = """ARRAY(
    WITH RECURSIVE below AS (
        SELECT id FROM tasks_task WHERE user_id = %s AND id = %s AND deleted_at IS NULL
        UNION
        SELECT child.id FROM below JOIN tasks_task AS child
            ON child.user_id = %s AND child.parent_id = below.id AND child.deleted_at IS NULL
    ) SELECT id FROM below
)"""

NEAR = dt.timedelta(days=3)
MAX_LOOKED_UP = 3  # tags in their index; to plan more joins takes longer than to filter by the rest


def _due_to_text(task: Any) -> str | None:
    """Both columns, since the day depends on the user's time zone. "2026-12-01/" is a whole day."""
    if task.due_date is None:
        return None
    return f"{task.due_date}/{task.due_at.isoformat() if task.due_at else ''}"


def _due_from_text(text: str) -> tuple[dt.date, dt.datetime]:
    date, separator, moment = text.partition("/")
    if not separator:
        raise ValueError("a cursor of an older version, in which a day was ordered by id")
    return dt.date.fromisoformat(date), parse_instant(moment) if moment else END_OF_DAY


_PRIORITY = SortKey(
    (PRIORITY_RANK,),
    lambda task: str(Priority.values.index(task.priority)),
    lambda text: (max(-1, min(int(text), len(Priority))),),  # a forged one need not fit into PostgreSQL's integer
)
_TITLE = SortKey((F("title_key"),), lambda task: task.title_key, lambda text: (text,), columns=("title_key",))
_POSITION = SortKey((F("position"),), lambda task: task.position, lambda text: (text,))
_DUE = SortKey((DUE, DUE_TIME), _due_to_text, _due_from_text, absent=(NEVER, END_OF_DAY))
_DUE_DESCENDING = _DUE._replace(expressions=(DUE_DESCENDING, DUE_TIME), absent=(NEVER_DESCENDING, END_OF_DAY))


class TaskQuerySet(OwnedQuerySet["Task"]):
    sort_keys = {
        Sort.CREATED: CREATED,
        Sort.UPDATED: UPDATED,
        Sort.DUE_DATE: _DUE,
        Sort.PRIORITY: _PRIORITY,
        Sort.TITLE: _TITLE,
        Sort.POSITION: _POSITION,
    }
    # What `sorted_by` needs to look up tags: the keys of `with_tags`, and the place of `after`.
    _tags: tuple[str, ...] = ()
    _place: Sequence[Any] = ()

    @classmethod
    def sort_key(cls, sort: str, *, descending: bool) -> SortKey:
        if descending and sort == Sort.DUE_DATE:
            return _DUE_DESCENDING
        return super().sort_key(sort, descending=descending)

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

    def with_priorities(self, priorities: Collection[str]) -> Self:
        return self.filter(priority__in=priorities)

    def in_inbox(self) -> Self:
        return self.filter(project=None)

    def in_project(self, project_id: int | Param) -> Self:
        return self.filter(project_id=project_id)

    def in_projects(self, project_ids: Collection[int]) -> Self:
        return self.filter(project_id__in=project_ids)

    def active(self, user: "Actor | Param") -> Self:
        """In the user's inbox, or in a project that is not archived."""
        projects: Any = self.model._meta.get_field("project").related_model
        archived = ArraySubquery(projects.objects.for_user(user).archived().values("pk"))
        return self.filter(Q(project=None) | ~Q(one_of("project_id", archived)))

    def placed_in(self, user: "Actor | Param", place: "str | int | Param | tuple[int, ...]") -> Self:
        """As a query says it: the inbox, what is active, a project, or one of several."""
        if place == INBOX:
            return self.in_inbox()
        if place == ACTIVE:
            return self.active(user)
        return self.in_projects(place) if isinstance(place, tuple) else self.in_project(cast("int | Param", place))

    def at_the_root(self) -> Self:
        return self.filter(parent=None)

    def children_of(self, task_id: int | Param) -> Self:
        return self.filter(parent_id=task_id)

    def within(self, user: "Actor | Param", task_id: int | Param) -> Self:
        """A task of this user's and all that is within it."""
        owner = user if isinstance(user, Param) else user.pk
        return self.filter(one_of("pk", RawSQL(_WITHIN, [owner, task_id, owner])))  # nosec B611: a constant

    def with_tags(self, tags: Collection[str]) -> Self:
        """Tagged with all of `tags`, in any case."""
        keys = [tag_key(tag) for tag in tags]
        found = self.filter(tag_keys__contains=keys)
        found._tags = (*self._tags, *keys)
        return found

    def after(self, sort: str, place: Sequence[Any], *, descending: bool) -> Self:
        found = super().after(sort, place, descending=descending)
        found._place = place
        return found

    def sorted_by(self, sort: str, *, descending: bool) -> Self:
        """In the default order, tags are looked up in their index, however rare they are; others would sort them."""
        if sort != Sort.CREATED or not self._tags:
            return super().sorted_by(sort, descending=descending)
        row = F("tag_rows__created_at"), F("tag_rows__task")
        entered = [comes_after(self._place, *row, descending=descending)] if self._place else []
        # Several are merged by the whole of their row. For one the id is enough: with a second condition PostgreSQL
        # would expect next to nothing, and rather sort all than read in order.
        tags = self._tags[:MAX_LOOKED_UP]
        merged = {"tag_rows__created_at": F("created_at")} if len(tags) > 1 else {}
        found = self
        for key in tags:
            found = found.filter(*entered, tag_rows__user=F("user"), tag_rows__tag_key=key, **merged)
        return found.order_by(*(OrderBy(each, descending=descending) for each in row))

    def _clone(self) -> Self:
        found: Self = super()._clone()  # type: ignore[misc]  # Django's own way to hand on attributes
        found._tags, found._place = self._tags, self._place
        return found

    def due_on(self, date: dt.date) -> Self:
        return self.filter(Exact(DUE, date))

    def due_before(self, date: dt.date | Param) -> Self:
        return self.filter(LessThan(DUE, date))

    def due_after(self, date: dt.date) -> Self:
        return self.filter(GreaterThan(DUE, date), LessThan(DUE, NEVER))

    def overdue(self, now: dt.datetime | Param, today: dt.date | Param) -> Self:
        """Open, and past their instant, or past their whole day. `today` is the user's."""
        return self.filter(_is_overdue(now, today))

    def not_overdue(self, now: dt.datetime | Param, today: dt.date | Param) -> Self:
        return self.exclude(_is_overdue(now, today))

    def matching(self, search: str) -> Self:
        """Every word occurs in title, description or tags, in any case, accent and script."""
        return self.containing(words(search))


def _is_overdue(now: dt.datetime | Param, today: dt.date | Param) -> Q:
    # Time zones shift the date of an instant by at most two days: a range that an index finds.
    near = LessThan(DUE, Param("near") if isinstance(today, Param) else today + NEAR)
    return Q(status__in=OPEN) & is_past_due(now, today) & Q(near)


def is_past_due(now: dt.datetime | Param, today: dt.date | Param) -> Q:
    """The due time, or the whole day, is past."""
    timed = Q(due_at__isnull=False, due_at__lt=now)
    whole_day = Q(due_at=None, due_date__isnull=False, due_date__lt=today)
    return timed | whole_day
