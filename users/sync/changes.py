"""What a user has, and what has changed since: the pages by which a client keeps its copy, of all resources."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from config.database.queries import Compiled, Param, Statement, run_all
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


class Entry(NamedTuple):
    """An object as it was at a version; a page tells of it only if it is so still."""

    version: int
    type: str
    id: int


class Reading(NamedTuple):
    """The entries of a page, with the cursor at which they begin and that of the next page."""

    entries: Sequence[Entry]
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
    if since is not None and not since.type:
        reading = _read_log(user, limit, since)
    else:
        reading = _read_objects(user, [by_name[name] for name in sorted(by_name)], limit, since)
    entries, start, cursor, more, bounds = reading
    start.require_kept(bounds)
    changes: list[dict[str, Any]] = []
    if entries or bounds.head > start.version:
        changes = _changes(user, [entry for entry in entries if entry.type in by_name], by_name, start)
    return Page(changes, cursor, more, bounds.head)


def _read_log(user: Actor, limit: int, since: Cursor) -> Reading:
    bounds, (found,) = _read(user, after=[log.after(user, since.version, limit + 1)])
    entries = [Entry(*row) for row in found[:limit]]
    more = len(found) > limit
    # At the end of the log the counter may be ahead of it: a lost attempt takes a number, too.
    last = max((entry.version for entry in entries), default=since.version)
    return Reading(entries, since, since._replace(version=last if more else max(last, bounds.head)), more, bounds)


def _read_objects(user: Actor, resources: Sequence[Resource], limit: int, since: Cursor | None) -> Reading:
    """Keyset pagination by type and id; `version` of the cursor stays where the first page has found the counter.

    What has changed since then is passed over, as the log tells of it later.
    """
    name, last = (since.type, since.id) if since else ("", 0)
    rest = [resource for resource in resources if resource.name >= name]
    statements = [
        _live(resource.model, limit + 1).given(user=user.pk, after=last if resource.name == name else 0)
        for resource in rest
    ]
    bounds, found = _read(user, after=statements)
    start = since or Cursor.at_head(user, bounds)
    entries = [
        Entry(version, resource.name, pk) for resource, rows in zip(rest, found, strict=True) for pk, version in rows
    ][: limit + 1]
    more, following = bounds.head > start.version, start._replace(type="", id=0)
    if len(entries) > limit:
        last_read = entries[limit - 1]
        more, following = True, start._replace(type=last_read.type, id=last_read.id)
    unchanged = [entry for entry in entries[:limit] if entry.version <= start.version]
    return Reading(unchanged, start, following, more, bounds)


def _changes(
    user: Actor, entries: Sequence[Entry], by_name: dict[str, Resource], start: Cursor
) -> list[dict[str, Any]]:
    ids: dict[str, set[int]] = defaultdict(set)
    for entry in entries:
        ids[entry.type].add(entry.id)
    statements = [
        _rows(by_name[name].model, by_name[name].serializer.columns()).given(user=user.pk, pks=list(pks))
        for name, pks in ids.items()
    ]
    bounds, found = _read(user, before=statements)
    start.require_kept(bounds)
    changes = {
        (change["version"], name): change
        for name, rows in zip(ids, found, strict=True)
        for change in _represent(by_name[name], rows, user.public_id)
    }
    return [changes[entry.version, entry.type] for entry in entries if (entry.version, entry.type) in changes]


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
    def build() -> OwnedQuerySet[Any]:
        rows: OwnedQuerySet[Any] = model.objects.for_user(Param("user")).visible().filter(pk__gt=Param("after"))
        return rows.order_by("pk").columns(("id", "version"))[:limit]

    return Compiled(build)


@lru_cache(maxsize=64)
def _rows(model: type[OwnedModel], columns: tuple[str, ...]) -> Compiled[Any]:
    def build() -> OwnedQuerySet[Any]:
        rows: OwnedQuerySet[Any] = model.objects.for_user(Param("user")).filter(one_of("pk", Param("pks")))
        return rows.columns(("deleted_at", *columns))

    return Compiled(build)
