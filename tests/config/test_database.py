"""Connections to the database: what taking one costs, and what happens when it leads nowhere."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from django.db import connection

from config.database.breaker import RETRY_SECONDS, CircuitBreaker, DatabaseAway
from tests.client import Api
from tests.problems import problem_of
from tests.tasks.test_round_trips import wire
from users.models import User


@pytest.fixture
def pooled(transactional_db: None) -> Iterator[Any]:
    """The one connection of the pool, which lies in it."""
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    options = connection.settings_dict["OPTIONS"]["pool"]
    before = dict(options)
    options |= {"max_size": 1}
    connection.ensure_connection()
    taken = connection.connection
    connection.close()
    yield taken
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    options |= before


def test_taking_a_connection_from_the_pool_asks_the_server_nothing(pooled: Any, tmp_path: Path) -> None:
    with wire(tmp_path / "trace") as waits:
        connection.close()
        connection.ensure_connection()
        assert connection.connection is pooled
    assert waits == []


def test_a_connection_that_the_server_has_dropped_is_replaced(pooled: Any) -> None:
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pooled.info.backend_pid])
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert connection.connection is not pooled


@pytest.fixture
def away(transactional_db: None) -> Iterator[Callable[[], None]]:
    """The database is looked for where it is not, until this is called."""
    home = connection.settings_dict["HOST"]
    with TemporaryDirectory() as elsewhere:
        point_to(elsewhere)
        socket = ".s.PGSQL.5432"
        yield lambda: (Path(elsewhere) / socket).symlink_to(Path(home) / socket)
        point_to(home)


def test_whoever_waits_for_the_database_gets_it_when_it_is_back(away: Callable[[], None]) -> None:
    back = threading.Timer(1.2, away)
    back.start()
    connection.ensure_connection()
    back.join()


def point_to(host: str) -> None:
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    connection.settings_dict["HOST"] = host


def test_a_slow_query_of_a_living_server_is_waited_for(pooled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.database.connections.PATIENCE", 0.1)
    ask, asked = psycopg.Connection.connect, []

    def connect(**params: Any) -> psycopg.Connection[Any]:
        asked.append(params["host"])
        return ask(**params)

    monkeypatch.setattr("psycopg.connect", connect)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.6)")
    assert len(asked) >= 2
    assert connection.connection is pooled


def test_a_server_that_is_full_is_alive(pooled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**params: Any) -> None:
        raise psycopg.OperationalError("FATAL: sorry, too many clients already")

    monkeypatch.setattr("config.database.connections.PATIENCE", 0.1)
    monkeypatch.setattr("psycopg.connect", refuse)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.4)")
    assert connection.connection is pooled


def test_a_server_that_takes_no_writes_is_an_outage_and_its_connection_is_given_up(pooled: Any, alice: User) -> None:
    as_alice = Api(alice)
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")  # as on a standby
    assert as_alice.get("/api/me/tasks").status_code == 200
    answer = as_alice.post("/api/me/tasks", {"title": "a"})
    assert problem_of(answer, 503)["code"] == "database_unavailable"
    assert int(answer["Retry-After"]) > 0
    connection.close()  # as after each request
    assert as_alice.post("/api/me/tasks", {"title": "a"}).status_code == 201
    assert connection.connection is not pooled


def test_while_the_database_is_away_nobody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("config.database.breaker.time.monotonic", lambda: now)
    breaker = CircuitBreaker()
    with pytest.raises(psycopg.OperationalError), breaker.attempt():
        raise psycopg.OperationalError
    with pytest.raises(DatabaseAway), breaker.attempt():
        pass
    now += RETRY_SECONDS
    with breaker.attempt(), pytest.raises(DatabaseAway), breaker.attempt():
        pass  # one tries, the others are refused meanwhile
    with breaker.attempt(), breaker.attempt():
        pass  # it is back


def test_a_trial_that_fails_lets_the_next_one_come(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("config.database.breaker.time.monotonic", lambda: now)
    breaker = CircuitBreaker()
    for _ in range(3):
        with pytest.raises(psycopg.OperationalError, match="refused"), breaker.attempt():
            raise psycopg.OperationalError("refused")
        now += RETRY_SECONDS
