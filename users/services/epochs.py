"""Epochs: a restored database is another history, in which no ETag and no cursor of the former one means anything."""

import datetime as dt
import secrets

from django.db import connection
from django.db.models import Max
from django.db.models.functions import Coalesce
from django.utils import timezone

from config.database import timeline
from config.database.isolation import all_users
from config.database.transactions import retried_transaction
from users.models import Epoch, Feed

LEAST = 2**32  # numbers above the known ones, if the clock is behind them
_BEGINNING = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
# No account changes more rows than these. Numbers stay integers of JavaScript, below 2^53, until 2095.
_CHANGES_PER_MILLISECOND = 2**12


def current() -> Epoch:
    return Epoch.objects.get()


@all_users()
@retried_transaction
def new_epoch() -> Epoch:
    """Set every change counter beyond all numbers that were ever given out, also in histories that are forgotten.

    By the clock, since a backup does not know how often it was restored before: a fixed step would lift its counters to
    the same numbers each time. Writes wait meanwhile.
    """
    with connection.cursor() as cursor:
        # Else an account's first write might open its counter at the former base, unseen by the update.
        cursor.execute("LOCK TABLE tasks_feed IN EXCLUSIVE MODE")
    began_at = timezone.now()
    epoch = Epoch.objects.select_for_update().get()
    known = max(epoch.base, Feed.objects.aggregate(head=Coalesce(Max("head"), 0))["head"])
    by_clock = (began_at - _BEGINNING) // dt.timedelta(milliseconds=1) * _CHANGES_PER_MILLISECOND
    epoch.base = by_clock if by_clock > known else known + LEAST
    Feed.objects.update(head=epoch.base)
    epoch.value = 1 + secrets.randbits(62)
    epoch.timeline, epoch.began_at = timeline.current(), began_at
    epoch.save()
    return epoch
