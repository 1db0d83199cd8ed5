"""Idempotency-Key: a request that is sent twice takes effect once, whatever happens in between."""

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.db import connection, connections, transaction
from django.utils.crypto import salted_hmac

from config.database.isolation import all_users
from config.database.queries import Raw
from tasks.models import Task
from tests.client import Answer, Api
from tests.factories import head_of, make_task, make_user
from tests.pages import wait_for_a_lock
from tests.problems import exact, places_of, problem_of, stored
from tests.races import at_once, short_and_full
from users import services
from users.models import IdempotencyKey, User
from users.resources import feed

TASK = {"title": "Once"}


def create(api: Api, key: str = "k1", **body: Any) -> Answer:
    return api.post("/api/me/tasks", {**TASK, **body}, idempotency_key=key, x_request_id="same")


def is_replayed(answer: Answer) -> bool:
    return "Idempotency-Replayed" in answer and answer["Idempotency-Replayed"] == "true"


def but_for_the_mark(answer: Answer) -> list[Any]:
    return [part for part in exact(answer) if part != ("Idempotency-Replayed", "true")]


# --- The scenario table -----------------------------------------------------------------------------


def test_the_same_request_replays_the_stored_answer(as_alice: Api) -> None:
    first, second = create(as_alice), create(as_alice)
    assert (first.status_code, is_replayed(first), is_replayed(second)) == (201, False, True)
    assert but_for_the_mark(first) == but_for_the_mark(second)
    assert first["Location"] and first["ETag"] == '"1"'
    assert Task.objects.count() == 1


def test_a_key_from_before_an_upgrade_still_counts(as_alice: Api, alice: User) -> None:
    """Stored under a digest of these parts and this salt: when a module moves, they stay."""
    create(as_alice)
    parts = json.dumps([f"user {alice.pk}", "POST tasks []", "k1"], separators=(",", ":"))
    digest = salted_hmac("users.idempotency", parts, algorithm="sha256").hexdigest()
    assert IdempotencyKey.objects.get().digest == digest


def test_the_stored_answer_stays_as_it_was(as_alice: Api) -> None:
    first = create(as_alice)
    as_alice.patch(f"/api/me/tasks/{first.json()['id']}", {"title": "Changed"})
    assert create(as_alice).json()["title"] == "Once"


def test_the_order_of_members_makes_no_other_request(as_alice: Api) -> None:
    create(as_alice, priority="high", tags=["a"])
    body = {"tags": ["a"], "priority": "high", **TASK}
    assert is_replayed(as_alice.post("/api/me/tasks", body, idempotency_key="k1"))


def test_another_body_is_refused(as_alice: Api) -> None:
    create(as_alice)
    before = stored()
    answer = create(as_alice, title="Twice")
    assert problem_of(answer, 422)["code"] == "idempotency_key_reused"
    assert stored() == before


def test_me_and_the_own_id_are_one_route(as_alice: Api, alice: User) -> None:
    create(as_alice)
    assert is_replayed(as_alice.post(f"/api/{alice.public_id}/tasks", TASK, idempotency_key="k1"))


def test_another_users_same_key_is_another_key(as_alice: Api, bob: User) -> None:
    create(as_alice)
    answer = create(Api(bob))
    assert (answer.status_code, is_replayed(answer), answer.json()["user_id"]) == (201, False, bob.public_id)


def test_another_route_or_object_is_another_request(as_alice: Api, alice: User) -> None:
    create(as_alice)
    one, two = make_task(alice), make_task(alice)
    for path in (f"/api/me/tasks/{one.pk}", f"/api/me/tasks/{two.pk}", f"/api/me/tasks/{one.pk}/complete"):
        assert not is_replayed(as_alice.patch(path, {"completed": True}, idempotency_key="k1"))
    assert Task.objects.completed().count() == 2


def test_a_toggle_that_is_repeated_toggles_once(as_alice: Api, alice: User) -> None:
    path = f"/api/me/tasks/{make_task(alice).pk}/complete"
    assert [as_alice.patch(path, idempotency_key="k1").json()["completed"] for _ in "123"] == [True] * 3
    assert Task.objects.get().version == 2


REFUSED: dict[str, tuple[int, Callable[[Api, Task], Answer]]] = {
    "failed validation": (400, lambda api, task: create(api, title="")),
    "stale version": (
        412,
        lambda api, task: api.patch(
            f"/api/me/tasks/{task.pk}", {"title": "B"}, idempotency_key="k1", if_match='"9"'
        ),
    ),
    "no such task": (404, lambda api, task: api.patch("/api/me/tasks/0", TASK, idempotency_key="k1")),
    "uid taken": (409, lambda api, task: create(api, uid=task.uid)),
    "foreign path": (403, lambda api, task: api.post("/api/0/tasks", TASK, idempotency_key="k1")),
}  # fmt: skip


@pytest.mark.parametrize(("status", "attempt"), REFUSED.values(), ids=list(REFUSED))
def test_a_refused_request_stores_nothing(
    as_alice: Api, alice: User, status: int, attempt: Callable[[Api, Task], Answer]
) -> None:
    task = make_task(alice)
    before = stored()
    assert attempt(as_alice, task).status_code == status
    assert stored() == before
    assert create(as_alice).status_code == 201  # with the same key


def test_a_key_expires_after_24_hours(as_alice: Api, alice: User) -> None:
    create(as_alice)
    now = dt.datetime.now(dt.UTC)
    with time_machine.travel(now + dt.timedelta(hours=23)):
        assert is_replayed(create(Api(alice)))
    with time_machine.travel(now + dt.timedelta(hours=25)):
        assert not is_replayed(create(Api(alice), title="Another"))
        assert is_replayed(create(Api(alice), title="Another"))
    assert (Task.objects.count(), IdempotencyKey.objects.count()) == (2, 1)


def test_what_has_expired_is_swept_whoever_it_belongs_to(as_alice: Api, bob: User) -> None:
    """By one request of a hundred."""
    create(Api(bob))
    with time_machine.travel(dt.datetime.now(dt.UTC) + dt.timedelta(hours=25)):
        as_alice = Api(as_alice.user)
        keys = (f"key-{number}" for number in range(2000))
        assert any(create(as_alice, key) and not IdempotencyKey.objects.filter(user=bob).exists() for key in keys)


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256, "a\tb", "\x7f"])
def test_a_key_that_is_none_is_refused(as_alice: Api, key: str) -> None:
    before = stored()
    assert places_of(create(as_alice, key), "header") == ["Idempotency-Key"]
    assert stored() == before


@pytest.mark.parametrize("key", ["x", "x" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "!~"])
def test_any_visible_ascii_serves(as_alice: Api, key: str) -> None:
    create(as_alice, key)
    assert is_replayed(create(as_alice, key))


def test_neither_key_nor_address_is_stored(as_alice: Api) -> None:
    create(as_alice, "a-canary-key")
    Api().post("/api/auth/forgot-password", {"email": "x"}, idempotency_key="a-canary-key")
    rows = repr(list(IdempotencyKey.objects.values()))
    assert IdempotencyKey.objects.count() == 2
    assert "canary" not in rows and "127.0.0.1" not in rows


# --- Races and crashes ------------------------------------------------------------------------------


NOTHING = Raw("SELECT head FROM taken", [])


class Holder(threading.Thread):
    """Another transaction that holds a user's feed, so that a write of that user waits in the middle."""

    def __init__(self, user: User) -> None:
        super().__init__()
        self.user, self.holds, self.release = user, threading.Event(), threading.Event()

    @all_users()
    def run(self) -> None:
        with transaction.atomic():
            feed.advance(self.user, NOTHING)
            self.holds.set()
            self.release.wait(20)
            transaction.set_rollback(True)
        connections.close_all()


@pytest.fixture
def user(transactional_db: None) -> User:
    user = make_user()
    make_task(user)
    return user


@pytest.fixture
def held(user: User) -> Iterator[Holder]:
    holder = Holder(user)
    holder.start()
    assert holder.holds.wait(20)
    yield holder
    holder.release.set()
    holder.join()


class Waiting(threading.Thread):
    """A keyed request on its way."""

    def __init__(self, api: Api) -> None:
        super().__init__()
        self.api = api
        self.start()
        wait_for_a_lock()

    def run(self) -> None:
        self.answer = create(self.api)
        connections.close_all()


def test_a_request_that_is_still_in_flight_is_told(user: User, held: Holder) -> None:
    api = Api(user)
    first = Waiting(api)
    second = create(api)
    assert (problem_of(second, 409)["code"], second["Retry-After"]) == ("idempotency_key_in_flight", "1")
    held.release.set()
    first.join()
    assert first.answer.status_code == 201
    assert is_replayed(create(api))


def test_a_crash_in_between_rolls_the_key_back_with_the_effect(user: User, held: Holder) -> None:
    api = Api(user)
    first = Waiting(api)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
    first.join()
    assert problem_of(first.answer, 503)["code"] == "database_unavailable"
    held.release.set()
    held.join()
    assert (Task.objects.count(), IdempotencyKey.objects.count()) == (1, 0)
    retried = create(api)
    assert (retried.status_code, is_replayed(retried), Task.objects.count()) == (201, False, 2)


@pytest.mark.parametrize("count", short_and_full(10, 100))
def test_20_threads_with_the_same_keys_make_exactly_one_task_of_each(transactional_db: None, count: int) -> None:
    """Every answer is 201, replayed or not, or 409 for one in flight; who retries gets the one answer."""
    user = make_user()
    keys = [str(uuid4()) for _ in range(count)]

    def send_all() -> list[tuple[str, int, int | None]]:
        api, seen = Api(user), []
        for key in keys:
            answer = create(api, key)
            seen.append((key, answer.status_code, answer.json().get("id")))
            while answer.status_code == 409:
                time.sleep(0.001)
                answer = create(api, key)
            seen.append((key, answer.status_code, answer.json()["id"]))
        return seen

    answers = [answer for seen in at_once([send_all] * 20) for answer in seen]
    assert {status for _, status, _ in answers} <= {201, 409}
    ids = {key: {task for each, status, task in answers if (each, status) == (key, 201)} for key in keys}
    assert [len(tasks) for tasks in ids.values()] == [1] * count
    assert Task.objects.count() == IdempotencyKey.objects.count() == count
    assert head_of(user) == count


def test_an_account_deleted_meanwhile_is_told_so(user: User, transactional_db: None) -> None:
    api = Api(user)
    calls = [lambda n=n: create(api, f"k{n}") for n in range(6)] + [lambda: services.delete_account(user)]
    statuses = {answer.status_code for answer in at_once(calls)[:6]}
    assert statuses <= {201, 401}
    assert (Task.objects.count(), IdempotencyKey.objects.count()) == (0, 0)
