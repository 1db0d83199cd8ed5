"""Connections to the database: what taking one costs, and what happens when it leads nowhere."""

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import psycopg
import pytest
from django.core.checks import run_checks
from django.db import OperationalError, connection, connections, transaction

from config.database.base import DatabaseWrapper
from config.database.breaker import RETRY_SECONDS, CircuitBreaker, DatabaseAway, breaker
from config.database.connections import IDLE_SECONDS
from config.observability.metrics import open_connections
from tests.client import Api
from tests.factories import make_task
from tests.problems import problem_of, stored
from tests.tasks.test_round_trips import wire
from users.models import User


@pytest.fixture
def kept(transactional_db: None) -> Iterator[Any]:
    """The connection of this thread, which has been idle for as long as connections are not looked at."""
    connection.close()
    connection.ensure_connection()
    connection.connection._used_at -= IDLE_SECONDS
    yield connection.connection
    connection.close()


def test_keeping_a_connection_asks_the_server_nothing(kept: Any, tmp_path: Path) -> None:
    with wire(tmp_path / "trace") as waits:
        connection.close_if_unusable_or_obsolete()
        connection.ensure_connection()
        assert connection.connection is kept
    assert waits == []


def query() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def run() -> None:
    cast(DatabaseWrapper, connections["default"]).run(("SELECT 1", []))


def begin() -> None:
    with transaction.atomic():
        query()


@pytest.mark.parametrize("use", [query, run, begin])
def test_a_connection_that_the_server_has_dropped_is_replaced(kept: Any, use: Callable[[], None]) -> None:
    terminate(kept)
    use()
    assert connection.connection is not kept and kept.closed


def terminate(kept: Any) -> None:
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [kept.info.backend_pid])


@pytest.mark.parametrize("use", [query, run, begin])
def test_a_loss_that_a_savepoint_has_met_is_no_fault_of_the_program(kept: Any, use: Callable[[], None]) -> None:
    """Django keeps it from whoever handles the reason of the rollback."""
    with pytest.raises(OperationalError), transaction.atomic():
        with suppress(KeyError), transaction.atomic():
            query()
            terminate(kept)
            raise KeyError
        use()


def test_within_a_transaction_no_connection_is_replaced(kept: Any) -> None:
    """What the transaction has done would be lost unnoticed."""
    with pytest.raises(OperationalError), transaction.atomic():
        query()
        terminate(kept)
        kept._used_at -= IDLE_SECONDS
        query()
    query()
    assert connection.connection is not kept


def test_where_a_transaction_has_begun_a_lost_connection_is_an_outage(kept: Any) -> None:
    with pytest.raises(OperationalError), transaction.atomic():
        terminate(kept)
        kept._used_at -= IDLE_SECONDS
        run()


@pytest.mark.parametrize("use", [query, run, begin])
def test_a_closed_connection_is_replaced(kept: Any, use: Callable[[], None]) -> None:
    kept.close()
    use()
    assert connection.connection is not kept


def test_a_connection_that_was_lost_within_a_transaction_of_ones_own_is_replaced(kept: Any) -> None:
    transaction.set_autocommit(False)
    query()
    terminate(kept)
    with pytest.raises(OperationalError):
        query()
    transaction.set_autocommit(True)  # as at the end of an atomic block
    query()
    assert transaction.get_autocommit() and connection.connection is not kept


def test_a_thread_that_ends_closes_its_connection(transactional_db: None) -> None:
    opened: list[Any] = []

    def use() -> None:
        query()
        opened.append(connection.connection)

    gc.disable()
    try:
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    finally:
        gc.enable()
    assert opened[0].closed


def test_connections_are_counted_by_state(kept: Any) -> None:
    before = open_connections()
    with transaction.atomic():
        query()
        assert open_connections() == {"idle": before["idle"] - 1, "in use": before["in use"] + 1}
    connection.close()
    assert open_connections() == {**before, "idle": before["idle"] - 1}


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_has_ended(alice: User) -> None:
    as_alice = Api(alice)
    with pytest.raises(OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert as_alice.post("/api/me/tasks", {"title": "a"}).status_code == 201


CREATION: dict[str, Any] = {"op": "create", "type": "task", "body": {"title": "a"}}
UNKNOWN: dict[str, Any] = {"op": "delete", "type": "task", "id": 4711}
DOCUMENT = {"uid": "a", "title": "a", "_deleted": False}
CUT: dict[str, Any] = {
    "/tasks": {"title": "a"},
    "/batch": {"operations": [CREATION, UNKNOWN, CREATION], "atomic": False},
    "/sync/tasks/0/push": [{"newDocumentState": DOCUMENT}, {"newDocumentState": DOCUMENT}],
}


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", CUT)
def test_a_connection_that_the_server_ends_within_a_request(alice: User, path: str) -> None:
    """Before any of its messages; at last after all of them."""
    as_alice, sent = Api(alice), list[str]()
    make_task(alice)  # the first write of an account opens its feed, and that stays
    before = stored()

    def end(execute: Any, sql: str, *rest: Any) -> Any:
        if len(sent) == place:
            terminate(connection.connection)
        sent.append(sql)
        return execute(sql, *rest)

    for place in count():
        sent.clear()
        with connection.execute_wrapper(end):
            answer = as_alice.post(f"/api/me{path}", CUT[path])
        if len(sent) <= place:
            break
        assert problem_of(answer, 503)["code"] == "database_unavailable"
        assert stored() == before
    assert answer.status_code in (200, 201) and stored() != before


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
    breaker.close()
    connection.settings_dict["HOST"] = host


def test_a_slow_query_of_a_living_server_is_waited_for(kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.database.connections.PATIENCE", 0.1)
    ask, asked = psycopg.Connection.connect, []

    def connect(**params: Any) -> psycopg.Connection[Any]:
        asked.append(params["host"])
        return ask(**params)

    monkeypatch.setattr("psycopg.connect", connect)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.6)")
    assert len(asked) >= 2
    assert connection.connection is kept


def test_a_server_that_is_full_is_alive(kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**params: Any) -> None:
        raise psycopg.OperationalError("FATAL: sorry, too many clients already")

    monkeypatch.setattr("config.database.connections.PATIENCE", 0.1)
    monkeypatch.setattr("psycopg.connect", refuse)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.4)")
    assert connection.connection is kept


SLOW = "SELECT pg_sleep(2)"


def query_slowly() -> None:
    with connection.cursor() as cursor:
        cursor.execute(SLOW)


def run_slowly() -> None:
    cast(DatabaseWrapper, connections["default"]).run((SLOW, []))


@pytest.mark.thorough
@pytest.mark.parametrize("use", [query_slowly, run_slowly])
def test_a_server_that_hangs_costs_every_thread_its_connection(
    kept: Any, use: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(**params: Any) -> None:
        raise psycopg.errors.ConnectionTimeout

    opened, is_over = threading.Event(), threading.Event()
    found: list[Any] = []

    def use_twice() -> None:
        query()
        found.append(connection.connection)
        opened.set()
        assert is_over.wait(20)
        query()
        found.append(connection.connection)

    thread = threading.Thread(target=use_twice)
    thread.start()
    assert opened.wait(20)
    with monkeypatch.context() as patch, pytest.raises(OperationalError, match="does not answer"):
        patch.setattr("config.database.connections.PATIENCE", 0.1)
        patch.setattr("psycopg.connect", hang)
        use()
    assert kept.closed
    breaker.close()
    is_over.set()
    thread.join()
    assert found[0].closed and found[1] is not found[0]


def test_a_server_that_takes_no_writes_is_an_outage_and_its_connection_is_given_up(kept: Any, alice: User) -> None:
    as_alice = Api(alice)
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")  # as on a standby
    assert as_alice.get("/api/me/tasks").status_code == 200
    answer = as_alice.post("/api/me/tasks", {"title": "a"})
    assert problem_of(answer, 503)["code"] == "database_unavailable"
    assert int(answer["Retry-After"]) > 0
    assert as_alice.post("/api/me/tasks", {"title": "a"}).status_code == 201
    assert connection.connection is not kept


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


@pytest.mark.parametrize(("value", "found"), [("5", ["config.W003"]), ("", [])])
def test_whoever_still_sets_the_size_of_a_pool_is_told(
    monkeypatch: pytest.MonkeyPatch, value: str, found: list[str]
) -> None:
    monkeypatch.setenv("DATABASE_POOL_SIZE", value)
    assert [message.id for message in run_checks() if str(message.id).startswith("config.")] == found
