"""SQL of the most frequent requests, compiled once per model: reads from QuerySets, writes from its columns."""

import datetime as dt
import re
from collections.abc import Callable, Collection, Sequence
from functools import cache, cached_property, lru_cache
from operator import attrgetter, itemgetter
from typing import Any, Generic, NamedTuple, TypeVar, cast

from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q
from django.db.models.expressions import RawSQL

from config.database.pipeline import Rows, Sql
from config.database.queries import Compiled, Param, Query, Raw
from config.http.json import to_json
from users.resources import log
from users.resources.models import OwnedModel, Reference
from users.resources.pairs import References
from users.resources.querysets import OwnedQuerySet, one_of
from users.tokens.callers import Actor, standing_of

R = TypeVar("R", bound=OwnedModel)

MOST_CHANGED = 1_000  # rows that an undo reads with all their content

# Of a row, or of several: itself, its descendants, and its ancestors, none of them in the trash. UNION, which would end
# in a cycle.
_FAMILY = """ARRAY(
    WITH RECURSIVE below AS (
        SELECT id FROM {table} WHERE user_id = %s AND id = {id}
        UNION
        SELECT child.id FROM below JOIN {table} AS child
            ON child.user_id = %s AND child.{parent} = below.id AND child.deleted_at IS NULL
    ), above AS (
        SELECT {parent} AS id FROM {table} WHERE user_id = %s AND id = {id}
        UNION
        SELECT row.{parent} FROM above JOIN {table} AS row ON row.user_id = %s AND row.id = above.id
    ) SELECT id FROM below UNION SELECT id FROM above
)"""
_FAMILY_PARAMS = ("user", "id", "user", "user", "id", "user")
_LINE = """ARRAY(
    WITH RECURSIVE line AS (
        SELECT id, {parent} AS above FROM {table} WHERE user_id = %s AND {key} = %s
        UNION
        SELECT row.id, row.{parent} FROM line JOIN {table} AS row ON row.user_id = %s AND row.id = line.above
    ) SELECT id FROM line
)"""


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


class Referred(Query[R]):
    """A query of rows, and whether there is one of them that others refer to."""

    def result(self, rows: Rows) -> tuple[list[R], bool]:  # type: ignore[override]
        return super().result(rows), any(map(itemgetter(-1), rows))


class Statements(Generic[R]):
    """The statements of one model, whose fields are named as their columns."""

    def __init__(self, model: type[R]) -> None:
        self._model = model
        self._table = model._meta.db_table
        self._row = Compiled(lambda: self._of_user().visible().filter(pk=Param("id")))
        self._family = Compiled(lambda: self._family_of("%s"))
        self._families = Compiled(lambda: self._family_of("ANY(%s)"))
        self._referred = lru_cache(maxsize=16)(lambda by: Compiled(lambda: self._referred_family(by)))
        self._some = lru_cache(maxsize=2)(lambda by: Compiled(lambda: self._some_of(by)))
        self._listing = lru_cache(maxsize=16)(lambda name: Compiled(lambda: self._listing_of(name)))
        self._large = Compiled(lambda: self._of_user().visible().filter(pk=Param("id")).columns(("id", *model.large)))
        self._trashed = Compiled(lambda: self._of_user().trashed().filter(pk=Param("id")).select_for_update())
        self._changed = Compiled(lambda: self._changed_rows()[: MOST_CHANGED + 1])
        self._shown = lru_cache(maxsize=16)(self._compile_shown)
        self._line = lru_cache(maxsize=2)(lambda by: Compiled(lambda: self._line_of(by)))
        self._referring = lru_cache(maxsize=64)(lambda *key: Compiled(lambda: self._referring_to(*key)))
        self._update_each_sql = lru_cache(maxsize=64)(self._make_update_each)
        self._compare_and_set_sql = lru_cache(maxsize=256)(self._make_compare_and_set)

    def _of_user(self) -> OwnedQuerySet[R]:
        rows: OwnedQuerySet[R] = self._model.objects.for_user(Param("user"))
        return rows

    def _changed_rows(self) -> OwnedQuerySet[R]:
        entries = log.of_operation(Param("user"), Param("operation")).filter(type=self._model.type_name())
        changed = one_of("pk", ArraySubquery(entries.values("object_id")))
        return self._of_user().filter(changed, erased_at=None).select_for_update().order_by("pk")

    def _family_of(self, key: str) -> OwnedQuerySet[R]:
        rows, tree = self._of_user().visible(), self._model.tree()
        if tree is None:
            return rows.filter(pk=Param("id")).select_for_update()
        sql = _FAMILY.format(table=self._table, parent=tree.attname, id=key)
        family = RawSQL(sql, [Param(name) for name in _FAMILY_PARAMS])  # nosec B611: names of the model's
        return rows.filter(one_of("pk", family)).defer(*self._model.large).select_for_update().order_by("pk")

    def _referred_family(self, by: tuple[Reference | References, ...]) -> OwnedQuerySet[R]:
        referring, rows = Q(), cast(Any, self._family_of("%s"))
        for each in by:
            if isinstance(each, References):
                referring |= Q(Exists(each.pairs.objects.filter(user=OuterRef("user"), target_id=OuterRef("pk"))))
            else:
                others: Any = each.model._default_manager
                own = others.visible().filter(user=OuterRef("user"), **{each.attname: OuterRef("pk")})
                referring |= Q(Exists(own))
        referred: OwnedQuerySet[R] = rows.annotate(referred=ExpressionWrapper(referring, BooleanField()))
        return referred

    def _some_of(self, by: str) -> OwnedQuerySet[R]:
        return self._of_user().visible().filter(one_of(by, Param("keys"))).columns((by, "id"))

    def _listing_of(self, name: str) -> OwnedQuerySet[R]:
        pairs: Any = self._model._meta.get_field(name).pairs.objects  # type: ignore[union-attr]
        those = ArraySubquery(pairs.filter(one_of("target_id", Param("pks")), user=Param("user")).values("row_id"))
        return self._of_user().visible().filter(one_of("pk", those)).light().select_for_update()

    def _line_of(self, by: str) -> OwnedQuerySet[R]:
        rows, tree = self._of_user().visible(), self._model.tree()
        if tree is None:
            return rows.filter(**{by: Param("key")}).light()
        sql = _LINE.format(table=self._table, parent=tree.attname, key=by)
        line = RawSQL(sql, [Param(name) for name in ("user", "key", "user")])  # nosec B611: names of the model's
        return rows.filter(one_of("pk", line)).light()

    def _referring_to(self, name: str, is_visible: bool) -> OwnedQuerySet[R]:
        rows = self._of_user().filter(one_of(f"{name}_id", Param("pks")), erased_at=None)
        zoned = self._model.zoned
        # What comes back follows the time zone; else each row would be read for it.
        columns = [] if is_visible else [*zoned, *zoned.values()]
        return rows.filter(deleted_at=None if is_visible else Param("deleted_at")).light(*columns).select_for_update()

    def _compile_shown(self, columns: tuple[str, ...], by: str) -> Compiled[Any]:
        return Compiled(lambda: self._of_user().visible().filter(**{by: Param("key")}).columns(columns))

    def show(self, actor: Actor, key: int | str, columns: tuple[str, ...], by: str) -> Lookup[Any]:
        """A row, by its id or its uid, as a tuple of these columns, the first of them the id."""
        return Lookup(self._shown(columns, by).given(user=actor.pk, key=key), actor)

    def read(self, actor: Actor, pk: int) -> Lookup[R]:
        """A row as an instance."""
        return Lookup(self._row.given(user=actor.pk, id=pk), actor)

    def family(self, user_id: int, pk: int) -> Query[R]:
        """A row, FOR UPDATE, and if they are a tree, its ancestors and descendants, all without `large` columns."""
        return self._family.given(user=user_id, id=pk)

    def referred_family(self, user_id: int, pk: int, by: tuple[Reference | References, ...]) -> Referred[R]:
        """The same, and whether a visible row refers to one of them by one of these references, of which there are
        some."""
        return Referred(self._referred(by), {"user": user_id, "id": pk})

    def families(self, user_id: int, pks: Collection[int]) -> Query[R]:
        """The same of several rows of a tree, each once."""
        return self._families.given(user=user_id, id=list(pks))

    def large(self, user_id: int, pk: int) -> Query[Any]:
        """The id and the `large` columns of a row, as a tuple."""
        return self._large.given(user=user_id, id=pk)

    def trashed(self, user_id: int, pk: int) -> Query[R]:
        """A row in the trash, FOR UPDATE."""
        return self._trashed.given(user=user_id, id=pk)

    def line(self, user_id: int, key: int | str, by: str) -> Query[R]:
        """A row by its id or its uid, and if they are a tree, its ancestors; without content."""
        return self._line(by).given(user=user_id, key=key)

    def referring(self, user_id: int, name: str, pks: Collection[int], deleted_at: dt.datetime | None) -> Query[R]:
        """The rows whose reference of this name is among these, FOR UPDATE and without content: those that are visible,
        or those that were deleted at a moment."""
        query = self._referring(name, deleted_at is None)
        return query.given(user=user_id, pks=list(pks), deleted_at=deleted_at)

    def some(self, user_id: int, keys: Collection[Any], by: str) -> Query[Any]:
        """By key, which is an id or a uid, the ids of those rows that are visible."""
        return self._some(by).given(user=user_id, keys=list(keys))

    def listing(self, user_id: int, name: str, pks: Collection[int]) -> Query[R]:
        """The visible rows that refer to some of these by References of this name, FOR UPDATE and without content."""
        return self._listing(name).given(user=user_id, pks=list(pks))

    def changed_by(self, user_id: int, operation: int) -> Query[R]:
        """The rows that an operation has changed, FOR UPDATE, up to one more than MOST_CHANGED; without erased ones."""
        return self._changed.given(user=user_id, operation=operation)

    def all_changed_by(self, user_id: int, operation: int, columns: Collection[str]) -> Query[R]:
        """All of these rows, without other content than these columns."""
        return Compiled(lambda: self._changed_rows().light(*columns)).given(user=user_id, operation=operation)

    def insert(self, row: R, entry: Sequence[Any]) -> Raw:
        """A statement for `feed.advance`: returns the number and the new row's id."""
        sql, values_of = self._insertion
        return Raw(sql, [*values_of(row), *entry])

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

    def insert_each(self, rows: Sequence[R], entries: Sequence[Any]) -> Raw:
        """New rows, which have their versions; returns these and their ids."""
        sql, names = self._insertion_of_each
        values = [{name: getattr(row, name) for name in names} for row in rows]
        return Raw(sql, [to_json(values).decode(), *entries])

    @cached_property
    def _insertion_of_each(self) -> tuple[str, tuple[str, ...]]:
        names = tuple(field.attname for field in self._model._meta.concrete_fields if field.attname != "id")
        source = f"SELECT {', '.join(names)} FROM jsonb_populate_recordset(NULL::{self._table}, %s::jsonb)"  # nosec B608
        sql = f"INSERT INTO {self._table} ({', '.join(names)}) {source} RETURNING id, version"  # nosec B608
        return f"WITH {log.append_each_sql(sql)} RETURNING version, object_id", names

    @cached_property
    def _insertion(self) -> tuple[str, Callable[[R], tuple[Any, ...]]]:
        fields = {
            field.attname: _unbounded(field.db_type(connection))
            for field in self._model._meta.concrete_fields
            if field.attname not in ("id", "version")
        }
        columns, values = ", ".join(fields), ", ".join(f"%s::{kind}" for kind in fields.values())
        source = f"SELECT {values}, taken.head FROM taken"  # nosec B608: names of the model's
        sql = f"INSERT INTO {self._table} ({columns}, version) {source} RETURNING version, id"  # nosec B608
        return f", {log.append_sql(sql)}", attrgetter(*fields)

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
