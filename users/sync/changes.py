"""What a user has, and what has changed since: the pages by which a client keeps its copy, of all resources."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any, NamedTuple

from django.contrib.postgres.expressions import ArraySubquery

from config.database.queries import Compiled, Param, Raw, Statement, run_all
from config.values import MAX_BIGINT
from users.models import Change
from users.resources import feed, log
from users.resources.feed import Bounds
from users.resources.models import OwnedModel
from users.resources.querysets import OwnedQuerySet, one_of
from users.resources.resource import Resource, registered
from users.sync.cursors import Cursor
from users.tokens.callers import Actor

_LATEST = """
    SELECT entry.version, entry.type FROM users_change AS entry
    JOIN {table} AS row ON row.user_id = entry.user_id AND row.id = entry.object_id AND row.version = entry.version
    WHERE entry.user_id = %s AND entry.type = %s AND entry.version > %s ORDER BY entry.version LIMIT %s
"""

DEFAULT_LIMIT = 500
MAX_LIMIT = 1000


# What is told of an object, of its type, its members as they are shown, and whether it is in the trash; with `version`.
Shape = Callable[[str, dict[str, Any], bool], dict[str, Any]]


class Page(NamedTuple):
    changes: list[dict[str, Any]]
    cursor: Cursor  # where the next page begins
    more: bool  # whether there is something there already
    head: int  # the change counter, read before all else


class Reading(NamedTuple):
    """What the first message of a page has found: which rows to read, and the cursors of this page and of the next."""

    rows: dict[str, Statement[Any]]  # by type
    start: Cursor
    cursor: Cursor
    more: bool
    bounds: Bounds


def types() -> tuple[str, ...]:
    """The types of objects, in the order of the first sync: by name, which the registration does not change."""
    return tuple(sorted(resource.name for resource in registered()))


def as_change(name: str, shown: dict[str, Any], is_deleted: bool) -> dict[str, Any]:
    told = {"type": name, "version": shown["version"]}
    return (
        {**told, "deleted": True, "id": shown["id"], "uid": shown["uid"]} if is_deleted else {**told, "object": shown}
    )


def page(
    user: Actor,
    limit: int,
    since: Cursor | None = None,
    names: Collection[str] | None = None,
    shape: Shape = as_change,
    with_deleted: bool = False,
) -> Page:
    """Up to `limit` changes of objects of these types, or of all; in one message if nothing is new, and else in two.

    Without a cursor, and with one of the first sync, all live objects by type and id, or `with_deleted` ones; then the
    entries of the log by version. Each statement sees what is committed when it begins (READ COMMITTED), so their order
    makes the page right:

    1. The change counter. Of what has a later number nothing is promised: the cursor stays at it or before.
    2. The entries up to there are all visible, as the order of the numbers is the commit order.
    3. The rows. One that has changed again since its entry is passed over: it comes with its later entry.
    4. The floor. If pruning has passed the cursor, entries or rows were missing perhaps, and all is refused.

    Raises CursorExpired, and what `Caller.verify` raises.
    """
    by_name = {each.name: each for each in registered() if names is None or each.name in names}
    if since is None or since.type:
        rows, start, cursor, more, bounds = _read_objects(user, by_name, limit, since, with_deleted)
    else:
        rows, start, cursor, more, bounds = _read_log(user, by_name, limit, since)
    start.require_kept(bounds)
    changes: list[dict[str, Any]] = []
    if rows or bounds.head > start.version:
        later_bounds, found = _read(user, before=list(rows.values()))
        start.require_kept(later_bounds)
        for name, each in zip(rows, found, strict=True):
            changes += _represent(by_name[name], each, user.public_id, shape)
    if since is not None and not since.type:
        changes.sort(key=itemgetter("version"))
    return Page(changes, cursor, more, bounds.head)


def _read_log(user: Actor, resources: Mapping[str, Resource], limit: int, since: Cursor) -> Reading:
    # Of one type, only entries that are not to be passed over: a page is full then, if there is so much.
    models = [each.model for each in resources.values()]
    reading = partial(_latest, model=models[0]) if len(models) == 1 else log.after
    bounds, (found,) = _read(user, after=[reading(user, since.version, limit + 1)])
    entries, more = found[:limit], len(found) > limit
    last = entries[-1][0] if entries else since.version
    kinds = {type_ for _, type_ in entries}
    rows: dict[str, Statement[Any]] = {
        name: _changed(each.model, each.serializer.columns()).given(user=user.pk, after=since.version, last=last)
        for name, each in resources.items()
        if name in kinds
    }
    # At the end of the log the counter may be ahead of it: a lost attempt takes a number, too.
    return Reading(rows, since, since._replace(version=last if more else max(last, bounds.head)), more, bounds)


def _read_objects(
    user: Actor, resources: Mapping[str, Resource], limit: int, since: Cursor | None, with_deleted: bool
) -> Reading:
    """Keyset pagination by type and id; `version` of the cursor stays where the first page has found the counter.

    What has changed since then is passed over, as the log tells of it later.
    """
    current, last = (since.type, since.id) if since else ("", 0)
    places = {name: last if name == current else 0 for name in sorted(resources) if name >= current}
    ids = [
        _ids(resources[name].model, limit + 1, with_deleted).given(
            user=user.pk, after=place, version=since.version if since else MAX_BIGINT
        )
        for name, place in places.items()
    ]
    bounds, found = _read(user, after=ids)
    start = since or Cursor.at_head(user, bounds)
    rows: dict[str, Statement[Any]] = {}
    more, following, room = bounds.head > start.version, start._replace(type="", id=0), limit
    for (name, place), pks in zip(places.items(), found, strict=True):
        last = place
        if chosen := pks[:room]:
            (last,) = chosen[-1]
            values = {"user": user.pk, "after": place, "last": last, "version": start.version}
            unchanged = _unchanged(resources[name].model, resources[name].serializer.columns(), with_deleted)
            rows[name] = unchanged.given(**values)
        if len(pks) > room:
            more, following = True, start._replace(type=name, id=last)
            break
        room -= len(pks)
    return Reading(rows, start, following, more, bounds)


def _represent(
    resource: Resource, rows: Sequence[tuple[Any, ...]], public_id: str, shape: Shape
) -> list[dict[str, Any]]:
    represented = resource.serializer.represent([row[1:] for row in rows], public_id)
    return [
        shape(resource.name, shown, deleted_at is not None)
        for (deleted_at, *_), shown in zip(rows, represented, strict=True)
    ]


def _read(
    user: Actor, *, before: Sequence[Statement[Any]] = (), after: Sequence[Statement[Any]] = ()
) -> tuple[Bounds, list[Any]]:
    """The bounds of the log, and what the statements before and after them have found; one message."""
    while True:
        found = run_all([*before, feed.bounds(user), *after])
        if bounds := found.pop(len(before)):
            return Bounds(*bounds[0]), found
        feed.explain(user)


def _latest(user: Actor, version: int, limit: int, model: type[OwnedModel]) -> Raw:
    """`log.after` for one model, without the entries of objects that have changed again."""
    sql = _LATEST.format(table=model._meta.db_table)
    return Raw(sql, [user.pk, model.type_name(), version, limit])


@lru_cache(maxsize=256)
def _ids(model: type[OwnedModel], limit: int, with_deleted: bool) -> Compiled[Any]:
    """Those of the next objects that have not changed since a version."""

    def build() -> OwnedQuerySet[Any]:
        rows: OwnedQuerySet[Any] = model.objects.for_user(Param("user"))
        rows = (rows if with_deleted else rows.visible()).filter(pk__gt=Param("after"), version__lte=Param("version"))
        return rows.order_by("pk").columns(("id",))[:limit]

    return Compiled(build)


@lru_cache(maxsize=64)
def _unchanged(model: type[OwnedModel], columns: tuple[str, ...], with_deleted: bool) -> Compiled[Any]:
    """Objects by id, from one to another, that have not changed since a version."""

    def build() -> OwnedQuerySet[Any]:
        rows: OwnedQuerySet[Any] = model.objects.for_user(Param("user"))
        rows = (rows if with_deleted else rows.visible()).filter(
            pk__gt=Param("after"), pk__lte=Param("last"), version__lte=Param("version")
        )
        return rows.order_by("pk").columns(("deleted_at", *columns))

    return Compiled(build)


@lru_cache(maxsize=64)
def _changed(model: type[OwnedModel], columns: tuple[str, ...]) -> Compiled[Any]:
    """The objects of the entries from one version to another, unless they have changed again later."""
    window = {"version__gt": Param("after"), "version__lte": Param("last")}

    def build() -> OwnedQuerySet[Any]:
        entries = Change.objects.for_user(Param("user")).filter(type=model.type_name(), **window)
        rows: OwnedQuerySet[Any] = model.objects.for_user(Param("user")).filter(**window)
        return rows.filter(one_of("pk", ArraySubquery(entries.values("object_id")))).columns(("deleted_at", *columns))

    return Compiled(build)
