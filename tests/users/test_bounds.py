"""How much is kept of an account: sessions, and answers to requests with an Idempotency-Key."""

import datetime as dt
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from config.environment.rates import Rate
from tasks.models import Task
from tests.audited import events
from tests.client import Answer, Api
from tests.factories import PASSWORD, make_session, make_user
from tests.problems import problem_of, stored
from tests.races import at_once
from users.api import idempotency
from users.audit import Action
from users.models import IdempotencyKey, Session, User

# --- Sessions ---------------------------------------------------------------------------------------


def signed_in(user: User) -> Any:
    return Api().post("/api/auth/login", {"email": user.email, "password": PASSWORD}).json()


def test_of_a_hundred_live_sessions_the_least_recently_used_ends_at_the_next_sign_in(alice: User) -> None:
    now = timezone.now()
    opened = [make_session(alice) for _ in range(100)]
    for age, session in enumerate(opened):
        Session.objects.filter(pk=session.pk).update(last_used_at=now - dt.timedelta(minutes=age))
    assert events() == []
    access = signed_in(alice)["access"]
    kept = set(Session.objects.values_list("pk", flat=True))
    assert (len(kept), {session.pk for session in opened} - kept) == (100, {opened[-1].pk})
    assert len(Api().get("/api/users/me/sessions", authorization=f"Bearer {access}").json()) == 100
    assert [(event.action, event.details) for event in events()][0] == (Action.SESSIONS_ENDED, {"sessions": 1})


def test_more_than_a_hundred_from_before_the_bound_are_neither_listed_nor_kept(alice: User) -> None:
    now = timezone.now()
    Session.objects.bulk_create(Session(user=alice, created_at=now, last_used_at=now) for _ in range(1500))
    assert len(Api(alice).get("/api/users/me/sessions").json()) == 100
    assert Session.objects.count() == 501  # a thousand at a time
    signed_in(alice)
    assert Session.objects.count() == 100


def test_sign_ins_at_once_leave_a_hundred_sessions(transactional_db: None) -> None:
    alice, now = make_user(), timezone.now()
    Session.objects.bulk_create(Session(user=alice, created_at=now, last_used_at=now) for _ in range(97))
    at_once([partial(signed_in, alice)] * 8)
    assert Session.objects.count() == 100


# --- Answers ----------------------------------------------------------------------------------------


@pytest.fixture
def two_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of a task with 10,000 characters, so that there is room for two."""
    monkeypatch.setattr(idempotency, "MAX_BYTES", Rate(25_000, 86_400))


LONG = "x" * 10_000


def create(api: Api, key: str = "k1", **body: Any) -> Answer:
    return api.post("/api/me/tasks", {"title": "A", **body}, idempotency_key=key)


@pytest.mark.usefixtures("two_answers")
def test_past_its_bytes_a_key_is_refused_and_stores_nothing(as_alice: Api, bob: User) -> None:
    first = create(as_alice, description=LONG).json()
    assert create(as_alice, "k2", description=LONG).status_code == 201
    before = stored()
    problem = problem_of(create(as_alice, "k3", description=LONG), 409)
    assert (problem["code"], problem["limit"], stored()) == ("limit_reached", 25_000, before)
    assert create(as_alice, description=LONG).json() == first
    assert as_alice.post("/api/me/tasks", {"title": "A", "description": LONG}).status_code == 201
    assert create(Api(bob), "k3", description=LONG).status_code == 201


@pytest.mark.usefixtures("two_answers")
def test_what_was_refused_took_no_bytes(as_alice: Api) -> None:
    for _ in range(3):
        assert create(as_alice, title="", description=LONG).status_code == 400
    assert create(as_alice, "k1", description=LONG).status_code == 201
    assert create(as_alice, "k2", description=LONG).status_code == 201
    for _ in range(3):
        assert create(as_alice, "k3", description=LONG).status_code == 409
    assert create(as_alice, "k3").status_code == 201  # a short one fits


@pytest.mark.usefixtures("two_answers")
def test_a_day_later_there_is_room_again(as_alice: Api) -> None:
    assert [create(as_alice, key, description=LONG).status_code for key in ("k1", "k2", "k3")] == [201, 201, 409]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE config_rate_limit SET resets_at = now() - interval '1 ms'")
    assert create(as_alice, "k3", description=LONG).status_code == 201


def test_answers_without_a_body_take_room_too(monkeypatch: pytest.MonkeyPatch, alice: User) -> None:
    monkeypatch.setattr(idempotency, "MAX_BYTES", Rate(1100, 86_400))
    body = {"email": "nobody@example.com"}
    answers = [Api().post("/api/auth/forgot-password", body, idempotency_key=key) for key in ("k1", "k2", "k3")]
    assert [answer.status_code for answer in answers] == [202, 202, 409]


@pytest.mark.usefixtures("transactional_db")
def test_of_many_at_once_no_more_than_fit_are_kept(two_answers: None) -> None:
    user = make_user()
    apis = [Api(user) for _ in range(6)]
    calls = [partial(create, api, f"k{number}", description=LONG) for number, api in enumerate(apis)]
    assert sorted(answer.status_code for answer in at_once(calls)) == [201] * 2 + [409] * 4
    assert Task.objects.count() == IdempotencyKey.objects.count() == 2
