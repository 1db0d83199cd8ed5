"""SQL of the most frequent requests, compiled once per model: reads from QuerySets, writes from its columns."""

import re
from collections.abc import Sequence
from functools import cache, cached_property, lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from config.database.pipeline import Rows, Sql
from config.database.queries import Compiled, Param, Query, Raw
from config.http.json import to_json
from users.resources import log
from users.resources.models import OwnedModel
from users.resources.querysets import OwnedQuerySet, one_of
from users.tokens.callers import Actor, standing_of

R = TypeVar("R", bound=OwnedModel)


class Lookup(NamedTuple, Generic[R]):
    """A query of one row, joined to the standing of an actor: so one who may not act is told from a missing row."""

    query: Query[R]
    actor: Actor

    @property
    def statement(self) -> Sql:
        sql, params = self.query.statement
        tables, condition, standing = standing_of(self.actor)
        return _joined(tables, condition, sql), [*params, *standing]

    def result(self, rows: Rows) -> list[R | None]:
        """Empty if the actor may not act, None in place of a row that does not exist."""
        return [self.query.result([row])[0] if row[0] is not None else None for row in rows]


@lru_cache(maxsize=1024)
def _joined(tables: str, condition: str, sql: str) -> str:
    return f"SELECT found.* FROM {tables} LEFT JOIN LATERAL ({sql}) AS found ON true WHERE {condition}"  # nosec B608


class Locking(NamedTuple, Generic[R]):
    """A statement for `feed.advance`: returns the number and, if it exists, the locked row."""

    query: Query[R]

    @property
    def statement(self) -> Sql:
        sql, params = self.query.statement
        locked = f" SELECT taken.head, found.* FROM taken LEFT JOIN LATERAL ({sql}) AS found ON true"  # nosec B608
        return locked, params

    def result(self, rows: Rows) -> list[tuple[int, R | None]]:
        return [(row[0], self.query.result([row[1:]])[0] if row[1] else None) for row in rows]


class Statements(Generic[R]):
    """The statements of one model, whose fields are named as their columns."""

    def __init__(self, model: type[R]) -> None:
        self._model = model
        self._table = model._meta.db_table
        self._row = Compiled(lambda: self._of_user().visible().filter(pk=Param("id")))
        self._visible = Compiled(lambda: _locked(self._of_user().visible()))
        self._trashed = Compiled(lambda: _locked(self._of_user().trashed()))
        self._changed = Compiled(self._compile_changed)
        self._shown = lru_cache(maxsize=16)(self._compile_shown)
        self._update_sql = lru_cache(maxsize=256)(self._make_update)
        self._update_each_sql = lru_cache(maxsize=64)(self._make_update_each)
        self._compare_and_set_sql = lru_cache(maxsize=256)(self._make_compare_and_set)

    def _of_user(self) -> OwnedQuerySet[R]:
        rows: OwnedQuerySet[R] = self._model.objects.for_user(Param("user"))
        return rows

    def _compile_changed(self) -> OwnedQuerySet[R]:
        entries = log.of_operation(Param("user"), Param("operation")).filter(type=self._model.type_name())
        changed = one_of("pk", ArraySubquery(entries.values("object_id")))
        return self._of_user().filter(changed, erased_at=None).select_for_update().order_by("pk")

    def _compile_shown(self, columns: tuple[str, ...], by: str) -> Compiled[Any]:
        return Compiled(lambda: self._of_user().visible().filter(**{by: Param("key")}).columns(columns))

    def show(self, actor: Actor, key: int | str, columns: tuple[str, ...], by: str) -> Lookup[Any]:
        """A row, by its id or its uid, as a tuple of these columns, the first of them the id."""
        return Lookup(self._shown(columns, by).given(user=actor.pk, key=key), actor)

    def read(self, actor: Actor, pk: int) -> Lookup[R]:
        """A row as an instance."""
        return Lookup(self._row.given(user=actor.pk, id=pk), actor)

    def lock(self, user_id: int, pk: int) -> Locking[R]:
        return Locking(self._visible.given(user=user_id, id=pk))

    def lock_trashed(self, user_id: int, pk: int) -> Locking[R]:
        return Locking(self._trashed.given(user=user_id, id=pk))

    def changed_by(self, user_id: int, operation: int) -> Query[R]:
        """The rows that an operation has changed, FOR UPDATE; without those that are erased."""
        return self._changed.given(user=user_id, operation=operation)

    def insert(self, row: R, entry: Sequence[Any]) -> Raw:
        """A statement for `feed.advance`: returns the number and the new row's id."""
        sql, names = self._insertion
        return Raw(sql, [*(getattr(row, name) for name in names), *entry])

    def update(self, row: R, fields: Sequence[str], entry: Sequence[Any]) -> Raw:
        """The change of a locked row."""
        values = [getattr(row, name) for name in fields]
        return Raw(self._update_sql(tuple(fields)), [*values, row.pk, row.user_id, *entry])

    def compare_and_set(self, row: R, fields: Sequence[str], entry: Sequence[Any]) -> Raw:
        """A statement for `feed.take`: changes the row if it is still visible and at its version; returns the new one.

        The row is found again after the wait for the feed's lock, and then compared again.
        """
        values = [getattr(row, name) for name in fields]
        return Raw(self._compare_and_set_sql(tuple(fields)), [*values, row.pk, row.user_id, row.version, *entry])

    def update_each(self, user_id: int, rows: Sequence[R], fields: Sequence[str], entries: Sequence[Any]) -> Raw:
        """The changes of locked rows of this user."""
        values = [{name: getattr(row, name) for name in ("id", *fields)} for row in rows]
        return Raw(self._update_each_sql(tuple(fields)), [to_json(values).decode(), user_id, *entries])

    @cached_property
    def _insertion(self) -> tuple[str, tuple[str, ...]]:
        fields = {
            field.attname: _unbounded(field.db_type(connection))
            for field in self._model._meta.concrete_fields
            if field.attname not in ("id", "version")
        }
        columns, values = ", ".join(fields), ", ".join(f"%s::{kind}" for kind in fields.values())
        source = f"SELECT {values}, taken.head FROM taken"  # nosec B608: names of the model's
        sql = f"INSERT INTO {self._table} ({columns}, version) {source} RETURNING version, id"  # nosec B608
        return f", {log.append_sql(sql)}", tuple(fields)

    def _make_update(self, fields: tuple[str, ...]) -> str:
        assignments = ", ".join(f"{name} = %s" for name in fields)
        sql = f"UPDATE {self._table} SET {assignments} WHERE id = %s AND user_id = %s RETURNING id, version"  # nosec B608
        return f"WITH {log.append_sql(sql)}"

    def _make_compare_and_set(self, fields: tuple[str, ...]) -> str:
        assignments = ", ".join(f"{name} = %s" for name in fields)
        same = "id = %s AND user_id = %s AND version = %s AND deleted_at IS NULL"
        sql = (
            f"UPDATE {self._table} SET {assignments}, version = taken.head"  # nosec B608
            f" FROM taken WHERE {same} RETURNING id, version"
        )
        return f", {log.append_sql(sql)}"

    def _make_update_each(self, fields: tuple[str, ...]) -> str:
        assignments = ", ".join(f"{name} = new.{name}" for name in fields)
        sql = (
            f"UPDATE {self._table} AS old SET {assignments}"  # nosec B608
            f" FROM jsonb_populate_recordset(NULL::{self._table}, %s::jsonb) AS new"
            " WHERE old.id = new.id AND old.user_id = %s RETURNING old.id, old.version"
        )
        return f"WITH {log.append_each_sql(sql)}"


@cache
def of(model: type[R]) -> Statements[R]:
    return Statements(model)


def _unbounded(kind: str | None) -> str:
    """A type without its length: an explicit cast to varchar(n) truncates silently, where the column refuses."""
    return re.sub(r"\(.*?\)", "", str(kind))


def _locked(rows: OwnedQuerySet[R]) -> OwnedQuerySet[R]:
    """FOR UPDATE, with a condition on `taken`: without it, a plan might lock the row before the feed."""
    is_taken = RawSQL("taken.head > 0", [], BooleanField())
    return rows.filter(is_taken, pk=Param("id")).select_for_update()
