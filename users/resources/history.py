"""Reads of the log, the newest entry first: what happened to an object, and to all that a user has."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Subquery
from django.db.models.expressions import RawSQL

from users.models import Change, ChangeQuerySet, Feed
from users.resources import errors, log
from users.resources.log import Cursor
from users.resources.models import OwnedModel
from users.resources.querysets import one_of
from users.tokens.callers import Actor

MEMBERS = ("version", "operation", "kind", "type", "object_id", "at", "actor", "diff", "undoes")

# The list that is linked by `previous`, from an entry of the object on; each is looked up by the primary key, and
# PostgreSQL walks no further than to the limit.
_LINKED = """ARRAY(
    WITH RECURSIVE linked AS (
        SELECT version, previous FROM users_change
        WHERE user_id = %s AND version = %s AND type = %s AND object_id = %s
        UNION ALL
        SELECT entry.version, entry.previous
        FROM linked JOIN users_change AS entry ON entry.user_id = %s AND entry.version = linked.previous
        WHERE linked.previous >= %s
    ) SELECT version FROM linked LIMIT %s
)"""


Page = tuple[list[dict[str, Any]], Cursor | None]  # with where the next one begins


def of_object(user: Actor, model: type[OwnedModel], pk: int, query: Mapping[str, Any]) -> Page:
    """The entries of an object, also of one in the trash. Raises RowNotFound and CursorExpired."""
    stored = model.objects.for_user(user).filter(pk=pk, erased_at=None)
    version = stored.values_list("version", flat=True).first()
    if version is None:
        raise errors.no_such(model)
    first = query["cursor"].version if "cursor" in query else version
    return _page(user, linked(user, model, pk, first, limit=query["limit"] + 1), query)


def linked(
    user: Actor, model: type[OwnedModel], pk: int, first: int, *, since: int = 0, limit: int | None = None
) -> ChangeQuerySet:
    """The entries of an object from the version `first` back to `since`; none if `first` is of another object."""
    versions = RawSQL(_LINKED, [user.pk, first, model.type_name(), pk, user.pk, since, limit])  # nosec B611: a constant
    return Change.objects.for_user(user).filter(one_of("version", versions)).order_by("-version")


def of_user(user: Actor, query: Mapping[str, Any]) -> Page:
    """The entries of all of the user's objects that match the query. Raises CursorExpired."""
    entries = log.of_operation(user, query["operation"]) if "operation" in query else Change.objects.for_user(user)
    if "cursor" in query:
        entries = entries.filter(version__lte=query["cursor"].version)
    return _page(user, entries.filter(**{name: query[name] for name in ("actor", "type") if name in query}), query)


def _page(user: Actor, entries: ChangeQuerySet, query: Mapping[str, Any]) -> Page:
    """Those above the floor, as no cursor leads below it."""
    limit, floor = query["limit"], Feed.objects.filter(pk=user.pk).values("floor")
    kept = entries.filter(version__gt=Subquery(floor)).order_by("-version").values(*MEMBERS)
    found = list(kept[: limit + 1])
    if "cursor" in query:
        query["cursor"].require_kept(user)
    following = Cursor(log.current_epoch(), found[limit]["version"]) if len(found) > limit else None
    return found[:limit], following
