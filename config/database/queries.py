"""Compiled querysets: the SQL is built once, and run with other parameters each time.

Django builds the SQL of a queryset whenever it runs, which takes longer than PostgreSQL and the network need for a row.
The queries of every request are compiled here.
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
    """A parameter of a compiled queryset; its value is given when the query runs."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]


class Compiled(Generic[M]):
    """A queryset whose SQL is built once; thread-safe. `build` is called at the first use, when models are loaded."""

    def __init__(self, build: Callable[[], QuerySet[M]]) -> None:
        self._build = build

    def given(self, **values: Any) -> "Query[M]":
        """The query with a value for each Param; others are ignored."""
        return Query(self, values)

    @cached_property
    def select(self) -> "_Select":
        rows: Any = self._build()
        compiler: Any = rows.query.get_compiler(DEFAULT_DB_ALIAS)
        sql, params = compiler.as_sql()
        columns = [expression for expression, *_ in compiler.select]
        # Rows are binary, in which psycopg reads JSON itself.
        if compiler.get_converters([each for each in columns if not isinstance(each.output_field, models.JSONField)]):
            raise NotImplementedError("Fields whose values Django converts are not read this way.")
        if rows._fields is not None:  # values_list()
            return _Select(sql, params, None, [], [])
        info = compiler.klass_info
        names = [columns[index].target.attname for index in info["select_fields"]]
        related = get_related_populators(info, compiler.select, DEFAULT_DB_ALIAS)  # type: ignore[call-arg]  # Django 6
        return _Select(sql, params, info["model"], names, related)


@dataclass(frozen=True)
class Query(Generic[M]):
    """A compiled queryset with its parameters, not run yet."""

    compiled: Compiled[M]
    values: dict[str, Any]

    @property
    def statement(self) -> Sql:
        sql, params, *_ = self.compiled.select
        return sql, [self.values[param.name] if isinstance(param, Param) else param for param in params]

    def result(self, rows: Rows) -> list[M]:
        _, _, model, names, related = self.compiled.select
        if model is None:
            return rows  # type: ignore[return-value]  # a queryset of values is one of tuples
        width, from_db = len(names), model.from_db
        instances: list[Any] = [from_db(DEFAULT_DB_ALIAS, names, row[:width]) for row in rows]
        for each in related:
            for row, instance in zip(rows, instances, strict=True):
                each.populate(row, instance)
        return instances


@dataclass(frozen=True)
class Raw:
    """A statement in SQL with its parameters, not run yet."""

    sql: str
    params: Sequence[Any]

    @property
    def statement(self) -> Sql:
        return self.sql, self.params

    def result(self, rows: Rows) -> list[Any]:
        return rows


class Statement(Protocol[R_co]):
    """A Query or a Raw, and how its rows are read."""

    @property
    def statement(self) -> Sql: ...

    def result(self, rows: Rows) -> R_co: ...


def run(query: Statement[R], *, commit: bool = False) -> R:
    """Run a statement; with `commit`, its transaction is committed in the same message."""
    database: Any = connections[DEFAULT_DB_ALIAS]
    (rows,) = database.run(query.statement, commit=commit)
    return query.result(rows)


def run_all(queries: Sequence[Statement[Any]], *, commit: bool = False) -> list[Any]:
    """Run statements in one message, each after the one before; `commit` as `run` does."""
    database: Any = connections[DEFAULT_DB_ALIAS]
    found = database.run(*(query.statement for query in queries), commit=commit)
    return [query.result(rows) for query, rows in zip(queries, found, strict=True)]


def run_pair(first: Statement[R], second: Statement[S]) -> tuple[R, S]:
    """Run two statements in one message, and so in one round trip."""
    database: Any = connections[DEFAULT_DB_ALIAS]
    rows, more = database.run(first.statement, second.statement)
    return first.result(rows), second.result(more)


class _Select(NamedTuple):
    """The SQL of a compiled queryset, and how its rows become instances."""

    sql: str
    params: tuple[Any, ...]
    model: type[models.Model] | None  # None for rows of values_list(), which stay tuples
    names: list[str]  # of the model's columns, which come first in a row
    related: list[Any]  # the populators of select_related
