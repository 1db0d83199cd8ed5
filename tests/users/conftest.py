"""The external issuers that tests configure, and a receiver of webhooks."""

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest
import time_machine
from pytest_django import Settings

from tests.issuer import AUDIENCE, ISSUER, SECRET, Issuer
from tests.receiver import LOOPBACK, Receiver, receiving
from tests.webhooks import NOW
from users.tokens import external


@pytest.fixture
def issuer(settings: Settings) -> Iterator[Issuer]:
    """One that publishes its keys."""
    external._key_cache.cache_clear()  # ports are used again
    external._verified.clear()  # as are ids, which no database does
    with Issuer() as running:
        settings.JWT_EXTERNAL_ISSUER = ISSUER
        settings.JWT_EXTERNAL_AUDIENCE = AUDIENCE
        settings.JWT_EXTERNAL_JWKS_URL = running.url
        yield running


@pytest.fixture
def shared_secret(settings: Settings) -> str:
    """One with which we share a secret, and that says nothing of issuer and audience."""
    settings.JWT_EXTERNAL_SECRET = SECRET
    return SECRET


@pytest.fixture
def clock() -> Iterator[Any]:
    """It stands still, and can be shifted."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    """In this machine, where webhooks are allowed to go then."""
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network(LOOPBACK)]
    with receiving() as found:
        yield found
