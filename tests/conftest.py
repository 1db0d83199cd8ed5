"""The cast of the tests, and how they call the API."""

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.handlers.wsgi import WSGIRequest
from django.core.management.commands import flush
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations
from hypothesis import settings as hypothesis_settings
from pytest_django import Settings

from config.database.isolation import all_users
from config.environment.rates import parse_rate
from config.http.limits.permits import limiter
from config.observability import health
from tests.client import Api
from tests.factories import make_user
from tests.server import Server
from users import audit
from users.models import AuditEvent, Epoch, User

pytest_plugins = ["tests.processes"]

AUDIT = AuditEvent._meta.db_table
EPOCH = Epoch._meta.db_table

# The same examples in every run of the suite; `make fuzz` looks for new ones, and for longer.
hypothesis_settings.register_profile("suite", derandomize=True, deadline=None)
hypothesis_settings.register_profile("fuzz", max_examples=1000, deadline=None, print_blob=True)
hypothesis_settings.load_profile("suite")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are cores, where many tests wait for a process that starts, stops or times out."""
    return (os.cpu_count() or 1) + ("not process" not in config.option.markexpr)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: to look for garbage among it again and again takes a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@pytest.fixture(autouse=True, scope="session")
def few_rows_are_deleted() -> Iterator[None]:
    """What `transactional_db` leaves: Django would truncate, which makes new files of every table and index.

    Types of content and permissions stay, as the migrations made them, and the epoch, in which accounts count from 0
    again; the audit, which refuses, is pruned.
    """
    kept = {ContentType._meta.db_table, Permission._meta.db_table, AUDIT, EPOCH}

    def deletes(self: Any, style: Any, tables: list[str], **options: Any) -> list[str]:
        as_all = "SELECT set_config('tickbase.user_id', '0', true)"  # for the policies of row level security
        others = [f"DELETE FROM {name}" for name in tables if name not in kept]
        others.append(f"UPDATE {EPOCH} SET base = 0")
        return [as_all, *others, audit._PERMIT, f"DELETE FROM {AUDIT}", audit._FORBID]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", deletes)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *args, **options: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def programs_have_the_settings_of_the_service() -> None:
    """What a test starts is Tickbase as it is delivered, without the app of the tests."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"


@pytest.fixture(autouse=True)
def operator() -> Iterator[None]:
    """Tests read and write what they like; what a request does is nobody's or its caller's doing."""
    with all_users():
        yield


@pytest.fixture(autouse=True)
def readiness_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests change what it tells faster than a second."""
    monkeypatch.setattr(health, "KEPT_SECONDS", 0.0)


@pytest.fixture
def limit(settings: Settings) -> Iterator[Callable[..., None]]:
    """Sets rate limits, as `limit(anon="10/min")`; the others are off."""

    def set_limits(**rates: str) -> None:
        off = dict.fromkeys(settings.RATE_LIMITS)
        settings.RATE_LIMITS = {**off, **{name: parse_rate(rates[name]) for name in rates}}
        limiter.cache_clear()

    yield set_limits
    limiter.cache_clear()  # what this process remembers


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
def unread_cookies(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The paths whose requests' cookies were looked at."""
    read: list[str] = []

    def cookies(request: WSGIRequest) -> dict[str, str]:
        read.append(request.path)
        return {}

    monkeypatch.setattr(WSGIRequest, "COOKIES", property(cookies))
    yield read
    assert read == []


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Tickbase as `make run` starts it, with a data directory of its own.

    One for each worker of the run that has such tests; the tests of a file stay on one worker.
    """
    # Not below pytest's own directory: when it runs as root, a second run at the same time closes that one
    # to everybody else, also to the user as whom PostgreSQL then runs.
    with TemporaryDirectory(prefix="tickbase-") as folder, Server(Path(folder)) as running:
        yield running


@pytest.fixture
def migrated_again(transactional_db: None) -> Iterator[None]:
    """Of a test that goes back: afterwards the database is a copy of before, which takes less than to migrate."""
    name = connection.settings_dict["NAME"]
    _as_owner_of_databases(
        f'DROP DATABASE IF EXISTS "{name}_before"',  # of a run that was interrupted
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND usename = current_user",
        f'CREATE DATABASE "{name}_before" TEMPLATE "{name}"',
    )
    with connection.cursor() as cursor:  # migrations go over all ids in batches, also those of other tests
        cursor.execute("ALTER SEQUENCE tasks_task_id_seq RESTART")
        cursor.execute("ALTER SEQUENCE users_user_id_seq RESTART")
    yield
    # Not WITH (FORCE), which needs the right to end an autovacuum worker: a plain DROP sends that away by itself.
    _as_owner_of_databases(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND usename = current_user",
        f'DROP DATABASE "{name}"',
        f'ALTER DATABASE "{name}_before" RENAME TO "{name}"',
    )


def _as_owner_of_databases(*statements: str) -> None:
    connection.close()
    wrapper: Any = connection
    with wrapper._nodb_cursor() as cursor:
        for sql in statements:
            cursor.execute(sql)
