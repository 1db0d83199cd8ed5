"""Webhooks of users to a receiver, and the worker's part."""

import datetime as dt
from typing import Any

from config.operations import work
from tests.receiver import Receiver
from users.models import User
from users.webhooks import services
from users.webhooks.models import Endpoint

NOW = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)


def webhook_to(user: User, receiver: Receiver, **fields: Any) -> Endpoint:
    return services.create_webhook(user, url=receiver.url, **fields)


def deliver() -> int:
    """Do all that is due; returns how many endpoints were claimed."""
    return work.drain("webhooks", "slow webhooks")


def only() -> Endpoint:
    return Endpoint.objects.get()
