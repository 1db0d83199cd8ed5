"""The query parameters of the task list, and the page that they describe."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from config.database.queries import Compiled, Given, Query
from config.http.fields import MAX_INSTANT, ChoiceField, DateField, InstantField, ListField, TextField
from config.http.pagination import Cursor
from config.http.problems import InvalidParameter
from config.http.serializers import QuerySerializer
from config.values import MAX_SEARCH
from tasks.choices import Priority, Sort, Status
from tasks.models import MAX_TAG, MAX_TAGS, Task
from tasks.querysets import NEAR, TaskQuerySet, sort_key
from users.models import User

ALL = "all"
DEFAULT_LIMIT = 100
MAX_LIMIT = 200
MAX_OFFSET = 10_000
MAX_CURSOR = 4096
MAX_STATUSES = 1000  # characters
DEFAULT_SORT = f"-{Sort.CREATED}"
_PLACE = ("after_1", "after_2", "after_3")  # the members of a row's key, and its id


@extend_schema_field(OpenApiTypes.BOOL)
class FlagField(ChoiceField):
    """`true` or `false`, as a query parameter."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=["true", "false"], **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        return bool(super().to_internal_value(data) == "true")


# Typed clients get an array; on the wire it is one parameter with commas, or a repeated one.
_STATUSES = {"type": "array", "items": {"type": "string", "enum": [*Status.values, ALL]}, "minItems": 1}
STATUS = OpenApiParameter(
    "status", _STATUSES, description="Any of these; `all`, alone, is all of them.", style="form", explode=False
)


@extend_schema_field(_STATUSES)
class StatusesField(serializers.Field):
    """One status, several with commas or by repetition, or `all`."""

    default_error_messages = {"invalid_choice": "Use {known}, several with commas, or all."}

    def to_internal_value(self, data: Any) -> Any:
        if sum(map(len, data)) > MAX_STATUSES:
            self.fail("invalid_choice", known=", ".join(Status.values))
        statuses = [status.strip() for status in ",".join(data).split(",")]
        if statuses == [ALL]:
            return tuple(Status.values)
        if not set(statuses) <= set(Status.values):
            self.fail("invalid_choice", known=", ".join(Status.values))
        return tuple(sorted(set(statuses)))


class CountField(serializers.IntegerField):
    """A whole number in ASCII digits."""

    def to_internal_value(self, data: Any) -> int:
        if not (len(data) <= 9 and data.isascii() and data.isdecimal()):
            self.fail("invalid")
        return int(data)


class CursorField(TextField):
    default_error_messages = {"invalid_cursor": "Take the cursor from the Link header, unchanged."}

    def to_internal_value(self, data: Any) -> Any:
        try:
            return Cursor.decode(super().to_internal_value(data))
        except ValueError:
            self.fail("invalid_cursor")


class MomentField(InstantField):
    """A moment; many clients forget that "+" is a space in a query."""

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(data.replace(" ", "+") if len(data) <= MAX_INSTANT else data)


_SORTS = {sort: sort for sort in Sort.values} | {"created_at": Sort.CREATED, "updated_at": Sort.UPDATED}


class SortField(ChoiceField):
    """An order of the list; that by a member may go by the member's own name."""

    def __init__(self, **kwargs: Any) -> None:
        names = {direction + name: direction + sort for name, sort in _SORTS.items() for direction in ("", "-")}
        super().__init__(choices=list(names), **kwargs)
        self._names = names

    def to_internal_value(self, data: Any) -> Any:
        return self._names[super().to_internal_value(data)]


class Order(NamedTuple):
    sort: Sort
    descending: bool

    @classmethod
    def parse(cls, text: str) -> "Order":
        return cls(Sort(text.removeprefix("-")), text.startswith("-"))


FILTERS: dict[str, Callable[[TaskQuerySet, Any], TaskQuerySet]] = {
    "status": TaskQuerySet.with_status,
    "completed": lambda tasks, wanted: tasks.completed() if wanted else tasks.not_completed(),
    "priority": TaskQuerySet.with_priority,
    "tag": TaskQuerySet.with_tags,
    "due_before": TaskQuerySet.due_before,
    "due_after": TaskQuerySet.due_after,
    "search": TaskQuerySet.matching,
    "updated_since": TaskQuerySet.updated_since,
}


class TaskListQuery(QuerySerializer):
    repeatable = frozenset({"status", "tag"})
    filters = frozenset({*FILTERS, "overdue"})

    status = StatusesField(required=False)
    completed = FlagField(required=False, help_text="Whether the status is completed.")
    priority = ChoiceField(choices=Priority.choices, required=False, help_text="Only this priority.")
    tag = ListField(
        child=TextField(max_length=MAX_TAG),
        max_length=MAX_TAGS,
        required=False,
        help_text="In any case; repeat it: all must match.",
    )
    due_before = DateField(required=False, help_text="Due on an earlier day than this one.")
    due_after = DateField(required=False, help_text="Due on a later day than this one.")
    overdue = FlagField(required=False, help_text="Open and past its due, in your time zone.")
    search = TextField(
        required=False,
        allow_blank=True,
        max_length=MAX_SEARCH,
        help_text="Every word must occur in title, description or tags, as a substring, in any case, with or without "
        "accents, and in any script's digits.",
    )
    updated_since = MomentField(
        required=False, help_text="Changed at this moment or later; does not tell of deleted tasks."
    )
    sort = SortField(
        default=DEFAULT_SORT,
        help_text="A leading - reverses; ties go by id, nulls come last; low priority is less than high; within a day, "
        "due_date goes by due_at, and whole days come after it.",
    )
    limit = CountField(min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT, help_text="Tasks per page.")
    offset = CountField(
        min_value=0, max_value=MAX_OFFSET, default=0, help_text="How many to skip; the Link header's cursor is quicker."
    )
    cursor = CursorField(required=False, max_length=MAX_CURSOR, help_text="From the Link header; not with offset.")
    total = FlagField(required=False, help_text="Answer X-Total-Count.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs["order"] = Order.parse(attrs["sort"])
        if "tag" in attrs:
            attrs["tag"] = tuple(attrs["tag"])  # can be remembered
        if cursor := attrs.get("cursor"):
            if attrs["offset"]:
                raise _invalid("offset", "A cursor says where to continue; leave offset out.")
            if cursor.sort != attrs["sort"]:
                raise _invalid("cursor", "The cursor belongs to another sort order; take it from the Link header.")
            attrs["after"] = _place(cursor, attrs["order"])
        return attrs


def _place(cursor: Cursor, order: Order) -> tuple[Any, ...]:
    """The key and the id of the row that the cursor stands for."""
    try:
        return *sort_key(order.sort, descending=order.descending).parse(cursor.key), cursor.id
    except ValueError as error:
        raise _invalid("cursor", "Take the cursor from the Link header, unchanged.") from error


def _invalid(parameter: str, message: str) -> InvalidParameter:
    return InvalidParameter({parameter: [ErrorDetail(message, code="invalid")]})


def rows(user_id: int, query: Mapping[str, Any], **clock: Any) -> Query[Task]:
    """The tasks of a page, and one more, which tells whether there is a next page."""
    shared = tuple(item for item in query.items() if item[0] not in ("cursor", "after"))
    place = dict(zip(_PLACE, query.get("after", ()), strict=False))
    return _compiled(shared, len(place)).given(user=user_id, **place, **clock)


def clock(user: User, query: Mapping[str, Any]) -> dict[str, Any]:
    """What a query means by now and by today, if it does: today is the user's."""
    if "overdue" not in query:
        return {}
    now = timezone.now()
    today = now.astimezone(user.zone).date()
    return {"now": now, "today": today, "near": today + NEAR}


def next_page(found: list[Task], query: Mapping[str, Any]) -> Cursor | None:
    limit = query["limit"]
    if len(found) <= limit:
        return None
    last = found[limit - 1]
    sort, descending = query["order"]
    return Cursor(query["sort"], sort_key(sort, descending=descending).to_text(last), last.pk)


def count(user: User, query: Mapping[str, Any], **clock: Any) -> int:
    """How many tasks all pages have."""
    return _filtered(Task.objects.for_user(user), query, **clock).count()


@lru_cache(maxsize=1024)
def _compiled(shared: tuple[tuple[str, Any], ...], width: int) -> Compiled[Task]:
    """What the rows of a page have in common with those of other users, and of other pages; the first one continues
    at no place."""
    return Compiled(lambda: _tasks_of(dict(shared), _PLACE[:width]))


def _tasks_of(query: dict[str, Any], place: Sequence[str]) -> TaskQuerySet:
    sort, descending = query["order"]
    tasks = _filtered(Task.objects.for_user(Given("user")), query, now=Given("now"), today=Given("today"))
    if place:
        tasks = tasks.after(sort, [Given(name) for name in place], descending=descending)
    start, limit = query["offset"], query["limit"]
    return tasks.shown().sorted_by(sort, descending=descending)[start : start + limit + 1]


def _filtered(tasks: TaskQuerySet, query: Mapping[str, Any], **clock: Any) -> TaskQuerySet:
    tasks = tasks.visible()
    for name, narrow in FILTERS.items():
        if name in query:
            tasks = narrow(tasks, query[name])
    if "overdue" in query:
        narrow_overdue = TaskQuerySet.overdue if query["overdue"] else TaskQuerySet.not_overdue
        tasks = narrow_overdue(tasks, clock["now"], clock["today"])
    return tasks
