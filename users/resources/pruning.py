"""Deletes what is old: empties the trash, cuts off the log at its floor, and removes the tombstones below it."""

import datetime as dt
from collections.abc import Iterator

from django.db.models import Count, F, OuterRef, Subquery

from config.database.transactions import retried_transaction
from users.models import Change, ChangeQuerySet, Feed, User
from users.resources import operations
from users.resources.models import OwnedModel
from users.resources.querysets import OwnedQuerySet
from users.tokens.callers import Actor

BATCH = 1000  # rows per transaction, for which the user's writers wait


def trashed(model: type[OwnedModel], before: dt.datetime) -> OwnedQuerySet[OwnedModel]:
    rows: OwnedQuerySet[OwnedModel] = model.objects.trashed().filter(deleted_at__lt=before)
    return rows


def empty_trash(model: type[OwnedModel], before: dt.datetime, batch: int = BATCH) -> Iterator[int]:
    """Erase rows of all users that were deleted before, in operations of `batch` rows; yields how many each has erased.

    Other rows are neither locked nor changed, so that the service can run meanwhile.
    """
    owners = trashed(model, before).values_list("user_id").annotate(Count("pk")).order_by("user_id")
    for owner in User.objects.filter(pk__in=[user_id for user_id, _ in owners]).order_by("pk").iterator():
        while pks := list(trashed(model, before).for_user(owner).order_by("pk").values_list("pk", flat=True)[:batch]):
            operations.erase(owner, [model.objects.filter(pk__in=pks)])
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
    """Whole operations, which may be larger than a batch: none is undone in part.

    Under the feed's lock, as every write: a reader that reads the floor after the entries detects missing ones.
    """
    feed = _locked(user_id)
    if feed is None:
        return 0
    oldest = Change.objects.filter(user_id=user_id).order_by("version").values_list("operation", "at")[:batch]
    old = [operation for operation, at in oldest if at < before]
    if not old:
        return 0
    _raise_floor(feed, old[-1])
    return Change.objects.filter(user_id=user_id, version__lte=old[-1]).delete()[0]


def below_floor(model: type[OwnedModel]) -> OwnedQuerySet[OwnedModel]:
    """Tombstones that no cursor needs any more."""
    rows: OwnedQuerySet[OwnedModel] = model.objects.filter(deleted_at__isnull=False, erased_at__isnull=False)
    return rows.filter(version__lte=F("user__feed__floor"))


def prune_tombstones(model: type[OwnedModel], batch: int = BATCH) -> Iterator[int]:
    """Delete the tombstones of erased rows whose entries have been cut off; yields the number of each transaction."""
    owners = below_floor(model).values_list("user_id", flat=True).order_by("user_id").distinct()
    for user_id in list(owners):
        while removed := _prune_batch(model, user_id, batch):
            yield removed


@retried_transaction
def _prune_batch(model: type[OwnedModel], user_id: int, batch: int) -> int:
    feed = _locked(user_id)
    gone = below_floor(model).filter(user_id=user_id).order_by("pk").values_list("pk", flat=True)[:batch]
    return _delete(model, feed, list(gone)) if feed else 0


@retried_transaction
def make_room(user: Actor, model: type[OwnedModel], most: int) -> None:
    """Delete the user's oldest tombstones, a hundredth of the limit or what exceeds it, when they have reached it.

    Then recount the rows: so writes that bypassed the counters (by hand, or by an older version during an upgrade)
    cannot block the user.
    """
    feed = _locked(user.pk)
    if feed is None:
        return  # the account was deleted
    rows = model.objects.for_user(user)
    excess = rows.count() - 2 * most  # after the limit was lowered
    batch = min(max(1, most // 100, excess + 1), BATCH)
    oldest = list(rows.deleted().order_by("version").values_list("pk", "version")[:batch])
    if oldest:
        _raise_floor(feed, oldest[-1][1])
        _delete(model, feed, [pk for pk, _ in oldest])
    Feed.objects.filter(pk=user.pk).update(live=rows.visible().count(), stored=rows.count())


def _locked(user_id: int) -> Feed | None:
    """None if the account was deleted."""
    return Feed.objects.select_for_update().filter(user_id=user_id).first()


def _raise_floor(feed: Feed, version: int) -> None:
    feed.floor = max(feed.floor, version)
    feed.save(update_fields=["floor"])


def _delete(model: type[OwnedModel], feed: Feed, pks: list[int]) -> int:
    removed: int = model.objects.filter(pk__in=pks).delete()[0]
    if model.limit_setting:  # else its rows were never counted
        feed.stored -= removed
        feed.save(update_fields=["stored"])
    return removed
