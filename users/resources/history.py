"""Reads of the log, the newest entry first: what happened to an object, and to all that a user has."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Subquery
from django.db.models.expressions import RawSQL
from rest_framework import serializers

from config.http.fields import TextField
from config.http.serializers import QuerySerializer
from users.models import Change, ChangeQuerySet, Feed
from users.resources import log, writes
from users.resources.lists import MAX_LIMIT, CountField, CursorField
from users.resources.log import Cursor
from users.resources.models import OwnedModel
from users.resources.querysets import one_of
from users.resources.resource import registered
from users.tokens.callers import Actor

DEFAULT_LIMIT = 50
MAX_CURSOR = 64
MAX_ACTOR = 200
MAX_TYPE = 60
MAX_VERSION = 2**63 - 1  # a bigint
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


class VersionField(serializers.IntegerField):
    """A number of the change counter, in ASCII digits."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=MAX_VERSION, **kwargs)

    def to_internal_value(self, data: Any) -> int:
        if not (len(data) <= len(str(MAX_VERSION)) and data.isascii() and data.isdecimal()):
            self.fail("invalid")
        return int(data)


class TypeField(TextField):
    """The name of a resource."""

    default_error_messages = {"unknown_type": "Unknown type; known are {known}."}

    def to_internal_value(self, data: Any) -> Any:
        known = [resource.name for resource in registered()]
        if data not in known:
            self.fail("unknown_type", known=", ".join(known))
        return data


class LogCursorField(CursorField):
    decode = Cursor.decode


class PageQuery(QuerySerializer):
    """A page of entries, the newest first; its cursor names the first of the next page."""

    limit = CountField(min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT, help_text="Entries per page.")
    cursor = LogCursorField(required=False, max_length=MAX_CURSOR, help_text="From the Link header.")


class HistoryQuery(PageQuery):
    filters = frozenset({"actor", "operation", "type"})

    actor = TextField(
        required=False,
        max_length=MAX_ACTOR,
        help_text="Who has done it, as entries say: `session:…`, `staff:…`, `command`, `worker` or `external`.",
    )
    operation = VersionField(required=False, help_text="The number of an operation: what one request has done.")
    type = TypeField(required=False, max_length=MAX_TYPE, help_text="The name of a resource, for example `task`.")


Page = tuple[list[dict[str, Any]], Cursor | None]  # with where the next one begins


def of_object(user: Actor, model: type[OwnedModel], pk: int, query: Mapping[str, Any]) -> Page:
    """The entries of an object, also of one in the trash. Raises RowNotFound and CursorExpired."""
    stored = model.objects.for_user(user).filter(pk=pk, erased_at=None)
    version = stored.values_list("version", flat=True).first()
    if version is None:
        raise writes.no_such(model)
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
