"""Query parameters of every list, and the page of rows that they select."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from config.database.queries import Compiled, Param, Query, run_pair
from config.http.errors import InvalidParameter
from config.http.fields import MAX_INSTANT, ChoiceField, InstantField, TextField
from config.http.pagination import Cursor
from config.http.serializers import QuerySerializer
from users.resources import feed
from users.resources.models import OwnedModel
from users.resources.querysets import OwnedQuerySet, SortKey
from users.tokens.callers import Actor

DEFAULT_LIMIT = 100
MAX_LIMIT = 200
MAX_OFFSET = 10_000
MAX_CURSOR = 4096
DEFAULT_SORT = "-created"
_SIGNED = re.compile(r"-?[0-9]{1,10}")
_UNSHARED = frozenset({"cursor", "after"})


@extend_schema_field(OpenApiTypes.BOOL)
class FlagField(ChoiceField):
    """A boolean query parameter, `true` or `false`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=["true", "false"], **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        return bool(super().to_internal_value(data) == "true")


class CountField(serializers.IntegerField):
    """A whole number in ASCII digits."""

    def to_internal_value(self, data: Any) -> int:
        if not (len(data) <= 9 and data.isascii() and data.isdecimal()):
            self.fail("invalid")
        return int(data)


class NumberField(serializers.IntegerField):
    """The same with a sign."""

    def to_internal_value(self, data: Any) -> int:
        if not _SIGNED.fullmatch(data):
            self.fail("invalid")
        return int(data)


class CursorField(TextField):
    decode: ClassVar[Any] = Cursor.decode  # raises ValueError
    default_error_messages = {"invalid_cursor": "Take the cursor from the Link header, unchanged."}

    def to_internal_value(self, data: Any) -> Any:
        try:
            return self.decode(super().to_internal_value(data))
        except ValueError:
            self.fail("invalid_cursor")


class MomentField(InstantField):
    """An instant; a space is read as "+", which many clients send unescaped."""

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(data.replace(" ", "+") if len(data) <= MAX_INSTANT else data)


class SortField(ChoiceField):
    """A sort order; `created_at` and `updated_at` are aliases of `created` and `updated`."""

    def __init__(self, sorts: Sequence[str], **kwargs: Any) -> None:
        by_name = {sort: sort for sort in sorts} | {f"{sort}_at": sort for sort in ("created", "updated")}
        names = {direction + name: direction + sort for name, sort in by_name.items() for direction in ("", "-")}
        super().__init__(choices=list(names), **{"default": DEFAULT_SORT, **kwargs})
        self._names = names

    def to_internal_value(self, data: Any) -> Any:
        return self._names[super().to_internal_value(data)]


class Bound(NamedTuple):
    """The value of a filter that is a parameter of the compiled query, which so serves all values."""

    value: Any


class Order(NamedTuple):
    sort: str
    descending: bool

    @classmethod
    def parse(cls, text: str) -> "Order":
        return cls(text.removeprefix("-"), text.startswith("-"))


class ListQuery(QuerySerializer):
    """Subclasses declare their model, their `sort`, and a parameter per filter."""

    model: ClassVar[type[OwnedModel]]
    # Filters by parameter; their values are hashable, as the compiled query is cached by them unless they are Bound.
    narrowing: ClassVar[Mapping[str, Callable[[Any, Any], Any]]] = {"updated_since": OwnedQuerySet.updated_since}
    described: ClassVar[tuple[OpenApiParameter, ...]] = ()  # OpenAPI, in place of what the fields generate

    updated_since = MomentField(required=False)
    sort = SortField(["created", "updated"], help_text="A leading - reverses; ties go by id.")
    limit = CountField(min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT)
    offset = CountField(
        min_value=0, max_value=MAX_OFFSET, default=0, help_text="How many to skip; the Link header's cursor is quicker."
    )
    cursor = CursorField(required=False, max_length=MAX_CURSOR, help_text="From the Link header; not with offset.")
    total = FlagField(required=False, help_text="Answer X-Total-Count.")

    def __init_subclass__(cls) -> None:
        """The subclass's own parameters come first, in messages and in the OpenAPI document."""
        fields, plural = cls._declared_fields, cls.model._meta.verbose_name_plural
        own = [name for name in fields if name not in ListQuery._declared_fields]
        cls._declared_fields = {name: fields[name] for name in (*own, *ListQuery._declared_fields)} | {
            "updated_since": MomentField(
                required=False, help_text=f"Changed at this moment or later; does not tell of deleted {plural}."
            ),
            "limit": CountField(
                min_value=1,
                max_value=MAX_LIMIT,
                default=DEFAULT_LIMIT,
                help_text=f"{str(plural).capitalize()} per page.",
            ),
        }
        cls.filters = frozenset({*cls.filters, *cls.narrowing})

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs["order"] = Order.parse(attrs["sort"])
        cursor: Cursor | None = attrs.get("cursor")
        if cursor is None:
            return attrs
        if attrs["offset"]:
            raise _invalid("offset", "A cursor says where to continue; leave offset out.")
        if cursor.sort != attrs["sort"]:
            raise _invalid("cursor", "The cursor belongs to another sort order; take it from the Link header.")
        try:
            key = self._sort_key(attrs).parse(cursor.key)
        except ValueError as error:
            raise _invalid("cursor", "Take the cursor from the Link header, unchanged.") from error
        attrs["after"] = (*key, cursor.id)
        return attrs

    @classmethod
    def _queryset(cls) -> OwnedQuerySet[Any]:
        rows: OwnedQuerySet[Any] = cls.model.objects.all()
        return rows

    @classmethod
    def clock(cls, user: Actor, query: Mapping[str, Any]) -> dict[str, Any]:
        """The values of `now` and `today`, for queries whose result depends on the clock."""
        return {}

    @classmethod
    def narrowed(cls, user: Actor | Param, query: Mapping[str, Any], **clock: Any) -> Any:
        rows: Any = cls._queryset().for_user(user).visible()
        for name, narrow in cls.narrowing.items():
            if name in query:
                rows = narrow(rows, query[name])
        return rows

    @classmethod
    def page(
        cls, user: Actor, query: Mapping[str, Any], columns: tuple[str, ...], **clock: Any
    ) -> tuple[int, list[tuple[Any, ...]]]:
        """The change counter and the `rows`, in one message.

        The counter is read before the rows, so that a concurrent change makes it too old, never too new. Raises what
        `Caller.verify` raises.
        """
        while True:
            versions, found = run_pair(feed.version(user), cls.rows(user.pk, query, columns, **clock))
            if versions:
                return versions[0][0], found
            feed.explain(user)

    @classmethod
    def rows(cls, user_id: int, query: Mapping[str, Any], columns: tuple[str, ...], **clock: Any) -> Query[Any]:
        """The rows of a page as tuples that begin with these columns, and one more if there is a next page."""
        bound = {name: sent.value for name, sent in query.items() if isinstance(sent, Bound)}
        shared = tuple(
            (name, Param(name) if name in bound else sent) for name, sent in query.items() if name not in _UNSHARED
        )
        place = {f"after_{number}": each for number, each in enumerate(query.get("after", ()))}
        return cls._compiled(shared, columns, len(place)).given(user=user_id, **bound, **place, **clock)

    @classmethod
    def next_page(
        cls, found: Sequence[tuple[Any, ...]], query: Mapping[str, Any], columns: tuple[str, ...]
    ) -> Cursor | None:
        limit = query["limit"]
        if len(found) <= limit:
            return None
        key = cls._sort_key(query)
        last = SimpleNamespace(**dict(zip((*columns, *key.columns), found[limit - 1], strict=True)))
        return Cursor(query["sort"], key.to_text(last), last.id)

    @classmethod
    def _sort_key(cls, query: Mapping[str, Any]) -> SortKey:
        sort, descending = query["order"]
        return cls._queryset().sort_key(sort, descending=descending)

    @classmethod
    def count(cls, user: Actor, query: Mapping[str, Any], **clock: Any) -> int:
        """How many rows all pages have."""
        values = {name: sent.value if isinstance(sent, Bound) else sent for name, sent in query.items()}
        return int(cls.narrowed(user, values, **clock).count())

    @classmethod
    @lru_cache(maxsize=1024)
    def _compiled(cls, shared: tuple[tuple[str, Any], ...], columns: tuple[str, ...], width: int) -> Compiled[Any]:
        """The query compiled without user, clock and cursor, cached; `width` is the cursor's, 0 for the first page."""
        return Compiled(lambda: cls._page(dict(shared), columns, width))

    @classmethod
    def _page(cls, query: dict[str, Any], columns: tuple[str, ...], width: int) -> OwnedQuerySet[Any]:
        sort, descending = query["order"]
        clock = {name: Param(name) for name in ("now", "today")}
        rows: OwnedQuerySet[Any] = cls.narrowed(Param("user"), query, **clock)
        if width:
            place = [Param(f"after_{number}") for number in range(width)]
            rows = rows.after(sort, place, descending=descending)
        start, limit = query["offset"], query["limit"]
        page = rows.sorted_by(sort, descending=descending)[start : start + limit + 1]
        return page.columns((*columns, *cls._sort_key(query).columns))


def _invalid(parameter: str, message: str) -> InvalidParameter:
    return InvalidParameter({parameter: [ErrorDetail(message, code="invalid")]})
