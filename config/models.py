"""The tables of the process: shared counters of limits, workers, and the chores that they do at set times."""

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


class Worker(models.Model):
    """The heartbeat of a process that does deferred work."""

    name = models.TextField(primary_key=True)  # host and process
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()


class Chore(LeasedModel):
    """Something that is done at set times, whichever worker does it, such as the nightly prune."""

    name = models.CharField(max_length=40, primary_key=True)
    ran_at = models.DateTimeField(null=True)  # the last time that it came to its end
    failed_at = models.DateTimeField(null=True)  # null after a success
    last_error = models.TextField(blank=True, default="")

    objects = LeasedQuerySet.as_manager()

    class Meta(LeasedModel.Meta):
        pass
