"""The tables of the process: shared counters of limits, workers, the chores that they do, and the last backup."""

import datetime as dt
from collections.abc import Mapping

from django.db import models

from config.database.leases import LeasedModel, LeasedQuerySet


class RateLimit(models.Model):
    """What one caller used up of one window. The migration makes the table unlogged: a crash may forget it.

    `config.http.limits.counters` reads and writes it in SQL of its own.
    """

    # An HMAC of the scope and of the client that it counts: no address and no e-mail is stored.
    key = models.UUIDField(primary_key=True)
    used = models.IntegerField()
    resets_at = models.DateTimeField()

    class Meta:
        db_table = "config_rate_limit"
        indexes = [models.Index(fields=["resets_at"], name="config_rate_limit_resets_at")]  # for the sweep


class WorkerQuerySet(models.QuerySet["Worker"]):
    def beat(self, name: str, started_at: dt.datetime, now: dt.datetime) -> None:
        """Note that this worker lives, and forget those that have been dead for a day."""
        self.update_or_create(name=name, defaults={"started_at": started_at, "seen_at": now})
        self.filter(seen_at__lt=now - dt.timedelta(days=1)).delete()

    def leave(self, name: str) -> None:
        self.filter(name=name).delete()


class Worker(models.Model):
    """The heartbeat of a process that does deferred work."""

    name = models.TextField(primary_key=True)  # host and process
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    objects = WorkerQuerySet.as_manager()


class ChoreQuerySet(LeasedQuerySet["Chore"]):
    def plan(self, times: Mapping[str, dt.datetime]) -> None:
        """Insert those that are not there; others keep their times."""
        self.bulk_create([Chore(name=name, due_at=at) for name, at in times.items()], ignore_conflicts=True)


class Chore(LeasedModel):
    """Something that is done at set times, whichever worker does it, such as the nightly prune."""

    name = models.CharField(max_length=40, primary_key=True)
    ran_at = models.DateTimeField(null=True)  # the last time that it came to its end
    failed_at = models.DateTimeField(null=True)  # null after a success
    last_error = models.TextField(blank=True, default="")

    objects = ChoreQuerySet.as_manager()

    class Meta(LeasedModel.Meta):
        pass


class Backup(models.Model):
    """The last one that `manage.py backup` has written whole, in SQL of its own, for the doctor. One row, or none."""

    made_at = models.DateTimeField()  # the moment whose data it holds

    class Meta:
        db_table = "config_backup"
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="config_backup_one_row")]
