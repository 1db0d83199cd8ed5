"""What a user has, and what has changed since: the pages by which a client keeps its copy, of all resources."""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from django.contrib.postgres.expressions import ArraySubquery

from config.database.queries import Compiled, Param, Statement, run_all
from users.models import Change
from users.resources import feed, log
from users.resources.feed import Bounds
from users.resources.models import OwnedModel
from users.resources.querysets import OwnedQuerySet, one_of
from users.resources.resource import Resource, registered
from users.sync.cursors import Cursor
from users.tokens.callers import Actor

DEFAULT_LIMIT = 500
MAX_LIMIT = 1000


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


def page(user: Actor, limit: int, since: Cursor | None = None, names: Collection[str] | None = None) -> Page:
    """Up to `limit` changes of objects of these types, or of all; in one message if nothing is new, and else in two.

    Without a cursor, and with one of the first sync, all live objects by type and id; then the entries of the log by
    version. Each statement sees what is committed when it begins (READ COMMITTED), so their order makes the page right:

    1. The change counter. Of what has a later number nothing is promised: the cursor stays at it or before.
    2. The entries up to there are all visible, as the order of the numbers is the commit order.
    3. The rows. One that has changed again since its entry is passed over: it comes with its later entry.
    4. The floor. If pruning has passed the cursor, entries or rows were missing perhaps, and all is refused.

    Raises CursorExpired, and what `Caller.verify` raises.
    """
    by_name = {each.name: each for each in registered() if names is None or each.name in names}
    if since is None or since.type:
        rows, start, cursor, more, bounds = _read_objects(user, by_name, limit, since)
    else:
        rows, start, cursor, more, bounds = _read_log(user, by_name, limit, since)
    start.require_kept(bounds)
    changes: list[dict[str, Any]] = []
    if rows or bounds.head > start.version:
        later_bounds, found = _read(user, before=list(rows.values()))
        start.require_kept(later_bounds)
        for name, each in zip(rows, found, strict=True):
            changes += _represent(by_name[name], each, user.public_id)
    if since is not None and not since.type:
        changes.sort(key=itemgetter("version"))
    return Page(changes, cursor, more, bounds.head)


def _read_log(user: Actor, resources: Mapping[str, Resource], limit: int, since: Cursor) -> Reading:
    bounds, (found,) = _read(user, after=[log.after(user, since.version, limit + 1)])
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


def _read_objects(user: Actor, resources: Mapping[str, Resource], limit: int, since: Cursor | None) -> Reading:
    """Keyset pagination by type and id; `version` of the cursor stays where the first page has found the counter.

    What has changed since then is passed over, as the log tells of it later.
    """
    current, last = (since.type, since.id) if since else ("", 0)
    places = {name: last if name == current else 0 for name in sorted(resources) if name >= current}
    ids = [_live(resources[name].model, limit + 1).given(user=user.pk, after=place) for name, place in places.items()]
    bounds, found = _read(user, after=ids)
    start = since or Cursor.at_head(user, bounds)
    rows: dict[str, Statement[Any]] = {}
    more, following, room = bounds.head > start.version, start._replace(type="", id=0), limit
    for (name, place), pks in zip(places.items(), found, strict=True):
        last = place
        if chosen := pks[:room]:
            (last,) = chosen[-1]
            values = {"user": user.pk, "after": place, "last": last, "version": start.version}
            rows[name] = _unchanged(resources[name].model, resources[name].serializer.columns()).given(**values)
        if len(pks) > room:
            more, following = True, start._replace(type=name, id=last)
            break
        room -= len(pks)
    return Reading(rows, start, following, more, bounds)


def _represent(resource: Resource, rows: Sequence[tuple[Any, ...]], public_id: str) -> list[dict[str, Any]]:
    name = resource.name
    shown = resource.serializer.represent([row[1:] for row in rows], public_id)
    return [
        {"type": name, "version": each["version"], "object": each}
        if deleted_at is None
        else {"type": name, "version": each["version"], "deleted": True, "id": each["id"], "uid": each["uid"]}
        for (deleted_at, *_), each in zip(rows, shown, strict=True)
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


@lru_cache(maxsize=256)
def _live(model: type[OwnedModel], limit: int) -> Compiled[Any]:
    """The ids of the next objects."""

    def build() -> OwnedQuerySet[Any]:
        rows: OwnedQuerySet[Any] = model.objects.for_user(Param("user")).visible().filter(pk__gt=Param("after"))
        return rows.order_by("pk").columns(("id",))[:limit]

    return Compiled(build)


@lru_cache(maxsize=64)
def _unchanged(model: type[OwnedModel], columns: tuple[str, ...]) -> Compiled[Any]:
    """Live objects by id, from one to another, that have not changed since a version."""

    def build() -> OwnedQuerySet[Any]:
        rows: OwnedQuerySet[Any] = model.objects.for_user(Param("user")).visible()
        rows = rows.filter(pk__gt=Param("after"), pk__lte=Param("last"), version__lte=Param("version"))
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
