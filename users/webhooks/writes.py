"""What the worker stores of endpoints, under their leases."""

import datetime as dt
import random
from contextlib import suppress
from typing import Any

from django.core.mail import EmailMessage
from django.db import IntegrityError
from django.db.models import F, QuerySet
from django.utils import timezone

from config.database.transactions import retried_transaction
from users.mail import services as mail
from users.mail.models import Mail
from users.models import User
from users.webhooks.messages import Message, Place
from users.webhooks.models import KEPT, Delivery, Endpoint
from users.webhooks.transport import Outcome

SLOW = 1000  # milliseconds of an attempt, from which on it must not hold up others
DISABLED_MAIL = "webhook_disabled"

_MINUTE, _HOUR = 60, 3600
RETRIES = (
    5, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR,
)  # fmt: skip
GONE = 410


def accept(endpoint: Endpoint, message: Message, outcome: Outcome) -> Endpoint | None:
    """Move the cursor over an accepted message, in one statement; returns the endpoint as it is now, None if the
    lease was lost. A cursor that its owner has moved meanwhile stays where they have put it.
    """
    changes = {"failures": 0, "last_error": "", "is_slow": outcome.milliseconds > SLOW}
    if not _as_read(endpoint).update(**changes, **message.place):
        return _accept_changed(endpoint, message, changes)
    for name, value in {**changes, **message.place}.items():
        setattr(endpoint, name, value)
    return endpoint


@retried_transaction
def _accept_changed(endpoint: Endpoint, message: Message, changes: dict[str, Any]) -> Endpoint | None:
    if (row := endpoint.held().select_for_update().first()) is None:
        return None
    if row.place == endpoint.place:
        changes |= message.place
    for name, value in changes.items():
        setattr(row, name, value)
    row.save(update_fields=list(changes))
    return row


@retried_transaction
def fail(endpoint: Endpoint, outcome: Outcome) -> None:
    """Give up the lease until the next attempt, or disable the endpoint after the last one and where it is gone."""
    if (row := endpoint.held().select_for_update().first()) is None:
        return
    now = timezone.now()
    if row.version != endpoint.version:  # changed meanwhile, perhaps to another address: that is tried at once
        row.settle(now)
        return
    failures = row.failures + 1
    tried = {"failures": failures, "last_error": outcome.reason, "is_slow": True}
    if outcome.status != GONE and failures <= len(RETRIES):
        row.settle(now + _pause(failures, outcome.retry_after), **tried)
        return
    row.settle(now, **tried, is_active=False, disabled_at=now, version=F("version") + 1, updated_at=now)
    user: User = row.user
    if user.is_active and user.is_email_verified and user.email:
        data = {"host": row.host, "reason": outcome.reason}
        mail.queue(DISABLED_MAIL, user, data=data)


def _pause(failures: int, retry_after: float) -> dt.timedelta:
    jitter = random.uniform(0.8, 1.2)  # nosec B311: no secret
    return dt.timedelta(seconds=max(RETRIES[failures - 1] * jitter, retry_after))


def disabled_mail(queued: Mail, address: str) -> EmailMessage:
    context = {**queued.data, "email": address}
    return mail.message("Tickbase: a webhook is switched off", "users/mail/webhook_disabled.txt", context, address)


def pass_over(endpoint: Endpoint, place: Place) -> bool:
    """Move the cursor over what the endpoint does not want; False if it has changed, or the lease was lost."""
    if place == endpoint.place:
        return True
    if not _as_read(endpoint).update(**place):
        return False
    for name, value in place.items():
        setattr(endpoint, name, value)
    return True


def delivery(endpoint: Endpoint, message: Message, outcome: Outcome) -> Delivery:
    """Of an attempt whose outcome is not stored yet."""
    return Delivery(
        user_id=endpoint.user_id,
        endpoint_id=endpoint.pk,
        at=timezone.now(),
        event=message.name,
        webhook_id=message.id,
        status=outcome.status,
        reason=outcome.reason,
        milliseconds=outcome.milliseconds,
        attempt=endpoint.failures + 1,
    )


def store_deliveries(endpoint: Endpoint, deliveries: list[Delivery]) -> None:
    """Of the last attempts, and delete all but the last KEPT. Nothing, if the endpoint was deleted."""
    if deliveries:
        with suppress(IntegrityError):
            _store_deliveries(endpoint, deliveries[-KEPT:])


@retried_transaction
def _store_deliveries(endpoint: Endpoint, deliveries: list[Delivery]) -> None:
    Delivery.objects.bulk_create(deliveries)
    own = Delivery.objects.filter(endpoint=endpoint)
    own.exclude(pk__in=own.order_by("-pk").values("pk")[:KEPT]).delete()


def _as_read(endpoint: Endpoint) -> QuerySet[Endpoint]:
    """The row, if this worker still has the lease, and nobody has changed it."""
    return endpoint.held().filter(is_active=True, version=endpoint.version, **endpoint.place)
