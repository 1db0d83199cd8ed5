"""Several statements in one message: what they return, what happens when one fails, what the server prepares."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from django.db import (
    DataError,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    connection,
    connections,
    transaction,
)
from psycopg.pq import TransactionStatus
from pytest_django import Settings

from config.database import pipeline, session
from config.database.base import DatabaseWrapper
from config.database.isolation import as_user
from tests.factories import make_user
from tests.races import at_once
from users.models import User

NONE: list[Any] = []
ONE = ("SELECT 1::bigint", NONE)


@pytest.fixture
def database(transactional_db: None) -> Iterator[DatabaseWrapper]:
    """With a connection that nobody has used."""
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    yield cast(DatabaseWrapper, connections["default"])
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]


def prepared(database: DatabaseWrapper) -> list[str]:
    (rows,) = database.run(("SELECT statement FROM pg_prepared_statements ORDER BY name", []))
    return [statement for (statement,) in rows]


def test_each_statement_has_its_rows(database: DatabaseWrapper) -> None:
    rows = database.run(
        ("SELECT %s::bigint, %s", [7, "a%b"]), ("SELECT 'x' WHERE 1 = 2", []), ("SELECT '100%%', %s::text[]", [["ä"]])
    )
    assert rows == [[(7, "a%b")], [], [("100%", ["ä"])]]


def test_they_are_one_transaction_that_is_told_who_asks(database: DatabaseWrapper) -> None:
    asked = ("SELECT current_setting('tickbase.user_id'), txid_current()", NONE)
    with as_user(5):
        first, second = database.run(asked, asked)
    assert first == second and first[0][0] == "5"


def test_the_first_that_fails_is_told_and_undoes_all(database: DatabaseWrapper) -> None:
    user = make_user()
    change = ("UPDATE users_user SET name = 'changed' WHERE id = %s RETURNING id", [user.pk])
    for _ in range(pipeline.THRESHOLD + 1):  # unprepared, and prepared
        with pytest.raises(DataError):
            database.run(change, ("SELECT 1 / %s::bigint", [0]), change)
    user.refresh_from_db()
    assert user.name != "changed"
    assert database.run(change) == [[(user.pk,)]]


def test_a_failure_leaves_an_open_transaction_to_its_savepoint(database: DatabaseWrapper) -> None:
    with transaction.atomic():
        with pytest.raises(IntegrityError), transaction.atomic():
            database.run(("INSERT INTO tasks_feed VALUES (%s, 0, 1) RETURNING 1", [make_user().pk]))
        assert database.run(ONE) == [[(1,)]]


def rename(user: User) -> pipeline.Sql:
    return "UPDATE users_user SET name = 'changed' WHERE id = %s RETURNING id", [user.pk]


def is_committed(user: User) -> bool:
    (name,) = at_once([lambda: User.objects.get(pk=user.pk).name])  # by another connection
    return bool(name == "changed")


def test_the_commit_goes_with_the_last_statement(database: DatabaseWrapper) -> None:
    user = make_user()
    with transaction.atomic():
        assert database.run(ONE, rename(user), commit=True) == [[(1,)], [(user.pk,)]]
        assert database.connection.info.transaction_status == TransactionStatus.IDLE
        assert is_committed(user)
    assert database.run(ONE) == [[(1,)]]


def test_it_does_not_go_within_a_transaction_that_goes_on(database: DatabaseWrapper) -> None:
    user = make_user()
    for savepoint in (True, False):
        with transaction.atomic():
            with transaction.atomic(savepoint=savepoint):
                database.run(rename(user), commit=True)
            assert not is_committed(user)
            transaction.set_rollback(True)


def test_nothing_is_committed_when_the_last_fails(database: DatabaseWrapper) -> None:
    user = make_user()
    with pytest.raises(DataError), transaction.atomic():
        database.run(rename(user), ("SELECT 1 / %s::bigint", [0]), commit=True)
    assert not is_committed(user)


def test_a_commit_that_fails_is_told(database: DatabaseWrapper) -> None:
    """Foreign keys are looked after at the commit."""
    orphan = ("INSERT INTO tasks_feed VALUES (%s, 1, 0) RETURNING 1", [999_999_999])
    with pytest.raises(IntegrityError), transaction.atomic():
        database.run(orphan, commit=True)
    assert database.run(("SELECT count(*) FROM tasks_feed", [])) == [[(0,)]]


def test_what_is_asked_often_is_prepared_once(database: DatabaseWrapper) -> None:
    for number in range(pipeline.THRESHOLD + 2):
        for value in (number, number * 100_000, number * 10_000_000_000):  # PostgreSQL has a type for each size
            database.run(("SELECT 'often', %s::bigint", [value]))
        database.run((f"SELECT {number}", []))
    assert [text for text in prepared(database) if "often" in text] == ["SELECT 'often', $1::bigint"]
    assert not [text for text in prepared(database) if text == "SELECT 1"]


def test_there_is_an_end_to_preparing(database: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "MAX_PREPARED", 2)
    for number in range(5):
        for _ in range(pipeline.THRESHOLD):
            assert database.run((f"SELECT {number}::bigint", [])) == [[(number,)]]
    assert len(prepared(database)) == 2


@pytest.mark.parametrize(("setting", "is_allowed"), [("auto", True), ("on", True), ("off", False)])
def test_preparing_can_be_turned_off(
    database: DatabaseWrapper, settings: Settings, setting: str, is_allowed: bool
) -> None:
    settings.DATABASE_PREPARED_STATEMENTS = setting
    for _ in range(pipeline.THRESHOLD):
        database.run(ONE)
    assert ("SELECT 1::bigint" in prepared(database)) is is_allowed


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 2**63, 10**30])
def test_numbers_of_any_size(database: DatabaseWrapper, number: int) -> None:
    assert database.run(("SELECT %s::numeric = %s::numeric", [number, str(number)])) == [[(True,)]]


def test_execute_wrappers_see_what_is_run(database: DatabaseWrapper) -> None:
    seen: list[Any] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(sql)
        return execute(sql, *rest)

    with database.execute_wrapper(note):
        database.run(ONE)
    assert seen == [ONE[0]]


def test_what_was_interrupted_is_not_read_by_the_next(
    database: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(pgconn: Any) -> Any:
        raise KeyboardInterrupt
        yield

    database.run(ONE)
    broken = database.connection
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pipeline, "send", interrupt)
        database.run(("SELECT 'of the one'", []))
    assert broken.closed
    database.close()
    assert database.run(("SELECT 'of the next'", [])) == [[("of the next",)]]


def test_after_a_failure_the_context_is_told_again(database: DatabaseWrapper) -> None:
    asked = ("SELECT current_setting('tickbase.user_id')", NONE)
    with transaction.atomic():
        with as_user(5):
            assert database.run(asked) == [[("5",)]]
        with as_user(6):
            with pytest.raises(DataError):
                database.run(("SELECT %s", ["\0"]))  # nothing is sent
            assert database.run(asked) == [[("6",)]]


def test_what_was_prepared_before_a_failure_is_not_prepared_again(database: DatabaseWrapper) -> None:
    for _ in range(pipeline.THRESHOLD + 5):
        with pytest.raises(DataError):
            database.run(("SELECT 'fails', 1 / %s::bigint", [0]))
    assert len([text for text in prepared(database) if "fails" in text]) == 1


def test_a_plan_that_a_migration_has_spoilt_is_made_anew(database: DatabaseWrapper) -> None:
    database.run(("CREATE TEMPORARY TABLE spoilt AS SELECT 1::int AS one", []), ONE)
    asked = ("SELECT one FROM spoilt", NONE)
    for _ in range(pipeline.THRESHOLD):
        assert database.run(asked) == [[(1,)]]
    database.run(("ALTER TABLE spoilt ALTER one TYPE text", []))
    with pytest.raises(NotSupportedError):
        database.run(asked)
    for _ in range(pipeline.THRESHOLD):
        assert database.run(asked) == [[("1",)]]


def test_a_server_that_leaves_in_between_is_an_outage(database: DatabaseWrapper) -> None:
    with pytest.raises(OperationalError):
        database.run(("SELECT pg_terminate_backend(pg_backend_pid())", []), ONE)
    database.close()
    assert database.run(ONE) == [[(1,)]]


def test_long_statements_are_not_prepared(database: DatabaseWrapper) -> None:
    for _ in range(pipeline.THRESHOLD):
        database.run((f"SELECT '{'a' * pipeline.LONGEST}'", []))
    assert not [text for text in prepared(database) if "aaaa" in text]


def test_settings_of_before_a_savepoint_do_not_outlive_their_block(database: DatabaseWrapper) -> None:
    asked = ("SELECT current_setting('tickbase.user_id', true)", NONE)
    with nobody_says_anything(), transaction.atomic():
        with as_user(5):
            database.run(asked)
            before = transaction.savepoint()
            with pytest.raises(DataError):
                database.run(("SELECT 1 / %s::bigint", [0]))
            transaction.savepoint_rollback(before)
        ((who,),) = database.run(asked)[0]
        assert not who


@contextmanager
def nobody_says_anything() -> Iterator[None]:
    """As in a command, which no middleware stands around."""
    token = session._current.set({})
    try:
        yield
    finally:
        session._current.reset(token)
