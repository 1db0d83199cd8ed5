"""Deletes what is old: empties the trash, cuts off the log at its floor, and removes the tombstones below it."""

import datetime as dt
from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile

from django.db.models import F, OuterRef, Subquery

from config.database.transactions import retried_transaction
from users.models import Change, ChangeQuerySet, Feed, User
from users.resources import feed, tombstones, writes
from users.resources.models import OwnedModel
from users.resources.querysets import OwnedQuerySet
from users.services import AccountGone

BATCH = 1000  # rows per transaction, for which the user's writers wait


def trashed(model: type[OwnedModel], before: dt.datetime) -> OwnedQuerySet[OwnedModel]:
    rows: OwnedQuerySet[OwnedModel] = model.objects.trashed().filter(deleted_at__lt=before)
    return rows


def empty_trash(model: type[OwnedModel], before: dt.datetime, batch: int = BATCH) -> Iterator[int]:
    """Erase rows of all users that were deleted before, in operations of `batch` rows; yields how many each has erased.

    What is restored meanwhile stays. Other rows are neither locked nor changed, so that the service can run beside it.
    """
    owners = trashed(model, before).order_by("user_id").values_list("user_id", flat=True).distinct()
    for owner in User.objects.filter(pk__in=list(owners)).order_by("pk"):
        old = trashed(model, before).for_user(owner)
        with suppress(AccountGone):  # deleted meanwhile
            while pks := list(old.order_by("pk").values_list("pk", flat=True)[:batch]):
                writes.erase(owner, [old.filter(pk__in=pks)])
                yield len(pks)


def feeds_with_old_entries(before: dt.datetime) -> list[int]:
    """The owners of entries from before. By the first entry of each feed: the log is in the order of time."""
    first = Change.objects.filter(user=OuterRef("pk")).order_by("version").values("at")[:1]
    old = Feed.objects.annotate(first_at=Subquery(first)).filter(first_at__lt=before)
    return list(old.order_by("pk").values_list("pk", flat=True))


def old_entries(before: dt.datetime) -> ChangeQuerySet:
    return Change.objects.filter(user__in=feeds_with_old_entries(before), at__lt=before)


def cut_log(before: dt.datetime, batch: int = BATCH) -> Iterator[int]:
    """Delete entries from before, and raise the floor of their feeds; yields how many each transaction has deleted."""
    for user_id in feeds_with_old_entries(before):
        while removed := _cut_batch(user_id, before, batch):
            yield removed


@retried_transaction
def _cut_batch(user_id: int, before: dt.datetime, batch: int) -> int:
    """Whole operations, of which the last may end beyond the batch: none is undone in part.

    Under the feed's lock, as every write: a reader that reads the floor after the entries detects missing ones.
    """
    locked = feed.lock_existing(user_id)
    entries = Change.objects.filter(user_id=user_id)
    oldest = entries.order_by("version").values_list("operation", "at")[:batch]
    # Up to the first young one: a machine whose clock was behind must not take the entries of others along.
    old = [operation for operation, _ in takewhile(lambda entry: entry[1] < before, oldest)]
    if locked is None or not old:
        return 0
    feed.raise_floor(locked, old[-1])
    return entries.filter(version__lte=old[-1]).delete()[0]


def below_floor(model: type[OwnedModel]) -> OwnedQuerySet[OwnedModel]:
    """Tombstones of erased rows that no cursor needs any more."""
    rows: OwnedQuerySet[OwnedModel] = model.objects.deleted().exclude(erased_at=None)
    return rows.filter(version__lte=F("user__feed__floor"))


def prune_tombstones(model: type[OwnedModel], batch: int = BATCH) -> Iterator[int]:
    """Delete these tombstones; yields how many each transaction has deleted."""
    owners = below_floor(model).order_by("user_id").values_list("user_id", flat=True).distinct()
    for user_id in list(owners):
        while removed := _prune_batch(model, user_id, batch):
            yield removed


@retried_transaction
def _prune_batch(model: type[OwnedModel], user_id: int, batch: int) -> int:
    locked = feed.lock_existing(user_id)
    gone = below_floor(model).filter(user_id=user_id).order_by("pk").values_list("pk", flat=True)[:batch]
    return tombstones.delete(model, locked, list(gone)) if locked else 0
