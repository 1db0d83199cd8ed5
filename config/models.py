"""The tables of the process: the shared counters, and the last backup. Who writes them does so in SQL of its own."""

from django.db import models


class RateLimit(models.Model):
    """What one caller used up of one window. The migration makes the table unlogged: a crash may forget it."""

    # An HMAC of the scope and of the client that it counts: no address and no e-mail is stored.
    key = models.UUIDField(primary_key=True)
    used = models.IntegerField()
    resets_at = models.DateTimeField()

    class Meta:
        db_table = "config_rate_limit"
        indexes = [models.Index(fields=["resets_at"], name="config_rate_limit_resets_at")]  # for the sweep


class Backup(models.Model):
    """The last one that `manage.py backup` has written whole, for the doctor. One row, or none."""

    made_at = models.DateTimeField()  # the moment whose data it holds

    class Meta:
        db_table = "config_backup"
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="config_backup_one_row")]
