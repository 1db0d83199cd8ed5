"""When reminders fire and what became of them, and when digests are due: rows that the worker claims."""

import datetime as dt
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.db import models

from config.database.leases import LeasedModel, LeasedQuerySet
from users.resources.models import MAX_UID

if TYPE_CHECKING:
    from users.tokens.callers import Actor


class ReminderQuerySet(LeasedQuerySet["Reminder"]):
    def for_user(self, user: "Actor") -> Self:
        """The first wall: every read begins here."""
        return self.filter(user=user.pk)

    def with_task(self) -> Self:
        """With what a channel tells of the task, and to whom."""
        return self.select_related("user", "task").only(
            *(each.attname for each in self.model._meta.concrete_fields),
            "user",
            *(f"task__{name}" for name in ("id", "uid", "user_id", "project_id", "title", "due_date", "due_at")),
        )


class Reminder(LeasedModel):
    """One reminder of a task, kept by triggers of PostgreSQL (migration 0001), whichever way a task is written.

    They set `planned_at` by the task, and `is_muted` while it is closed, in the trash or in an archived project. From
    these and a snooze follow `remind_at` and `due_at`; a snooze ends when the plan changes. A moment that was dealt
    with, `settled_for`, does not come again, also when the task changes back.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, db_constraint=False, db_index=False, related_name="reminders"
    )
    task = models.ForeignKey(
        "tasks.Task", models.DO_NOTHING, db_constraint=False, db_index=False, related_name="reminder_rows"
    )
    uid = models.CharField(max_length=MAX_UID)
    planned_at = models.DateTimeField(null=True)
    is_muted = models.BooleanField()
    snoozed_until = models.DateTimeField(null=True)
    remind_at = models.DateTimeField(null=True)
    settled_for = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    missed_at = models.DateTimeField(null=True)

    objects = ReminderQuerySet.as_manager()

    class Meta(LeasedModel.Meta):
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["user", "task", "uid"], name="reminders_reminder_uid")]

    def __str__(self) -> str:
        """Without user text, as the admin shows this also to staff without the permission to view text."""
        return f"Reminder of {self.task_id}"

    @property
    def is_settled(self) -> bool:
        """Whether `sent_at` and `missed_at` are of `remind_at`, rather than of an earlier moment."""
        return self.remind_at is None or self.remind_at == self.settled_for

    def shown(self) -> dict[str, dt.datetime | str | None]:
        return {
            "uid": self.uid,
            "remind_at": self.remind_at,
            "snoozed_until": self.snoozed_until if self.remind_at is not None else None,
            "sent_at": self.sent_at if self.is_settled else None,
            "missed_at": self.missed_at if self.is_settled else None,
        }


class Digest(LeasedModel):
    """The next daily mail of a user who wants one: a row for each, so that nobody looks through all users."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="digest")
    sent_at = models.DateTimeField(null=True)

    objects = LeasedQuerySet.as_manager()

    class Meta(LeasedModel.Meta):
        default_permissions = ()

    def __str__(self) -> str:
        return f"Digest of {self.user_id}"
