"""Several statements in one message: what they return, what happens when one fails, what the server prepares."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import pytest
from django.db import (
    DataError,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    connection,
    connections,
    models,
    transaction,
)
from django.utils.safestring import SafeString
from psycopg.pq import TransactionStatus
from psycopg.types.json import Jsonb
from pytest_django import Settings

from config.database import connections as kept
from config.database import pipeline, session
from config.database.base import DatabaseWrapper
from config.database.connections import Connection
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
    yield cast(DatabaseWrapper, connections["default"])
    connection.close()


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
    for _ in range(2):  # unprepared, and prepared
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


def test_a_statement_is_prepared_once_whatever_its_parameters(database: DatabaseWrapper) -> None:
    for value in (7, 700_000, 70_000_000_000, None, "7"):  # PostgreSQL has a type for each size
        database.run(("SELECT 'often', %s::bigint", [value]))
    assert [text for text in prepared(database) if "often" in text] == ["SELECT 'often', $1::bigint"]


def test_the_least_recently_used_is_forgotten(database: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MAX_PREPARED", 4)  # one is that of the session settings
    for number in (1, 2, 1, 3, 1, 4):
        assert database.run((f"SELECT {number}", [])) == [[(number,)]]
    found = prepared(database)  # the server closes the forgotten one with the next message
    assert [text for text in found if text in ("SELECT 1", "SELECT 2", "SELECT 3", "SELECT 4")] == [
        "SELECT 1", "SELECT 3", "SELECT 4",
    ]  # fmt: skip
    assert len(found) == 5


@pytest.mark.parametrize(("setting", "is_allowed"), [("auto", True), ("on", True), ("off", False)])
def test_preparing_can_be_turned_off(
    database: DatabaseWrapper, settings: Settings, setting: str, is_allowed: bool
) -> None:
    settings.DATABASE_PREPARED_STATEMENTS = setting
    database.run(ONE)
    assert ("SELECT 1::bigint" in prepared(database)) is is_allowed


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 2**63, 10**30])
def test_numbers_of_any_size(database: DatabaseWrapper, number: int) -> None:
    assert database.run(("SELECT %s::numeric = %s::numeric", [number, str(number)])) == [[(True,)]]


class Shade(models.TextChoices):
    DARK = "dark"


INSTANT = dt.datetime(2026, 12, 31, 23, 59, 59, 999_999, dt.UTC)
UGLY = ["NULL", None, "", 'a "quoted" word', "back\\slash", "a,b", "{c}", " d ", "ä€😀", "100%", "%s"]


@pytest.mark.parametrize("is_prepared", [True, False])
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *[("text", text) for text in UGLY],
        ("varchar", Shade.DARK),
        ("text", SafeString("<b>")),
        ("boolean", True),
        ("boolean", False),
        *[("bigint", number) for number in (0, -1, 2**31, 2**63 - 1, -(2**63))],
        *[("integer", number) for number in (2**31 - 1, -(2**31))],
        ("smallint", -7),
        ("numeric", 10**30),
        ("numeric", Decimal("-1.50")),
        ("double precision", 0.1),
        ("double precision", float("inf")),
        ("uuid", UUID("0190a5b0-0000-7000-8000-00000000beef")),
        *[("date", date) for date in (dt.date.min, dt.date.max, dt.date(2024, 2, 29))],
        *[("timestamptz", instant) for instant in (INSTANT, INSTANT.replace(year=1), INSTANT.replace(year=9999))],
        ("timestamptz", dt.datetime(2026, 1, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=45)))),
        ("interval", dt.timedelta(days=-1, microseconds=3)),
        ("bytea", b"\0\xff"),
        ("text[]", UGLY),
        ("text[]", []),
        ("varchar[]", [Shade.DARK]),
        ("bigint[]", [1, None, 2**62]),
        ("boolean[]", [True, False]),
        ("date[]", [dt.date(2024, 2, 29), None]),
        ("timestamptz[]", [INSTANT]),
        ("uuid[]", [UUID(int=7)]),
    ],
)
def test_values_go_and_come_as_with_djangos_cursor(
    database: DatabaseWrapper, kind: str, value: Any, is_prepared: bool
) -> None:
    database.ensure_connection()
    database.connection.prepared.is_allowed = is_prepared
    sql = f"SELECT CAST(%s AS {kind}), CAST(NULL AS {kind})"
    with connection.cursor() as cursor:
        cursor.execute(sql, [value])
        (expected, nothing) = cursor.fetchone()
    [[(found, null)]] = database.run((sql, [value]))
    assert (found, type(found), null) == (expected, type(expected), nothing)
    if isinstance(expected, dt.datetime):
        assert found.tzinfo is expected.tzinfo is dt.UTC


def test_json_comes_parsed(database: DatabaseWrapper) -> None:
    """Django's cursor leaves that to its JSONField."""
    assert database.run(("SELECT %s::jsonb", [Jsonb({"a": [1, None]})])) == [[({"a": [1, None]},)]]


@pytest.mark.parametrize("kind", ["date", "timestamptz"])
@pytest.mark.parametrize("text", ["infinity", "-infinity"])
def test_infinity_is_an_error(database: DatabaseWrapper, kind: str, text: str) -> None:
    with pytest.raises(DataError):
        database.run((f"SELECT %s::{kind}", [text]))
    assert database.run(ONE) == [[(1,)]]


@pytest.mark.parametrize("value", ["\0", "a\0b", ["a", "\0"], 2**63, -(2**63) - 1])
def test_what_postgresql_does_not_hold_is_an_error(database: DatabaseWrapper, value: Any) -> None:
    kind = {str: "text", list: "text[]", int: "bigint"}[type(value)]
    with pytest.raises(DataError):
        database.run((f"SELECT %s::{kind}", [value]))
    assert database.run(ONE) == [[(1,)]]


def test_messages_of_megabytes(database: DatabaseWrapper) -> None:
    """More than the sockets' buffers hold, in both directions at once."""
    text = "ä" * 4_000_000
    assert database.run(*[("SELECT %s::text", [text])] * 3) == [[(text,)]] * 3


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
    def interrupt(self: Any) -> None:
        raise KeyboardInterrupt

    database.run(ONE)
    broken = database.connection
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Connection, "wait_for_data", interrupt)
        database.run(("SELECT 'of the one'", []))
    assert broken.closed
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
    for _ in range(3):
        with pytest.raises(DataError):
            database.run(("SELECT 'fails', 1 / %s::bigint", [0]))
    assert len([text for text in prepared(database) if "fails" in text]) == 1


SPOILT = ("SELECT one FROM spoilt", NONE)


@pytest.fixture
def spoilt(database: DatabaseWrapper) -> None:
    """A plan that a migration has invalidated."""
    database.run(("CREATE TEMPORARY TABLE spoilt AS SELECT 1::int AS one", []))
    assert database.run(SPOILT) == [[(1,)]]
    database.run(("ALTER TABLE spoilt ALTER one TYPE text", []))


def test_a_plan_that_a_migration_has_spoilt_is_made_anew(spoilt: None, database: DatabaseWrapper) -> None:
    for _ in range(2):
        assert database.run(ONE, SPOILT) == [[(1,)], [("1",)]]


def test_it_is_made_anew_where_a_transaction_begins(spoilt: None, database: DatabaseWrapper) -> None:
    user = make_user()
    with transaction.atomic():
        assert database.run(rename(user), SPOILT, commit=True) == [[(user.pk,)], [("1",)]]
    assert is_committed(user)


def test_within_a_transaction_it_is_an_error_once(spoilt: None, database: DatabaseWrapper) -> None:
    """What has happened in it would be lost."""
    with pytest.raises(NotSupportedError), transaction.atomic():
        database.run(ONE)
        database.run(SPOILT)
    with transaction.atomic():
        database.run(ONE)
        assert database.run(SPOILT) == [[("1",)]]


def test_what_a_pooler_does_not_know_is_prepared_anew(database: DatabaseWrapper) -> None:
    database.run(ONE)
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    assert database.run(ONE) == [[(1,)]]


def test_a_server_that_leaves_in_between_is_an_outage(database: DatabaseWrapper) -> None:
    with pytest.raises(OperationalError):
        database.run(("SELECT pg_terminate_backend(pg_backend_pid())", []), ONE)
    assert database.run(ONE) == [[(1,)]]


def test_long_statements_are_not_prepared(database: DatabaseWrapper) -> None:
    database.run((f"SELECT '{'a' * kept.LONGEST}'", []))
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
