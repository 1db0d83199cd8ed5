"""The cast of the tests, and how they call the API."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from django.db import connection
from pytest_django import Settings

from tests.client import Api
from tests.factories import make_user
from tests.server import Server
from users.models import User


@pytest.fixture(autouse=True)
def quick_passwords(settings: Settings) -> None:
    """Argon2 is slow on purpose; the tests of accounts that are about it say so."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def bob(db: None) -> User:
    return make_user("bob")


@pytest.fixture
def carol(db: None) -> User:
    """Staff."""
    return make_user("carol", is_staff=True, is_superuser=True)


@pytest.fixture
def api() -> Callable[[User | None], Api]:
    return Api


@pytest.fixture
def as_alice(alice: User) -> Api:
    return Api(alice)


@pytest.fixture
def wide_pool(transactional_db: None) -> Iterator[None]:
    """A connection for each thread of the test; the service has as many as it has threads."""
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    pool = connection.settings_dict["OPTIONS"]["pool"]
    before = dict(pool)
    pool |= {"max_size": 24}
    yield
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    pool |= before


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Tickbase as `make run` starts it, with a data directory of its own.

    One for each worker of the run that has such tests; the tests of a file stay on one worker.
    """
    # Not below pytest's own directory: when it runs as root, a second run at the same time closes that one
    # to everybody else, also to the user as whom PostgreSQL then runs.
    with TemporaryDirectory(prefix="tickbase-") as folder, Server(Path(folder)) as running:
        yield running
