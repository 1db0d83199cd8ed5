"""Deletes tombstones that are old or too many, and raises the floor of their owner's feed accordingly."""

import datetime as dt
from collections.abc import Iterator
from typing import TypeVar

from django.db.models import Count

from config.database.transactions import retried_transaction
from config.values import LAST_INSTANT
from users.models import Feed
from users.resources.models import OwnedModel
from users.resources.querysets import OwnedQuerySet
from users.tokens.callers import Actor

BATCH = 1000  # rows per transaction, for which the user's writers wait

M = TypeVar("M", bound=OwnedModel)


def old_tombstones(model: type[M], before: dt.datetime) -> OwnedQuerySet[M]:
    rows: OwnedQuerySet[M] = model.objects.filter(deleted_at__lt=before)
    return rows


def prune_tombstones(model: type[OwnedModel], before: dt.datetime, batch: int = BATCH) -> Iterator[int]:
    """Delete old tombstones of all users in transactions of `batch` rows; yields the number that each has deleted.

    Other rows are neither locked nor changed, so that the service can run meanwhile.
    """
    owners = old_tombstones(model, before).values_list("user_id").annotate(Count("pk")).order_by("user_id")
    for user_id, _ in list(owners):
        after = 0
        while True:
            removed, after = _prune_batch(model, user_id, before, after, batch)
            yield removed
            if removed < batch:
                break


@retried_transaction
def make_room(user: Actor, model: type[OwnedModel], most: int) -> None:
    """Delete the user's oldest tombstones, a hundredth of the limit or what exceeds it, when they have reached it.

    Then recount the rows: so writes that bypassed the counters (by hand, or by an older version during an upgrade)
    cannot block the user.
    """
    rows = model.objects.for_user(user)
    excess = rows.count() - 2 * most  # after the limit was lowered
    _prune_batch(model, user.pk, LAST_INSTANT, 0, min(max(1, most // 100, excess + 1), BATCH))
    Feed.objects.filter(pk=user.pk).update(live=rows.visible().count(), stored=rows.count())


@retried_transaction
def _prune_batch(model: type[OwnedModel], user_id: int, before: dt.datetime, after: int, batch: int) -> tuple[int, int]:
    """Delete the user's next tombstones after the version `after`; returns their number, and the last one's version.

    Under the feed's lock, as every write: none is restored meanwhile, and a reader that reads the floor after the
    changes detects missing ones.
    """
    feed = Feed.objects.select_for_update().filter(user_id=user_id).first()
    if feed is None:
        return 0, after  # the account was deleted
    due = old_tombstones(model, before).filter(user_id=user_id, version__gt=after).order_by("version")
    found = list(due.values_list("pk", "version")[:batch])
    if not found:
        return 0, after
    last = found[-1][1]
    feed.floor = max(feed.floor, last)
    if model.limit_setting:  # else its rows were never counted
        feed.stored -= len(found)
    feed.save(update_fields=["floor", "stored"])
    model.objects.filter(pk__in=[pk for pk, _ in found]).delete()
    return len(found), last
