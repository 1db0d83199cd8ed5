"""Row level security: what PostgreSQL shows to whom, whatever the code asks for."""

import threading
from collections.abc import Callable, Iterator
from contextvars import Context
from typing import Any

import pytest
from django.db import ProgrammingError, connection, transaction
from django.db.models import Model
from django.db.transaction import TransactionManagementError

from config.database import isolation, session
from config.database.isolation import NOBODY, all_users, as_user
from tasks.models import Task, TaskTag
from tests.client import Api
from tests.factories import make_session, make_task, make_user
from users import exports
from users.models import Feed, IdempotencyKey, Session, User

WITH_ROWS: list[type[Model]] = [User, Session, IdempotencyKey, Feed, Task, TaskTag]


@pytest.fixture
def both(alice: User, bob: User) -> None:
    """Each has a row in every table."""
    for user in (alice, bob):
        api = Api(user)
        assert api.post(api.tasks, {"title": "A", "tags": ["a"]}, idempotency_key="key").status_code == 201


def _nobody() -> Any:
    return isolation.nobody()


def fetch(sql: str, *params: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else []


# --- What the policies say --------------------------------------------------------------------------


@pytest.mark.django_db
def test_every_table_of_users_has_one_policy_for_reads_and_writes() -> None:
    """Any model that refers to the user: whoever adds one and forgets `isolate()` reads it here."""
    tables = isolation.tables_of_users()
    policies = fetch("SELECT tablename, permissive, roles::text, cmd, qual = with_check FROM pg_policies")
    assert sorted(policies) == [(table, "PERMISSIVE", "{public}", "ALL", True) for table in sorted(tables)]
    assert isolation.exposed_tables() == {}


@pytest.mark.parametrize("model", WITH_ROWS)
def test_nobody_sees_nothing_and_a_user_sees_the_own_rows(both: None, alice: User, bob: User, model: Any) -> None:
    with _nobody():
        assert list(model.objects.all()) == []
    owner = "pk" if model is User else "user_id"
    for user in (alice, bob):
        with as_user(user.pk):
            assert set(model.objects.values_list(owner, flat=True)) == {user.pk}
    assert set(model.objects.values_list(owner, flat=True)) == {alice.pk, bob.pk}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM tasks_task WHERE id = %(task)s",
        "SELECT id FROM tasks_task WHERE id = %(task)s FOR UPDATE",
        "WITH all_tasks AS (SELECT * FROM tasks_task) SELECT id FROM all_tasks WHERE id = %(task)s",
        "UPDATE tasks_task SET title = 'mine' WHERE id = %(task)s RETURNING id",
        "DELETE FROM tasks_task WHERE id = %(task)s RETURNING id",
        "SELECT email FROM users_user WHERE id = %(owner)s",
        "SELECT user_agent FROM users_session WHERE user_id = %(owner)s",
        "SELECT head FROM tasks_feed WHERE user_id = %(owner)s",
        "SELECT tag_key FROM tasks_tasktag WHERE user_id = %(owner)s",
        "SELECT body FROM users_idempotencykey WHERE user_id = %(owner)s",
    ],
)
def test_raw_sql_does_not_reach_the_rows_of_another(both: None, alice: User, bob: User, sql: str) -> None:
    names = {"task": Task.objects.get(user=alice).pk, "owner": alice.pk}
    with as_user(bob.pk), connection.cursor() as cursor:
        cursor.execute(sql, names)
        assert cursor.fetchall() == []
    with connection.cursor() as cursor:  # that there was something to find
        cursor.execute(sql, names)
        assert len(cursor.fetchall()) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE tasks_task SET user_id = %(other)s WHERE user_id = %(caller)s",
        "UPDATE users_session SET user_id = %(other)s WHERE user_id = %(caller)s",
        "INSERT INTO tasks_feed (user_id, head, floor) VALUES (%(other)s, 1, 0)",
        "UPDATE tasks_tasktag SET user_id = %(other)s WHERE user_id = %(caller)s",
    ],
)
def test_no_row_is_written_for_another(both: None, alice: User, bob: User, sql: str) -> None:
    make_session(bob)
    Task.objects.filter(user=alice).delete()
    Feed.objects.filter(user=alice).delete()
    with (
        as_user(bob.pk),
        pytest.raises(ProgrammingError, match="violates row-level security policy"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql, {"caller": bob.pk, "other": alice.pk})


def test_a_list_is_still_read_in_the_order_of_its_index(alice: User) -> None:
    """An OR in the policy would make the planner expect next to no rows of a user, and sort them all."""
    people = [alice, *(make_user() for _ in range(30))]
    fetch(
        "INSERT INTO tasks_task (user_id, uid, title, description, status, priority, tags, created_at, updated_at,"
        " version, tag_keys, search_text, title_key) SELECT person, n::text, 'A', '', 'pending', 'medium', '{}',"
        " now() - n * interval '1 minute', now(), n, '{}', 'a', 'a' FROM unnest(%s) person, generate_series(1, 1000) n",
        [person.pk for person in people],
    )
    fetch("ANALYZE tasks_task")
    with as_user(alice.pk):
        plan = Task.objects.for_user(alice).visible().order_by("-created_at", "-pk")[:101].explain()
    assert "tasks_task_list" in plan
    assert "Sort" not in plan


# --- How PostgreSQL is told -------------------------------------------------------------------------


def test_the_name_ends_with_its_transaction(transactional_db: None) -> None:
    """A kept connection carries nothing over, whether a transaction ended well or not, or was a single statement."""
    user = make_user()
    with as_user(user.pk):
        assert User.objects.count() == 1
        assert _as_the_server_knows() in (None, "")
        with transaction.atomic():
            assert User.objects.count() == 1
            assert _as_the_server_knows() == str(user.pk)
            transaction.set_rollback(True)
        assert _as_the_server_knows() == ""
        with transaction.atomic():
            assert User.objects.count() == 1
    assert _as_the_server_knows() == ""


def _as_the_server_knows() -> Any:
    """Asked past Django, and so past the wrapper that tells."""
    row = connection.connection.execute("SELECT current_setting('tickbase.user_id', true)").fetchone()
    return row[0]


def test_who_asks_can_change_within_a_transaction(alice: User, bob: User) -> None:
    with as_user(alice.pk):
        assert list(User.objects.all()) == [alice]
        with as_user(bob.pk):
            assert list(User.objects.all()) == [bob]
        with _nobody():
            assert list(User.objects.all()) == []
        assert list(User.objects.all()) == [alice]


def test_a_rolled_back_savepoint_takes_no_name_along(alice: User, bob: User) -> None:
    def fail() -> None:
        with transaction.atomic():
            with as_user(bob.pk):
                assert list(User.objects.all()) == [bob]
            raise ZeroDivisionError

    with as_user(alice.pk):
        assert list(User.objects.all()) == [alice]
        with pytest.raises(ZeroDivisionError):
            fail()
        assert list(User.objects.all()) == [alice]
        with pytest.raises(ZeroDivisionError):
            fail()
    with as_user(bob.pk):
        assert list(User.objects.all()) == [bob]


def test_after_a_failed_statement_the_next_one_is_told_again(alice: User, bob: User) -> None:
    """Undoing it made PostgreSQL take whoever asks next for alice."""
    with as_user(alice.pk):
        assert list(User.objects.all()) == [alice]
        with pytest.raises(ProgrammingError), transaction.atomic():
            isolation.enter(bob.pk)
            fetch("SELECT no_such_column FROM users_user")
        assert list(User.objects.all()) == [bob]


def test_a_savepoint_is_rolled_back_to_who_asked_then(alice: User, bob: User) -> None:
    with _nobody():
        with all_users():
            savepoint = transaction.savepoint()
        with as_user(bob.pk):
            assert list(User.objects.all()) == [bob]
        transaction.savepoint_rollback(savepoint)
        assert list(User.objects.all()) == []


def test_where_nothing_is_said_nothing_remains(alice: User) -> None:
    """As in a script, which is within no request and no command."""

    def script() -> tuple[list[User], list[User]]:
        with as_user(alice.pk):
            own = list(User.objects.all())
        return own, list(User.objects.all())

    assert Context().run(script) == ([alice], [])


@pytest.mark.parametrize("before", ["/* why */ ", "-- why\n", "(", "\n "])
def test_a_statement_is_told_whatever_stands_before_it(transactional_db: None, before: str) -> None:
    user = make_user()
    with as_user(user.pk):
        assert fetch(f"{before}SELECT id FROM users_user{')' if before == '(' else ''}") == [(user.pk,)]


def test_many_at_once_need_a_transaction(transactional_db: None) -> None:
    with connection.cursor() as cursor, pytest.raises(TransactionManagementError, match="need a transaction"):
        cursor.executemany("UPDATE users_user SET name = 'x' WHERE id = %s", [[1], [2]])


def test_statements_that_must_stand_alone_do(transactional_db: None) -> None:
    with all_users(), connection.cursor() as cursor:
        cursor.execute("VACUUM users_session")


def test_many_at_once_are_told_before(alice: User, bob: User) -> None:
    with as_user(alice.pk), connection.cursor() as cursor:
        cursor.executemany("UPDATE users_user SET name = 'x' WHERE id = %s", [[alice.pk], [bob.pk]])
    assert set(User.objects.values_list("name", flat=True)) == {"x", "bob"}


@pytest.mark.parametrize("user_id", [0, -1])
def test_no_user_is_everybody(user_id: int) -> None:
    with pytest.raises(ValueError, match="no user's id"), as_user(user_id):
        pass


# --- Who asks ---------------------------------------------------------------------------------------


def tenant() -> str:
    return session._current.get().get(isolation._SETTING, NOBODY)


@pytest.fixture
def asked(db: None) -> Iterator[list[str]]:
    """Who asked in the statements that the service sent."""
    seen: list[str] = []

    def note(execute: Callable[..., Any], *args: Any) -> Any:
        seen.append(tenant())
        return execute(*args)

    with connection.execute_wrapper(note):
        yield seen


def test_a_request_asks_as_its_caller_from_the_first_statement(alice: User, asked: list[str]) -> None:
    api, task = Api(alice), make_task(alice)
    asked.clear()
    assert api.patch(f"{api.tasks}/{task.pk}", {"title": "B"}).status_code == 200
    assert set(asked) == {str(alice.pk)}


@pytest.mark.parametrize("kind", ["no token", "wrong token", "ended session"])
def test_a_refused_request_asks_for_nobody(alice: User, asked: list[str], kind: str) -> None:
    api = Api(None if kind == "no token" else alice)
    if kind == "wrong token":
        api.client.credentials(HTTP_AUTHORIZATION="Bearer x.y.z")
    Session.objects.all().delete()
    asked.clear()
    assert api.get(api.tasks).status_code == 401
    assert set(asked) == ({str(alice.pk)} if kind == "ended session" else set())


def test_a_request_leaves_nothing_behind(alice: User) -> None:
    api = Api(alice)
    with _nobody():
        assert api.get(api.tasks).status_code == 200
        assert tenant() == NOBODY
        assert list(Task.objects.all()) == []


def test_whoever_does_not_say_who_is_nobody(asked: list[str]) -> None:
    assert Api().get("/readyz").status_code == 200
    assert set(asked) == {NOBODY}


def test_a_sign_in_sees_all_until_it_knows_who(alice: User, asked: list[str]) -> None:
    """Finding out who somebody is takes the sight of all; what follows is done for the one."""
    answer = Api().post("/api/auth/login", {"email": alice.email, "password": "correct horse battery"})
    assert answer.status_code == 200
    assert asked[0] == isolation.ALL
    assert set(asked[1:]) == {str(alice.pk)}


def test_an_export_is_written_for_its_user_wherever_it_is_read(transactional_db: None) -> None:
    """The server reads it after the middleware has ended, and may do so in other threads."""
    user = make_user()
    pieces: list[bytes] = []
    make_task(user, title="Exported")
    make_task(make_user(), title="Foreign")
    stream = exports.stream(user)

    def read() -> None:
        pieces.extend(stream)
        connection.close()

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    document = b"".join(pieces)
    assert b"Exported" in document
    assert b"Foreign" not in document
