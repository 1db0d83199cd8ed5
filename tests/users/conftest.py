"""The external issuers that tests configure."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.issuer import AUDIENCE, ISSUER, SECRET, Issuer
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
