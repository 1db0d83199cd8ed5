"""Sort orders of usual columns: text, numbers, dates and instants; where there is nothing, last in both directions."""

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.db.models import F, Func

from users.resources.querysets import SortKey, parse_instant

Keys = dict[str, SortKey]
_WHOLE, _NUMBER = re.compile(r"-?[0-9]{1,10}"), re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,20})?")
# Beyond all values: of an integer column, and of a numeric one.
_FAR, _FARTHEST = 10**10, Decimal(10**30)


def by_text(name: str) -> Keys:
    """By the column `{name}_key`, which is folded in Python, so that the order does not depend on the server's."""
    column = f"{name}_key"
    return {name: SortKey((F(column),), lambda row: str(getattr(row, column)), lambda text: (text,), columns=(column,))}


def by_int(name: str, *, null: bool = False) -> Keys:
    return _keys(name, str, _parse_int, null, (-_FAR, str(-_FAR)), (_FAR, str(_FAR)))


def by_decimal(name: str, *, null: bool = False) -> Keys:
    return _keys(name, str, _parse_decimal, null, (-_FARTHEST, f"{-_FARTHEST}"), (_FARTHEST, f"{_FARTHEST}"))


def by_date(name: str, *, null: bool = False) -> Keys:
    first, last = dt.date.min, dt.date.max
    parse = dt.date.fromisoformat
    return _keys(name, str, parse, null, (first, f"DATE '{first}'"), (last, f"DATE '{last}'"))


def by_instant(name: str, *, null: bool = False) -> Keys:
    first, last = dt.datetime(1, 1, 3, tzinfo=dt.UTC), dt.datetime(9999, 12, 29, tzinfo=dt.UTC)
    ends = [(each, f"TIMESTAMPTZ '{each.isoformat().zfill(25)}'") for each in (first, last)]
    return _keys(name, lambda value: str(value.isoformat()), parse_instant, null, *ends)


def _keys(
    name: str,
    to_text: Callable[[Any], str],
    parse: Callable[[str], Any],
    null: bool,
    first: tuple[Any, str],
    last: tuple[Any, str],
) -> Keys:
    def text_of(row: Any) -> str | None:
        value = getattr(row, name)
        return None if value is None else to_text(value)

    def key(expression: Any, absent: tuple[Any, ...] | None) -> SortKey:
        return SortKey((expression,), text_of, lambda text: (parse(text),), absent, columns=(name,))

    if not null:
        return {name: key(F(name), None)}
    # CASE, as COALESCE is not leakproof: behind row level security, only leakproof expressions use an index.
    template = "(CASE WHEN %(expressions)s IS NULL THEN {} ELSE %(expressions)s END)"
    return {
        f"{sign}{name}": key(Func(F(name), template=template.format(sql)), (value,))
        for sign, (value, sql) in (("", last), ("-", first))
    }


def _parse_int(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError("not a whole number")
    return int(text)


def _parse_decimal(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a number")
    return Decimal(text)
