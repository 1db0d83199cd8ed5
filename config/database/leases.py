"""Deferred work: rows with a due time, which workers claim for as long as a lease lasts.

A worker that dies loses its leases by time, and another one tries the row again: what is done with it happens at least
once. Leases are compared with the clocks of workers, which NTP keeps within a fraction of them.
"""

import datetime as dt
from collections import Counter
from typing import Any, Self, TypeVar

from django.db import connection, models, transaction
from django.db.models import F, Q

LEASE = dt.timedelta(seconds=60)
OWNED_AT_ONCE = 2  # leased rows of one owner, in all workers: others are not to wait for somebody's thousands
_CANDIDATES = 2  # times as many rows are looked at as may be claimed, since some are of the same owner

R = TypeVar("R", bound="LeasedModel")


class LeaseLost(Exception):  # noqa: N818 (as Django's own)
    """Another worker has the row by now, and does what is to be done with it."""


class LeasedQuerySet(models.QuerySet[R]):
    def due(self, now: dt.datetime) -> Self:
        """Due rows that no worker has leased."""
        return self.filter(due_at__lte=now).filter(Q(leased_until=None) | Q(leased_until__lte=now))

    def leased(self, now: dt.datetime) -> Self:
        return self.filter(leased_until__gt=now)


class LeasedModel(models.Model):
    """A row of deferred work. `attempts` counts its claims, and fences off a worker that has lost its lease."""

    due_at = models.DateTimeField(null=True, editable=False)  # null: nothing is to be done
    leased_until = models.DateTimeField(null=True, editable=False)
    attempts = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    class Meta:
        abstract = True
        indexes = [
            models.Index(fields=["due_at"], name="%(app_label)s_%(class)s_due", condition=Q(due_at__isnull=False)),
            # For the count of an owner's leases, which are few.
            models.Index(
                fields=["leased_until"], name="%(app_label)s_%(class)s_leased", condition=~Q(leased_until=None)
            ),
        ]

    def settle(self, due_at: dt.datetime | None, **changes: Any) -> bool:
        """Give up the lease, with the next due time and these changes; False if another worker has the row by now."""
        return self.held().update(due_at=due_at, leased_until=None, **changes) == 1

    def keep(self, until: dt.datetime) -> bool:
        """Prolong the lease; False if it was lost."""
        return self.held().update(leased_until=until) == 1

    def held(self) -> models.QuerySet[Self]:
        """This row, if this worker still has its lease."""
        rows = type(self)._base_manager.filter(pk=self.pk, attempts=self.attempts)
        return rows.exclude(leased_until=None)


def claim(due: LeasedQuerySet[R], most: int, now: dt.datetime, owner: str | None = None) -> list[R]:
    """Lease up to so many of these due rows, the longest due first; of each `owner` (a column) OWNED_AT_ONCE at most.

    An advisory lock lets one worker claim rows of a table at a time, so that two do not both give an owner the most.
    """
    model = due.model
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [model._meta.db_table])
        held: Counter[Any] = Counter()
        if owner is not None:
            held.update(model._base_manager.filter(leased_until__gt=now).values_list(owner, flat=True))
            busy = [each for each, count in held.items() if each is not None and count >= OWNED_AT_ONCE]
            due = due.exclude(**{f"{owner}__in": busy}) if busy else due
        claimed: list[R] = []
        rows = due.select_for_update(skip_locked=True, of=("self",)).order_by("due_at")
        for row in rows[: most * _CANDIDATES if owner else most]:
            whose = owner and getattr(row, owner)
            if len(claimed) < most and (whose is None or held[whose] < OWNED_AT_ONCE):
                held[whose] += 1
                claimed.append(row)
        until = now + LEASE
        keys = [row.pk for row in claimed]
        model._base_manager.filter(pk__in=keys).update(leased_until=until, attempts=F("attempts") + 1)
        for row in claimed:
            row.leased_until, row.attempts = until, row.attempts + 1
    return claimed


def renew(rows: list[LeasedModel], now: dt.datetime) -> None:
    """Prolong the leases of rows that a thread is busy with, those that are still held."""
    for row in rows:
        row.keep(now + LEASE)
