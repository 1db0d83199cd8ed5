"""The QuerySet of every resource, and the sort orders of its list."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeVar, cast

from django.db.models import (
    BooleanField,
    Exists,
    F,
    Field,
    Func,
    Model,
    OrderBy,
    OuterRef,
    QuerySet,
    TextField,
    Value,
)
from django.db.models.functions import StrIndex
from django.db.models.lookups import GreaterThan, LessThan

from config.database.queries import Param

if TYPE_CHECKING:
    from users.tokens.callers import Actor

R = TypeVar("R", bound=Model)


class SortKey(NamedTuple):
    """A sort order: its expressions, and how a row's key is written to and read from a cursor."""

    expressions: tuple[Any, ...]
    to_text: Callable[[Any], str | None]
    # The values of the expressions. Raises ValueError for text that `to_text` cannot have written.
    from_text: Callable[[str], tuple[Any, ...]]
    absent: tuple[Any, ...] | None = None  # the values where `to_text` is None
    columns: tuple[str, ...] = ()  # that `to_text` reads and no answer shows

    def parse(self, text: str | None) -> tuple[Any, ...]:
        """Raises ValueError for text that `to_text` cannot have written."""
        if text is not None:
            return self.from_text(text)
        if self.absent is None:
            raise ValueError("this key is never null")
        return self.absent


def parse_instant(text: str) -> dt.datetime:
    """An instant of a cursor. Raises ValueError."""
    instant = dt.datetime.fromisoformat(text)
    if instant.tzinfo != dt.UTC:  # PostgreSQL rejects some offsets that Python accepts
        raise ValueError("not in UTC")
    return instant


CREATED = SortKey((F("created_at"),), lambda row: row.created_at.isoformat(), lambda text: (parse_instant(text),))
UPDATED = SortKey((F("updated_at"),), lambda row: row.updated_at.isoformat(), lambda text: (parse_instant(text),))


def as_json(column: str, empty: str = "{}") -> Func:
    """A column of JSON as text, which needs no parsing to be sent; null for what is empty."""
    return Func(F(column), template=f"NULLIF(%(expressions)s, '{empty}'::jsonb)::text", output_field=TextField())


class OwnedQuerySet(QuerySet[R]):
    """Reads of a resource's rows. The methods read as adjectives and can be chained in any order."""

    # By name; an order with nulls, which are last in both directions, has another key downwards, as `-due`.
    sort_keys: ClassVar[Mapping[str, SortKey]] = {"created": CREATED, "updated": UPDATED}

    def for_user(self, user: "Actor | Param") -> Self:
        """The first wall: every read begins here."""
        return self.filter(user=user if isinstance(user, Param) else user.pk)

    def visible(self) -> Self:
        """Without tombstones."""
        return self.filter(deleted_at=None)

    def deleted(self) -> Self:
        """Tombstones."""
        return self.exclude(deleted_at=None)

    def trashed(self) -> Self:
        """Tombstones that can be restored."""
        return self.deleted().filter(erased_at=None)

    def light(self, *more: str) -> Self:
        """Without content but for `more`: of thousands of rows, texts may be gigabytes. What deletion and references
        need."""
        model: Any = self.model
        references = (each.attname for each in (*model.references(), *model.many()))
        return self.only("user_id", "uid", "version", "deleted_at", *references, *more)

    def referring_to(self, name: str, pk: "int | Param") -> Self:
        """By References of this name."""
        pairs = self.model._meta.get_field(name).pairs.objects  # type: ignore[union-attr]
        return self.filter(Exists(pairs.filter(user=OuterRef("user"), row_id=OuterRef("pk"), target_id=pk)))

    def updated_since(self, instant: dt.datetime) -> Self:
        return self.filter(updated_at__gte=instant)

    def containing(self, words: Iterable[str]) -> Self:
        """Every word occurs in `search_text`, which is folded as they are."""
        found = self
        for number, word in enumerate(words):
            # strpos() takes the word as it is, where LIKE would need its wildcards escaped.
            name = f"_word_{number}"
            found = found.alias(**{name: StrIndex("search_text", Value(word))}).filter(**{f"{name}__gt": 0})
        return found

    def columns(self, names: Iterable[str]) -> Self:
        """Rows of columns and of the model's `expressions`, as tuples."""
        expressions: Mapping[str, Any] = getattr(self.model, "expressions", {})
        return cast(Self, self.values_list(*(expressions.get(name, name) for name in names)))

    @classmethod
    def sort_key(cls, sort: str, *, descending: bool) -> SortKey:
        downwards = f"-{sort}"
        return cls.sort_keys[downwards if descending and downwards in cls.sort_keys else sort]

    def sorted_by(self, sort: str, *, descending: bool) -> Self:
        """Nulls are last in both directions; ties are sorted by id, in the same direction."""
        key = self.sort_key(sort, descending=descending)
        return self.order_by(*(OrderBy(each, descending=descending) for each in (*key.expressions, F("id"))))

    def after(self, sort: str, place: Sequence[Any], *, descending: bool) -> Self:
        """Keyset pagination: the rows after `place`, the key and id of a row, in the order of `sorted_by`."""
        return self.filter(
            comes_after(place, *self.sort_key(sort, descending=descending).expressions, F("id"), descending=descending)
        )


def comes_after(place: Sequence[Any], *members: Any, descending: bool) -> LessThan | GreaterThan:
    """Whether the members, as a row, come after `place`; an index on them is entered there."""
    row, last = _row(*members), _row(*(each if isinstance(each, Param) else Value(each) for each in place))
    return LessThan(row, last) if descending else GreaterThan(row, last)


def one_of(member: str, array: Any) -> Func:
    """Whether the member is in an array, which is made once; a join with its rows might be planned for too few."""
    parts = {"template": "(%(expressions)s))", "arg_joiner": " = ANY("}
    return Func(F(member), array, output_field=BooleanField(), **parts)


def _row(*members: Any) -> Func:
    return Func(*members, function="ROW", output_field=Field())
