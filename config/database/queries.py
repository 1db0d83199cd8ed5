"""Querysets that are compiled once, and run with other values each time.

Django makes the SQL of a queryset anew whenever it runs, which takes longer than PostgreSQL and the network need for
a row. What a request always asks is asked through this.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models import Expression, QuerySet
from django.db.models.query import get_related_populators

from config.database.pipeline import Rows, Sql

M = TypeVar("M", bound=models.Model)
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")


class Param(Expression):
    """Stands in a queryset for a value that is known when the query runs."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]


class Compiled(Generic[M]):
    """Thread-safe. `build` is called once, when the models are there."""

    def __init__(self, build: Callable[[], QuerySet[M]]) -> None:
        self._build = build

    def given(self, **values: Any) -> "Query[M]":
        """With a value for each Param; more may be named than there are."""
        return Query(self, values)

    @cached_property
    def select(self) -> "_Select":
        compiler: Any = self._build().query.get_compiler(DEFAULT_DB_ALIAS)
        sql, params = compiler.as_sql()
        columns = [expression for expression, *_ in compiler.select]
        if compiler.get_converters(columns):
            raise NotImplementedError("Fields whose values Django converts are not read this way.")
        info = compiler.klass_info
        names = [columns[index].target.attname for index in info["select_fields"]]
        related = get_related_populators(info, compiler.select, DEFAULT_DB_ALIAS)  # type: ignore[call-arg]  # Django 6
        return _Select(sql, params, info["model"], names, related)


@dataclass(frozen=True)
class Query(Generic[M]):
    """A compiled queryset with its values, which has not been run yet."""

    compiled: Compiled[M]
    values: dict[str, Any]

    @property
    def statement(self) -> Sql:
        sql, params, *_ = self.compiled.select
        return sql, [self.values[param.name] if isinstance(param, Param) else param for param in params]

    def result(self, rows: Rows) -> list[M]:
        return self.compiled.select.instances(rows)


@dataclass(frozen=True)
class Raw:
    """A statement in SQL, which has not been run yet."""

    sql: str
    params: Sequence[Any]

    @property
    def statement(self) -> Sql:
        return self.sql, self.params

    def result(self, rows: Rows) -> list[Any]:
        return rows


class Statement(Protocol[R_co]):
    """Either of the two."""

    @property
    def statement(self) -> Sql: ...

    def result(self, rows: Rows) -> R_co: ...


def run(asked: Statement[R], *, commit: bool = False) -> R:
    """With the COMMIT, where it is the last of its transaction."""
    (rows,) = _database().run(asked.statement, commit=commit)
    return asked.result(rows)


def run_pair(first: Statement[R], second: Statement[S]) -> tuple[R, S]:
    """Runs two, the second one after the first, in one message and so in one round trip."""
    rows, more = _database().run(first.statement, second.statement)
    return first.result(rows), second.result(more)


def _database() -> Any:
    return connections[DEFAULT_DB_ALIAS]


class _Select(NamedTuple):
    """A statement, and how its rows become instances."""

    sql: str
    params: tuple[Any, ...]
    model: type[models.Model]
    names: list[str]  # of the model's columns, which come first in a row
    related: list[Any]  # what select_related asks for

    def instances(self, rows: Rows) -> list[Any]:
        width, from_db = len(self.names), self.model.from_db
        instances = [from_db(DEFAULT_DB_ALIAS, self.names, row[:width]) for row in rows]
        for each in self.related:
            for row, instance in zip(rows, instances, strict=True):
                each.populate(row, instance)
        return instances
