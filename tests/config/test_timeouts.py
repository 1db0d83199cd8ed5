"""How long a request may keep the database busy, and that nothing else is limited."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psycopg
import pytest
from django.db import OperationalError, connection, transaction
from django.urls import path
from pytest_django import Settings
from rest_framework.request import Request

from config.database import session
from config.database.base import DatabaseWrapper
from config.database.pipeline import Sql
from config.environment.database_url import parse
from config.http.views import APIView, Response
from tests.chaos.load import sign_in_several
from tests.client import Api
from tests.factories import PASSWORD
from tests.pgbouncer import PgBouncer, needs_pgbouncer, version
from tests.problems import problem_of
from tests.server import Server
from tests.tree import PRODUCTION, Tree
from users.models import User

COUNT_THE_OTHERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE usename = current_user AND datname = current_database() AND pid != pg_backend_pid()
    AND application_name != 'tickbase liveness'
"""
END_THE_OTHERS = COUNT_THE_OTHERS.replace("count(*)", "pg_terminate_backend(pid)")
NAMES = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")


@pytest.fixture
def limited(transactional_db: None, settings: Settings) -> None:
    """A second for each."""
    settings.DATABASE_STATEMENT_TIMEOUT = settings.DATABASE_LOCK_TIMEOUT = 1
    settings.DATABASE_IDLE_TRANSACTION_TIMEOUT = 1


def shown(cursor: Any) -> list[str]:
    found = []
    for name in NAMES:
        cursor.execute(f"SHOW {name}")
        found += cursor.fetchone()
    return found


def direct() -> psycopg.Connection:
    """A second session of one's own."""
    return psycopg.connect(**connection.get_connection_params(), autocommit=True)


class SlowView(APIView):
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    def get(self, request: Request, what: str) -> Response:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            [pid] = cursor.fetchone()
            if what == "idle":
                _wait_for_the_end_of(pid)
            cursor.execute("SELECT pg_sleep(%s)", [5 if what == "query" else 0])
        return Response()


def _wait_for_the_end_of(pid: int) -> None:
    with direct() as other:
        deadline = time.monotonic() + 10
        while other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone():
            assert time.monotonic() < deadline
            time.sleep(0.05)


urlpatterns = [path("slow/<what>", SlowView.as_view())]


@pytest.mark.urls(__name__)
@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize("what", ["query", "idle"])
def test_what_takes_too_long_is_ended_and_answered_503(what: str) -> None:
    began = time.monotonic()
    answer = Api().get(f"/slow/{what}")
    assert problem_of(answer, 503)["code"] == "database_unavailable"
    assert int(answer["Retry-After"]) > 0
    assert 0.9 < time.monotonic() - began < 4
    connection.close()
    assert Api().get("/slow/not").status_code == 200  # and nothing is broken after it


@pytest.mark.usefixtures("limited")
def test_a_lock_is_waited_for_no_longer_than_allowed(alice: User, settings: Settings) -> None:
    settings.DATABASE_STATEMENT_TIMEOUT = 30
    with direct() as other, other.transaction():
        other.execute("SELECT set_config('tickbase.user_id', '0', true)")
        other.execute("SELECT 1 FROM users_user WHERE id = %s FOR UPDATE", [alice.pk])
        with pytest.raises(OperationalError, match="lock timeout"), session.local(session.request_timeouts()):
            User.objects.filter(pk=alice.pk).update(name="a")


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize(("lock_timeout", "all_three"), [(1, ["1s", "1s", "1s"]), (0, ["1s", "0", "1s"])])
def test_each_transaction_of_a_request_has_the_limits(settings: Settings, lock_timeout: int, all_three: Any) -> None:
    settings.DATABASE_LOCK_TIMEOUT = lock_timeout
    with session.local(session.request_timeouts()), transaction.atomic(), connection.cursor() as cursor:
        assert shown(cursor) == all_three


@pytest.mark.django_db
def test_commands_take_the_time_they_need() -> None:
    with connection.cursor() as cursor:
        assert shown(cursor) == ["0", "0", "0"]


def test_the_limits_are_settings(tree: Tree) -> None:
    names = ("DATABASE_STATEMENT_TIMEOUT", "DATABASE_LOCK_TIMEOUT", "DATABASE_IDLE_TRANSACTION_TIMEOUT")
    assert list(tree.load(*names, **PRODUCTION).values()) == [10, 3, 15]
    assert list(tree.load(*names, **dict.fromkeys(names, "0")).values()) == [0, 0, 0]


@pytest.mark.process
def test_the_service_answers_while_a_table_is_locked() -> None:
    with TemporaryDirectory(prefix="tickbase-") as folder, Server(Path(folder), DATABASE_LOCK_TIMEOUT="1") as server:
        account = {"email": "ada@example.com", "password": PASSWORD}
        access = httpx.post(f"{server.base}/api/auth/register", json=account).json()["access"]
        with psycopg.connect(f"postgresql://tickbase@/tickbase?host={folder}/postgres") as other:
            other.execute("LOCK TABLE tasks_task")
            answer = httpx.get(f"{server.base}/api/me/tasks", headers={"Authorization": f"Bearer {access}"}, timeout=20)
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")


@pytest.mark.process
def test_a_worker_opens_no_more_connections_than_it_has_threads() -> None:
    setup = {"WORKERS": "2", "THREADS": "2", "DATABASE_LOCK_TIMEOUT": "1"}
    with TemporaryDirectory(prefix="tickbase-") as folder, Server(Path(folder), **setup) as server:
        url = f"postgresql://tickbase@/tickbase?host={folder}/postgres"
        tokens = sign_in_several(server)
        with psycopg.connect(url) as locking, psycopg.connect(url, autocommit=True) as counting:
            locking.execute("LOCK TABLE users_user")
            with ThreadPoolExecutor(12) as callers:
                sent = [callers.submit(_list, server, token) for token in tokens * 3]
                most = 0
                while not all(each.done() for each in sent):
                    [(count,)] = counting.execute(COUNT_THE_OTHERS).fetchall()
                    most = max(most, count - 1)  # the one that holds the lock
                    time.sleep(0.05)
        assert {each.result() for each in sent} == {503}
        assert 4 < most <= 6  # the threads for passwords have signed in


def _list(server: Server, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{server.base}/api/me/tasks", headers=headers, timeout=30).status_code


@pytest.fixture
def pooled(limited: None) -> Iterator[DatabaseWrapper]:
    """A connection of Django's through PgBouncer, which has a few for everybody."""
    direct = connection.settings_dict
    with (
        TemporaryDirectory(prefix="tickbase-") as folder,
        PgBouncer(Path(folder), Path(direct["HOST"]), direct["NAME"]) as bouncer,
    ):
        options = {**direct["OPTIONS"], "sslmode": "require"}
        found = DatabaseWrapper({**direct, **parse(bouncer.url), "OPTIONS": options})
        yield found
        found.close()


@pytest.mark.pgbouncer
@needs_pgbouncer
def test_they_hold_behind_a_pooler_and_stay_with_nobody(pooled: DatabaseWrapper) -> None:
    with pooled.cursor() as cursor:
        with session.local(session.request_timeouts()), pytest.raises(OperationalError, match="statement timeout"):
            cursor.execute("SELECT pg_sleep(5)")
        assert shown(cursor) == ["0", "0", "0"]


@pytest.mark.pgbouncer
@needs_pgbouncer
def test_nothing_is_prepared_behind_a_pooler(pooled: DatabaseWrapper) -> None:
    """PgBouncer before 1.21 would look for it in another session."""
    for _ in range(2):
        assert pooled.run(("SELECT 7::bigint", [])) == [[(7,)]]
    assert pooled.run(("SELECT count(*) FROM pg_prepared_statements", [])) == [[(0,)]]


@pytest.mark.pgbouncer
@needs_pgbouncer
@pytest.mark.skipif(version() < (1, 21), reason="PgBouncer knows prepared statements from 1.21 on; Debian 12 has 1.18")
def test_a_pooler_that_knows_what_is_prepared_has_it_in_every_session(
    pooled: DatabaseWrapper, settings: Settings
) -> None:
    settings.DATABASE_PREPARED_STATEMENTS = "on"
    pooled.close()
    seven: Sql = ("SELECT 7::bigint, pg_backend_pid()", [])
    [[(_, first)]] = pooled.run(seven)
    assert pooled.connection.prepared.names
    with psycopg.connect(**pooled.get_connection_params()) as other:
        other.execute("SELECT 1")  # takes that session, up to the end of its transaction
        [[(value, second)]] = pooled.run(seven)
    assert (value, second != first) == (7, True)
