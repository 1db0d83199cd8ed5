"""The time zone of an account, and its settings of reminders: an abstract model."""

import datetime as dt
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from users.text import validate_timezone

MAX_REMINDER_MINUTES = 40_320  # four weeks


class Channel(models.TextChoices):
    """How reminders are told."""

    MAIL = "mail"
    WEBHOOK = "webhook"


def all_channels() -> list[str]:
    """At first: a reminder goes where its user has an address for it."""
    return list(Channel.values)


class Preferences(models.Model):
    """Those of an account, and of a Caller's, by the same name: `actor.account.reminder_time`."""

    timezone = models.CharField("time zone", max_length=64, default="UTC", validators=[validate_timezone])
    reminder_time = models.TimeField(default=dt.time(9))  # from when a whole day counts
    reminder_channels = ArrayField(models.TextField(), default=all_channels)
    default_reminder_minutes = models.IntegerField(null=True, blank=True)  # of a new task that names none; null: none
    digest_time = models.TimeField(null=True, blank=True)  # of a daily mail of what is due; null: none

    class Meta:
        abstract = True
        constraints: ClassVar[list[Any]] = [
            models.CheckConstraint(
                name="users_user_reminders",
                condition=Q(default_reminder_minutes=None)
                | Q(default_reminder_minutes__gte=0, default_reminder_minutes__lte=MAX_REMINDER_MINUTES),
            )
        ]

    @property
    def account(self) -> Self:
        return self

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)
