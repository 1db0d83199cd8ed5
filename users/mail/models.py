"""The outbox of mails."""

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from config.database.leases import LeasedModel, LeasedQuerySet

if TYPE_CHECKING:
    from users.models import User


class MailQuerySet(LeasedQuerySet["Mail"]):
    def for_user(self, user: "User") -> "MailQuerySet":
        """The first wall: every read begins here."""
        return self.filter(user=user)

    def failed_since(self, moment: dt.datetime) -> "MailQuerySet":
        return self.filter(failed_at__gt=moment)

    def made_before(self, moment: dt.datetime) -> "MailQuerySet":
        return self.filter(created_at__lt=moment)


class Mail(LeasedModel):
    """A mail that is to be sent, or what became of it. Its text and its tokens are made when it is sent: no token is
    stored."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="mails")
    kind = models.CharField(max_length=40)
    address = models.TextField(blank=True, default="")  # empty: the user's, as it is when the mail is sent
    data: Any = models.JSONField(default=dict)  # what the text needs beside the account; emptied when it is sent
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()  # from when on it would say nothing of use
    sent_at = models.DateTimeField(null=True)  # handed over to the mail server
    failed_at = models.DateTimeField(null=True)  # given up
    last_error = models.TextField(blank=True, default="")

    objects = MailQuerySet.as_manager()

    found: Any = None  # what its text is about, looked up for several mails at once

    class Meta(LeasedModel.Meta):
        default_permissions = ("view", "change")
        indexes = [
            *LeasedModel.Meta.indexes,
            models.Index(fields=["created_at", "id"], name="mail_mail_created"),
            models.Index("failed_at", name="mail_mail_failed", condition=~models.Q(failed_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.created_at:%Y-%m-%d %H:%M} UTC"
