"""The trash: what was deleted, of all resources as one list, until it is restored or erased."""

import datetime as dt
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from django.db.models import F

from config.database.transactions import retried_transaction
from config.values import MAX_BIGINT
from users.resources import errors, writes
from users.resources.models import OwnedModel
from users.resources.querysets import comes_after
from users.resources.resource import Resource
from users.tokens.callers import Actor


class Key(NamedTuple):
    """The sort key of a row in the list, which is in descending order of it."""

    deleted_at: dt.datetime
    type: str
    id: int


class Trashed(NamedTuple):
    key: Key
    resource: Resource
    row: tuple[Any, ...]  # the columns of the resource's serializer


def page(user: Actor, resources: Iterable[Resource], limit: int, after: Key | None = None) -> list[Trashed]:
    """Up to `limit` rows of these resources after a key: a keyset query of each resource, whose rows are merged."""
    found = [trashed for resource in resources for trashed in _rows(user, resource, limit, after)]
    return sorted(found, key=lambda trashed: trashed.key, reverse=True)[:limit]


def _rows(user: Actor, resource: Resource, limit: int, after: Key | None) -> list[Trashed]:
    rows = resource.model.objects.for_user(user).trashed()
    if after is not None:
        # Of the rows that were deleted at that moment, all of the types behind it, and none of those before it.
        last = after.id if resource.name == after.type else MAX_BIGINT if resource.name < after.type else 0
        rows = rows.filter(comes_after((after.deleted_at, last), F("deleted_at"), F("id"), descending=True))
    columns = resource.serializer.columns()
    read: Any = rows.order_by("-deleted_at", "-id")[:limit].columns(("deleted_at", "id", *columns))
    return [Trashed(Key(at, resource.name, pk), resource, tuple(row)) for at, pk, *row in read]


def empty(user: Actor, resources: Iterable[Resource]) -> int | None:
    """Erase all that is in the trash of these resources, as one operation; None if there is nothing.

    Raises OperationTooLarge.
    """
    return writes.erase(user, [resource.model.objects.trashed() for resource in resources])


@retried_transaction
def erase(user: Actor, model: type[OwnedModel], pk: int, expected: Collection[int] | None = None) -> int:
    """Erase one row. Returns the operation; raises RowNotFound for all that is not in the trash, and StaleVersion
    unless the version is among the expected ones."""
    rows = model.objects.filter(pk=pk)
    wanted = rows if expected is None else rows.filter(version__in=expected)
    while (operation := writes.erase(user, [wanted])) is None:
        row = rows.for_user(user).trashed().first()
        if row is None:
            raise errors.not_in_trash(model)
        errors.checked(row, model, expected)
    return operation
