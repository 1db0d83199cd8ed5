"""Endpoints of webhooks, events that are no change of a row, and what became of the last deliveries."""

import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from config.database.leases import LeasedModel, LeasedQuerySet
from users.models import Change, Feed

if TYPE_CHECKING:
    from users.models import User

MAX_URL = 2000  # characters
ALL = "*"  # in `events`
STATUSES = ("active", "failing", "disabled", "paused")
KEPT = 100  # deliveries of an endpoint


class EndpointQuerySet(LeasedQuerySet["Endpoint"]):
    def for_user(self, user: "User") -> Self:
        """The first wall: every read begins here."""
        return self.filter(user=user)

    def wanting(self, name: str) -> Self:
        """Also those that are off: they go on from where they were."""
        return self.filter(Q(events__contains=[ALL]) | Q(events__contains=[name]))

    def due(self, now: dt.datetime) -> Self:
        """Those with something to send whose next attempt has come. The head of the feed tells, so that writes of rows
        pay nothing for webhooks."""
        moved = Feed.objects.filter(user=OuterRef("user"), head__gt=OuterRef("cursor_version"))
        return super().due(now).filter(Exists(moved) | Exists(_waiting()), is_active=True, user__is_active=True)

    def disabled_since(self, moment: dt.datetime) -> Self:
        return self.filter(disabled_at__gte=moment)

    def aged(self) -> Self:
        """With `due_since`: when the first entry or event that waits was made, or the next attempt, if it is later."""
        entry = Change.objects.filter(user=OuterRef("user"), version__gt=OuterRef("cursor_version")).order_by("version")
        event = _waiting().order_by("pk")
        made = (Subquery(entry.values("at")[:1]), Subquery(event.values("created_at")[:1]))
        return self.annotate(due_since=Greatest(F("due_at"), Coalesce(*made, F("due_at"))))


def _waiting() -> "models.QuerySet[Event]":
    own = Q(endpoint=None) | Q(endpoint=OuterRef("pk"))
    return Event.objects.filter(own, user=OuterRef("user"), pk__gt=OuterRef("cursor_event"))


class Endpoint(LeasedModel):
    """An address of a user's to which events are sent, in their order, from a cursor on.

    Its outbox is the log, and beside it the events; one delivery at a time holds the lease. `due_at` is the next
    attempt; in the past for one that is waiting for nothing but events.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="webhooks", db_index=False)
    url = models.CharField(max_length=MAX_URL)  # its path may hold a secret of the receiver's
    events = ArrayField(models.TextField())  # names, or only ALL
    project_ids = ArrayField(models.BigIntegerField(), null=True)  # null: whichever project
    secret = models.TextField()  # as its owner sees it: it has to be computed with
    old_secret = models.TextField(blank=True, default="")
    old_secret_until = models.DateTimeField(null=True)
    is_active = models.BooleanField("active", default=True)
    disabled_at = models.DateTimeField(null=True)  # by us or by staff, not by its owner
    version = models.BigIntegerField(default=1)  # grows with what its owner or staff changes
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    # What was accepted: entries of the log up to a version of an epoch, and events up to one.
    cursor_epoch = models.BigIntegerField()
    cursor_version = models.BigIntegerField()
    cursor_event = models.BigIntegerField()
    failures = models.PositiveSmallIntegerField(default=0)  # attempts since one was accepted
    last_error = models.TextField(blank=True, default="")
    is_slow = models.BooleanField(default=True)  # until an attempt was quick: it must not hold up others

    objects = EndpointQuerySet.as_manager()

    class Meta(LeasedModel.Meta):
        verbose_name = "webhook"
        default_permissions = ("view", "change")
        permissions: ClassVar[Any] = [("view_endpoint_url", "Can read the whole addresses of webhooks")]
        indexes = [*LeasedModel.Meta.indexes, models.Index(fields=["user", "id"], name="webhooks_endpoint_list")]

    def __str__(self) -> str:
        """Without user text, as the admin shows this also to staff without the permission to view text."""
        return f"Webhook {self.pk}"

    @property
    def status(self) -> str:
        if self.disabled_at:
            return "disabled"
        if not self.is_active:
            return "paused"
        return "failing" if self.failures else "active"

    @property
    def next_attempt_at(self) -> dt.datetime | None:
        return self.due_at if self.status == "failing" else None

    @property
    def host(self) -> str:
        """With its port."""
        return self.url.partition("://")[2].partition("/")[0]

    @property
    def place(self) -> dict[str, int]:
        """The columns of the cursor."""
        return {name: getattr(self, name) for name in ("cursor_epoch", "cursor_version", "cursor_event")}

    def secrets(self, now: dt.datetime) -> list[str]:
        """Those that sign, the current one first."""
        is_rotating = self.old_secret_until is not None and now < self.old_secret_until
        return [self.secret, self.old_secret] if is_rotating else [self.secret]


class EventQuerySet(models.QuerySet["Event"]):
    def for_user(self, user: "User") -> Self:
        """The first wall: every read begins here."""
        return self.filter(user=user)

    def made_before(self, moment: dt.datetime) -> Self:
        return self.filter(created_at__lt=moment)


class Event(models.Model):
    """Something that has happened and is no change of a row, for all endpoints of the user or for one.

    Of a user, the order of the ids is the commit order: whoever inserts one holds a lock of that user.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="webhook_events", db_index=False)
    endpoint = models.ForeignKey(Endpoint, models.CASCADE, null=True, db_index=False)
    name = models.CharField(max_length=80)
    data: Any = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)

    objects = EventQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["user", "id"], name="webhooks_event_list"),
            models.Index(fields=["endpoint"], name="webhooks_event_endpoint", condition=~Q(endpoint=None)),
            models.Index(fields=["created_at"], name="webhooks_event_created"),
        ]


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def for_user(self, user: "User") -> Self:
        """The first wall: every read begins here."""
        return self.filter(user=user)


class Delivery(models.Model):
    """An attempt to deliver: what was answered in a number, never its text."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="webhook_deliveries")
    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="deliveries", db_index=False)
    at = models.DateTimeField(default=timezone.now)
    event = models.CharField(max_length=80)
    webhook_id = models.CharField(max_length=60)
    status = models.PositiveSmallIntegerField(null=True)  # null where there was no answer
    reason = models.CharField(max_length=200, blank=True, default="")  # empty if it was accepted
    milliseconds = models.PositiveIntegerField()
    attempt = models.PositiveSmallIntegerField()

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        default_permissions = ("view",)
        indexes = [models.Index(fields=["endpoint", "-id"], name="webhooks_delivery_list")]

    def __str__(self) -> str:
        return f"{self.event} of {self.at:%Y-%m-%d %H:%M:%S} UTC"
