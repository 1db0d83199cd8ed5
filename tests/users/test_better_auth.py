"""A real issuer: an unmodified Better Auth with its JWT plugin."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.better_auth import BetterAuth
from tests.clients.npm import install
from users import issuers

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def better_auth() -> Iterator[BetterAuth]:
    with BetterAuth(install("better_auth")) as running:
        yield running


def test_its_tokens_are_believed(better_auth: BetterAuth, settings: Settings) -> None:
    for name, value in better_auth.environment.items():
        setattr(settings, name, value)
    user_id, token = better_auth.sign_up("ada@example.com", "Ada")
    identity = issuers.verify(token)
    assert (identity.issuer, identity.subject) == (better_auth.base, user_id)
    assert (identity.email, identity.name) == ("ada@example.com", "Ada")
    assert identity.issued_at is not None
