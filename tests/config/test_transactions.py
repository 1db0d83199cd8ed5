"""Deadlocks and serialization failures: what PostgreSQL ended is run anew, and takes effect once."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import psycopg
import pytest
from django.core import mail as outbox
from django.db import OperationalError, connection, connections, transaction
from django.utils import timezone
from psycopg import sql
from pytest_django import Settings

from config.database.isolation import all_users
from config.database.transactions import retried_transaction
from config.operations import work
from tasks import services
from tasks.models import Task
from tests.client import Answer, Api
from tests.factories import PASSWORD, make_session, make_task, make_user
from tests.pages import Page, signed_in, submit, wait_for_a_lock
from tests.problems import problem_of, stored
from tests.races import Rival, lock
from users.models import Feed, IdempotencyKey, Session, User

pytestmark = pytest.mark.thorough

NEW = "new@example.com"
NEW_PASSWORD = "staple the battery"


@pytest.fixture
def user(transactional_db: None) -> User:
    user = make_user()
    make_task(user)
    make_session(user)
    return user


class Case(NamedTuple):
    """A request, and the locks that it takes: the rival takes them in the other order."""

    request: Callable[[Api, Task], Answer]
    locks: Callable[[User], tuple[Any, Any]]
    has_taken_effect: Callable[[User], bool]


def task_rows(user: User) -> tuple[Any, Any]:
    return Feed.objects.filter(user=user), Task.objects.filter(user=user)


def session_rows(user: User) -> tuple[Any, Any]:
    return User.objects.filter(pk=user.pk), Session.objects.filter(user=user)


def is_at(version: int) -> Callable[[User], bool]:
    return lambda user: Task.objects.get(user=user).version == version == Feed.objects.get(user=user).head


CASES = {
    "createTask": Case(
        lambda api, task: api.post("/api/me/tasks", {"title": "A"}),
        lambda user: (User.objects.filter(pk=user.pk), Feed.objects.filter(user=user)),
        lambda user: sorted(Task.objects.values_list("version", flat=True)) == [1, 2],
    ),
    "updateTask": Case(lambda api, task: api.patch(f"/api/me/tasks/{task.pk}", {"title": "B"}), task_rows, is_at(2)),
    "updateTask with a key": Case(
        lambda api, task: api.patch(f"/api/me/tasks/{task.pk}", {"title": "B"}, idempotency_key="k1"),
        task_rows,
        is_at(2),
    ),
    "completeTask": Case(
        lambda api, task: api.patch(f"/api/me/tasks/{task.pk}/complete"),
        task_rows,
        lambda user: Task.objects.get().is_completed and is_at(2)(user),
    ),
    "deleteTask": Case(lambda api, task: api.delete(f"/api/me/tasks/{task.pk}"), task_rows, is_at(2)),
    "refreshTokens": Case(
        lambda api, task: Api().post("/api/auth/refresh", {"refresh": api.tokens.refresh}),
        session_rows,
        lambda user: sorted(user.sessions.values_list("generation", flat=True)) == [0, 1],
    ),
    "logout": Case(
        lambda api, task: Api().post("/api/auth/logout", {"refresh": api.tokens.refresh}),
        session_rows,
        lambda user: user.sessions.count() == 1,
    ),
    "changePassword": Case(
        lambda api, task: api.post(
            "/api/users/me/password", {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        ),
        session_rows,
        lambda user: User.objects.get().check_password(NEW_PASSWORD) and User.objects.get().token_version == 1,
    ),
    "changePassword with a key": Case(
        lambda api, task: api.post(
            "/api/users/me/password",
            {"current_password": PASSWORD, "new_password": NEW_PASSWORD},
            idempotency_key="k1",
        ),
        session_rows,
        lambda user: User.objects.get().check_password(NEW_PASSWORD) and User.objects.get().token_version == 1,
    ),
    "deleteMe": Case(
        lambda api, task: api.delete("/api/users/me"), session_rows, lambda user: not User.objects.exists()
    ),
}


def rival(case: Case, user: User, rounds: int) -> Rival:
    theirs, ours = case.locks(user)
    return Rival(lock(ours), lock(theirs), rounds)


def reruns(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "config.database.transactions"]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_deadlock_is_not_seen_by_the_client(user: User, case: Case, caplog: pytest.LogCaptureFixture) -> None:
    api = Api(user)
    with rival(case, user, rounds=1):
        answer = case.request(api, Task.objects.get())
    assert answer.status_code < 300, answer.content
    assert [message.partition(": ")[2] for message in reruns(caplog)] == ["DeadlockDetected"]
    assert case.has_taken_effect(user)


def test_two_deadlocks_in_a_row_are_not_seen_either(user: User, caplog: pytest.LogCaptureFixture) -> None:
    case, api = CASES["updateTask"], Api(user)
    with rival(case, user, rounds=2):
        assert case.request(api, Task.objects.get()).status_code == 200
    assert len(reruns(caplog)) == 2
    assert case.has_taken_effect(user)


@pytest.mark.parametrize("name", ["updateTask with a key", "changePassword"])
def test_of_a_third_the_client_is_told_and_nothing_is_stored(
    user: User, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    case, api = CASES[name], Api(user)
    before = stored()
    with rival(case, user, rounds=3):
        answer = case.request(api, Task.objects.get())
    assert problem_of(answer, 503)["code"] == "database_unavailable"
    assert int(answer["Retry-After"]) > 0
    assert (len(reruns(caplog)), stored()) == (2, before)
    assert case.request(api, Task.objects.get()).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_the_whole_request_with_a_key_is_run_anew_and_sends_one_mail(caplog: pytest.LogCaptureFixture) -> None:
    """The account is there and the mail is queued, when storing the key meets the rival."""

    def register() -> Answer:
        return Api().post("/api/auth/register", {"email": NEW, "password": PASSWORD}, idempotency_key="k1")

    register()
    IdempotencyKey.objects.update(expires_at=timezone.now(), user=None, session=None)  # it is stored anew
    User.objects.all().delete()
    work.drain("mails")
    outbox.outbox.clear()
    with Rival(lock(IdempotencyKey.objects.all()), lambda: make_user(email=NEW)):
        answer = register()
    work.drain("mails")
    assert (answer.status_code, "Idempotency-Replayed" in answer, len(outbox.outbox)) == (201, False, 1)
    assert reruns(caplog) == ["_Attempt._once is run anew: DeadlockDetected"]
    assert [user.email for user in User.objects.all()] == [NEW]


LIST = "/admin/tasks/task/"
ADMIN: dict[str, Callable[[User, Task], Page]] = {
    "change": lambda carol, task: submit(signed_in(carol), f"/admin/tasks/task/{task.pk}/change/", title="B"),
    "delete": lambda carol, task: submit(signed_in(carol), f"/admin/tasks/task/{task.pk}/delete/", post="yes"),
    "list": lambda carol, task: submit(signed_in(carol), LIST, **{"form-0-status": "completed", "_save": "Save"}),
}


@pytest.mark.parametrize("change", ADMIN.values(), ids=ADMIN)
def test_staff_does_not_see_a_deadlock_either(
    user: User, change: Callable[[User, Task], Page], caplog: pytest.LogCaptureFixture
) -> None:
    carol = make_user("carol", is_staff=True, is_superuser=True)
    with rival(CASES["updateTask"], user, rounds=1):
        page = change(carol, Task.objects.get())
    assert "successfully" in page.messages and page.messages.count("successfully") == 1
    assert len(reruns(caplog)) == 1
    assert is_at(2)(user)


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture(autouse=True, scope="module")
def quick_deadlocks(django_db_setup: None) -> None:
    """Found after 700 ms instead of a second."""
    host, name = connection.settings_dict["HOST"], connection.settings_dict["NAME"]
    with psycopg.connect(host=host, dbname=name, user="postgres", autocommit=True) as superuser:
        superuser.execute(sql.SQL("ALTER DATABASE {} SET deadlock_timeout = '700ms'").format(sql.Identifier(name)))
    connection.close()  # sessions keep what they began with


@pytest.fixture
def repeatable_read(transactional_db: None) -> Iterator[None]:
    """As an operator may set it for the whole server."""
    execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    yield
    execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED")


def test_a_serialization_failure_is_not_seen_by_the_client(
    user: User, repeatable_read: None, caplog: pytest.LogCaptureFixture
) -> None:
    task, api, holds = Task.objects.get(), Api(user), threading.Event()

    @all_users()
    def change_at_the_same_time() -> None:
        with transaction.atomic():
            services.update_task(user, task.pk, {"description": "theirs"})
            holds.set()
            wait_for_a_lock()
        connections.close_all()

    other = threading.Thread(target=change_at_the_same_time)
    other.start()
    assert holds.wait(20)
    answer = api.patch(f"/api/me/tasks/{task.pk}", {"title": "ours"})
    other.join()
    assert (answer.status_code, answer.json()["description"], answer.json()["version"]) == (200, "theirs", 3)
    assert [message.partition(": ")[2] for message in reruns(caplog)] == ["SerializationFailure"]


@pytest.mark.parametrize("limit", ["DATABASE_LOCK_TIMEOUT", "DATABASE_STATEMENT_TIMEOUT"])
def test_who_waits_too_long_is_told_and_not_run_anew(
    user: User, settings: Settings, limit: str, caplog: pytest.LogCaptureFixture
) -> None:
    task, api = Task.objects.get(), Api(user)
    before, release, holds = stored(), threading.Event(), threading.Event()

    @all_users()
    def hold() -> None:
        with transaction.atomic():
            lock(Feed.objects.filter(user=user))()
            holds.set()
            release.wait(20)
        connections.close_all()

    other = threading.Thread(target=hold)
    other.start()
    assert holds.wait(20)
    setattr(settings, limit, 0.1)
    answer = api.patch(f"/api/me/tasks/{task.pk}", {"title": "B"})
    release.set()
    other.join()
    assert problem_of(answer, 503)["code"] == "database_unavailable"
    assert int(answer["Retry-After"]) > 0
    assert (reruns(caplog), stored()) == ([], before)


def test_what_runs_within_another_transaction_is_left_to_that_one(user: User) -> None:
    runs: list[int] = []

    @retried_transaction
    def update() -> None:
        runs.append(1)
        services.update_task(user, Task.objects.get().pk, {"title": "B"})

    with rival(CASES["updateTask"], user, rounds=1), pytest.raises(OperationalError), transaction.atomic():
        update()
    assert runs == [1]
