"""Sessions: refresh tokens rotate, a stolen one ends its family, and whatever is ended is over at once."""

import datetime as dt
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import jwt
import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from tests.audited import events
from tests.client import Answer, Api
from tests.factories import PASSWORD, make_session, make_task, make_user
from tests.problems import exact, problem_of, stored
from tests.races import at_once, short_and_full
from users import services
from users.models import Session, User
from users.tokens import own

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


def refresh(token: str, **headers: str) -> Answer:
    return Api().post("/api/auth/refresh", {"refresh": token}, **headers)


def signed_in(user: User) -> dict[str, Any]:
    answer = Api().post("/api/auth/login", {"email": user.email, "password": PASSWORD}, user_agent=FIREFOX)
    body: dict[str, Any] = answer.json()
    return body


def works(access: str) -> bool:
    return Api().get("/api/users/me", authorization=f"Bearer {access}").status_code == 200


# --- Opening and listing ----------------------------------------------------------------------------


def test_signing_in_opens_a_session_that_is_listed(alice: User) -> None:
    pair = signed_in(alice)
    session = Session.objects.get()
    [listed] = Api().get("/api/users/me/sessions", authorization=f"Bearer {pair['access']}").json()
    assert (listed["id"], listed["user_agent"], listed["address"]) == (str(session.pk), FIREFOX, "127.0.0.1")
    assert listed["created_at"] == listed["last_used_at"]
    assert listed["current"] is True
    expires, created = (dt.datetime.fromisoformat(listed[name]) for name in ("expires_at", "created_at"))
    assert expires - created == dt.timedelta(days=30)


def test_the_list_marks_the_current_session_and_knows_no_others(alice: User, bob: User) -> None:
    make_session(bob)
    other, api = make_session(alice, user_agent="phone"), Api(alice)
    listed = api.get("/api/users/me/sessions").json()
    assert [(session["user_agent"], session["current"]) for session in listed] == [("", True), ("phone", False)]
    assert listed[1]["id"] == str(other.pk)


def test_the_list_costs_the_same_however_long_it_is(as_alice: Api, alice: User) -> None:
    for _ in range(5):
        make_session(alice)
    with CaptureQueriesContext(connection) as captured:
        assert len(as_alice.get("/api/users/me/sessions").json()) == 6
    assert len(captured) == 2


def test_expired_sessions_are_not_listed(alice: User) -> None:
    with time_machine.travel(dt.datetime.now(dt.UTC) - dt.timedelta(days=31)):
        make_session(alice)
    assert len(Api(alice).get("/api/users/me/sessions").json()) == 1


@pytest.mark.parametrize(("user_agent", "kept"), [("x" * 5000, "x" * 300), ("a\0b", "ab"), ("é\udcff", "é"), ("", "")])
def test_any_user_agent_may_sign_in(alice: User, user_agent: str, kept: str) -> None:
    credentials = {"email": alice.email, "password": PASSWORD}
    assert Api().post("/api/auth/login", credentials, user_agent=user_agent).status_code == 200
    assert Session.objects.get().user_agent == kept


def test_no_token_is_stored(alice: User) -> None:
    first = signed_in(alice)
    second = refresh(first["refresh"], idempotency_key="k1").json()
    with connection.cursor() as cursor:
        cursor.execute("SELECT s::text FROM users_session s UNION ALL SELECT k::text FROM users_idempotencykey k")
        rows = " ".join(row for (row,) in cursor.fetchall())
    assert str(Session.objects.get().pk) in rows
    for token in (first["access"], first["refresh"], second["access"], second["refresh"]):
        assert token not in rows
        assert token.split(".")[2] not in rows


# --- Rotation ---------------------------------------------------------------------------------------


def test_refresh_answers_the_next_pair_of_the_session(alice: User) -> None:
    first = signed_in(alice)
    second = refresh(first["refresh"]).json()
    claims = [jwt.decode(pair["refresh"], options={"verify_signature": False}) for pair in (first, second)]
    assert claims[0]["sid"] == claims[1]["sid"] == str(Session.objects.get().pk)
    assert (claims[0]["gen"], claims[1]["gen"]) == (0, 1)
    assert claims[0]["jti"] != claims[1]["jti"]
    assert works(second["access"])


def test_the_token_just_rotated_brings_the_same_successor_for_ten_seconds(alice: User) -> None:
    first = signed_in(alice)
    with time_machine.travel(dt.datetime.now(dt.UTC), tick=False) as clock:
        successor = refresh(first["refresh"]).json()
        clock.shift(10)
        again = refresh(first["refresh"]).json()
    assert (again["refresh"], again["access"]) == (successor["refresh"], successor["access"])
    assert (successor["expires_in"], again["expires_in"]) == (600, 590)
    assert Session.objects.get().generation == 1


def test_later_it_is_a_replay_which_ends_the_session(alice: User) -> None:
    first = signed_in(alice)
    with time_machine.travel(dt.datetime.now(dt.UTC), tick=False) as clock:
        successor = refresh(first["refresh"]).json()
        clock.shift(11)
        assert problem_of(refresh(first["refresh"]), 401)["code"] == "token_reused"
        assert not Session.objects.exists()
        assert not works(successor["access"])
        assert problem_of(refresh(successor["refresh"]), 401)["code"] == "invalid_token"


def test_the_token_before_the_last_is_a_replay_at_once(alice: User) -> None:
    first = signed_in(alice)
    second = refresh(first["refresh"]).json()
    third = refresh(second["refresh"]).json()
    assert problem_of(refresh(first["refresh"]), 401)["code"] == "token_reused"
    assert not works(third["access"])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("headers", [{}, {"idempotency_key": "k1"}], ids=["plain", "with a key"])
def test_the_end_of_a_session_outlasts_the_refusal(headers: dict[str, str]) -> None:
    """With a key, the whole request is one transaction, and a refusal rolls it back."""
    first = signed_in(make_user())
    refresh(refresh(first["refresh"]).json()["refresh"])
    assert refresh(first["refresh"], **headers).status_code == 401
    assert not Session.objects.exists()


def test_a_replay_leaves_other_sessions_alone(alice: User) -> None:
    first, elsewhere = signed_in(alice), signed_in(alice)
    refresh(refresh(first["refresh"]).json()["refresh"])
    refresh(first["refresh"])
    assert works(elsewhere["access"])
    assert refresh(elsewhere["refresh"]).status_code == 200


def test_a_refresh_token_lives_thirty_days_from_its_last_use(alice: User) -> None:
    pair = signed_in(alice)
    now = dt.datetime.now(dt.UTC)
    with time_machine.travel(now + dt.timedelta(days=29)):
        pair = refresh(pair["refresh"]).json()
    with time_machine.travel(now + dt.timedelta(days=58)):
        pair = refresh(pair["refresh"]).json()
    with time_machine.travel(now + dt.timedelta(days=89)):
        assert refresh(pair["refresh"]).status_code == 401


@pytest.mark.thorough
@pytest.mark.usefixtures("transactional_db")
@pytest.mark.parametrize("rounds", short_and_full(15, 100))
def test_rounds_of_8_parallel_refreshes_have_one_successor_each_and_log_nobody_out(rounds: int) -> None:
    """Plain simplejwt has several winners in 19 of 20 such rounds."""
    token = signed_in(make_user())["refresh"]
    rounds_with_several = rounds_logged_out = 0
    for _ in range(rounds):
        answers = at_once([partial(refresh, token)] * 8)
        successors = {answer.json().get("refresh") for answer in answers}
        rounds_logged_out += {answer.status_code for answer in answers} != {200}
        rounds_with_several += len(successors) != 1
        (token,) = successors
    assert (rounds_with_several, rounds_logged_out) == (0, 0)
    assert Session.objects.get().generation == rounds


# --- Ending -----------------------------------------------------------------------------------------


def is_over(pair: dict[str, Any]) -> bool:
    """Both tokens are refused, at the very next request."""
    return not works(pair["access"]) and refresh(pair["refresh"]).status_code == 401


def test_logout_ends_its_own_session(alice: User) -> None:
    here, elsewhere = signed_in(alice), signed_in(alice)
    answer = Api().post("/api/auth/logout", {"refresh": here["refresh"]})
    assert (answer.status_code, answer.content) == (204, b"")
    assert is_over(here)
    assert works(elsewhere["access"])


def test_logging_out_twice_or_with_an_older_token_is_no_error(alice: User) -> None:
    first = signed_in(alice)
    refresh(first["refresh"])
    assert [Api().post("/api/auth/logout", {"refresh": first["refresh"]}).status_code for _ in "12"] == [204, 204]
    assert not Session.objects.exists()


def test_one_session_can_be_ended(alice: User) -> None:
    elsewhere, api = signed_in(alice), Api(alice)
    session_id = jwt.decode(elsewhere["access"], options={"verify_signature": False})["sid"]
    assert api.delete(f"/api/users/me/sessions/{session_id}").status_code == 204
    assert is_over(elsewhere)
    assert api.delete(f"/api/users/me/sessions/{session_id}").status_code == 404
    assert Session.objects.count() == 1


def test_ending_no_other_session_is_no_event(alice: User) -> None:
    api = Api(alice)
    assert [api.delete("/api/users/me/sessions").status_code for _ in range(2)] == [204, 204]
    assert events() == []


def test_all_other_sessions_can_be_ended(alice: User, bob: User) -> None:
    others, strangers, api = [signed_in(alice), signed_in(alice)], signed_in(bob), Api(alice)
    assert api.delete("/api/users/me/sessions").status_code == 204
    assert all(is_over(pair) for pair in others)
    assert works(strangers["access"])
    assert api.get("/api/users/me").status_code == 200


@pytest.mark.parametrize("session_id", ["1", "x", "\0", str(uuid.UUID(int=0)), "{foreign}", "%7Bx%7D", "a" * 3000])
def test_a_foreign_session_is_as_one_that_never_was(as_alice: Api, bob: User, session_id: str) -> None:
    foreign = make_session(bob)
    before = stored()
    answer = as_alice.delete(f"/api/users/me/sessions/{session_id.format(foreign=foreign.pk)}", x_request_id="same")
    missing = as_alice.delete(f"/api/users/me/sessions/{uuid.uuid4()}", x_request_id="same")
    assert problem_of(answer, 404)["code"] == "session_not_found"
    assert exact(answer) == exact(missing)
    assert stored() == before


ENDINGS: dict[str, Any] = {
    "password set by staff": lambda user: services.set_password(user, "another good password"),
    "deactivated": lambda user: services.update_account(user, is_active=False),
    "deleted": lambda user: services.delete_account(user),
    "session ended": lambda user: user.sessions.all().delete(),
    "token version raised": lambda user: User.objects.filter(pk=user.pk).update(token_version=9),
}


@pytest.mark.parametrize("end", ENDINGS.values(), ids=list(ENDINGS))
def test_whatever_ends_a_session_ends_its_tokens_at_the_next_request(alice: User, end: Any) -> None:
    pair = signed_in(alice)
    assert works(pair["access"])
    end(alice)
    assert is_over(pair)


def test_activating_an_account_again_does_not_bring_its_tokens_back(alice: User) -> None:
    pair = signed_in(alice)
    services.update_account(alice, is_active=False)
    services.update_account(alice, is_active=True)
    assert is_over(pair)


def test_authentication_costs_one_query(alice: User) -> None:
    pair = own.mint(make_session(alice))
    with CaptureQueriesContext(connection) as captured:
        grant = own.authenticate(pair.access)
    assert (grant.user, len(captured)) == (alice, 1)


def test_a_token_serves_only_the_user_of_its_session(alice: User, bob: User) -> None:
    """Whatever else is signed: the subject and the session must belong together."""
    session = make_session(bob)
    session.user = alice
    with pytest.raises(Exception, match="invalid"):
        own.authenticate(own.mint(session).access)
    with pytest.raises(Exception, match="invalid"):
        services.refresh(own.mint(session).refresh)
    assert Session.objects.filter(user=bob).exists()


@pytest.mark.django_db(transaction=True)
def test_signing_in_while_the_account_is_deleted_is_refused_and_leaves_nothing() -> None:
    user = make_user(email="ada@example.com")
    make_task(user)
    attempt = {"email": "ada@example.com", "password": PASSWORD}
    calls = [lambda: Api().post("/api/auth/login", attempt)] * 4 + [lambda: services.delete_account(user)]
    statuses = {answer.status_code for answer in at_once(calls)[:4]}
    assert statuses <= {200, 401}
    assert (User.objects.count(), Session.objects.count()) == (0, 0)


# --- Whatever ends a session, while a thief keeps refreshing it -------------------------------------

MEANWHILE: dict[str, Any] = {
    "logout": lambda api, user: Api().post("/api/auth/logout", {"refresh": api.tokens.refresh}),
    "end the others": lambda api, user: Api(user).delete("/api/users/me/sessions"),
    "change the password": lambda api, user: Api(user).post(
        "/api/users/me/password", {"current_password": PASSWORD, "new_password": "staple the battery"}
    ),
    "delete the account": lambda api, user: Api(user).client.delete("/api/users/me"),
    "staff sets a password": lambda api, user: services.set_password(user, "another good password"),
    "staff deactivates": lambda api, user: services.update_account(user, is_active=False),
}


@pytest.mark.thorough
@pytest.mark.parametrize("end", MEANWHILE.values(), ids=list(MEANWHILE))
def test_a_session_ends_also_while_it_is_refreshed_with_keys(transactional_db: None, end: Any) -> None:
    """A key's row refers to the session and to the user, which deadlocks or breaks whoever locks them apart."""

    def keep_refreshing(token: str, thief: int) -> list[Any]:
        pairs = []
        for attempt in range(8):
            answer = refresh(token, idempotency_key=f"{thief} {attempt}".replace(" ", "-"))
            if answer.status_code == 200:
                pairs.append(answer.json())
                token = answer.json()["refresh"]
            assert answer.status_code in {200, 401, 409}
        return pairs

    for _ in range(4):
        user = make_user()
        api = Api(user)
        *pairs, ended = at_once(
            [*(partial(keep_refreshing, api.tokens.refresh, thief) for thief in range(2)), partial(end, api, user)]
        )
        assert getattr(ended, "status_code", 200) < 300
        assert not any(works(pair["access"]) for stolen in pairs for pair in stolen)


def test_a_refresh_that_meets_a_new_password_brings_tokens_that_were_good(transactional_db: None) -> None:
    """Never a 200 with a pair that was dead when it was signed: the version is read under the user's lock."""
    for _ in range(20):
        user = make_user()
        api = Api(user)
        answer, _ = at_once(
            [partial(refresh, api.tokens.refresh), partial(services.set_password, user, "another good password")]
        )
        if answer.status_code == 200:
            assert own.read_refresh(answer.json()["refresh"]).version == 0
        assert not Session.objects.filter(user=user).exists()


# --- What is remembered of a token ------------------------------------------------------------------


def test_a_token_that_was_good_a_moment_ago_expires(alice: User) -> None:
    """Its signature is remembered; its expiry is looked at each time."""
    with time_machine.travel(dt.datetime.now(dt.UTC), tick=False) as clock:
        access = signed_in(alice)["access"]
        assert works(access)
        clock.shift(dt.timedelta(minutes=10, seconds=29))
        assert works(access)
        clock.shift(dt.timedelta(seconds=1))
        assert not works(access)


def test_a_key_that_is_withdrawn_takes_its_tokens_along(alice: User, settings: Settings) -> None:
    access = signed_in(alice)["access"]
    assert works(access)
    settings.JWT_SIGNING_KEY = "another key of thirty-two bytes!"
    assert not works(access)


def test_an_ended_session_reads_nothing(alice: User) -> None:
    api = Api(alice)
    path = f"{api.tasks}/{make_task(alice, title='secret').pk}"
    Session.objects.all().delete()
    for answer in (api.get(path), api.get(api.tasks)):
        assert answer.status_code == 401 and b"secret" not in answer.content


NOT_STATED = [("options", "/api/me/tasks"), ("get", "/api/me/tasks?limit=x"), ("get", "/api/9/tasks")]


@pytest.mark.parametrize(("method", "path"), NOT_STATED)
def test_an_ended_session_does_not_use_up_the_limit_of_its_account(
    alice: User, limit: Callable[..., None], method: str, path: str
) -> None:
    """Its requests that fail before a statement could tell that it has ended."""
    limit(user="100/min")
    ended, other = Api(alice), Api(alice)
    Session.objects.order_by("created_at").first().delete()  # type: ignore[union-attr]
    for _ in range(45):  # between the requests of another session, whose permits it would take
        answers = [getattr(ended.client, method)(path).status_code for _ in range(3)]
        assert other.get("/api/me/tasks").status_code == 200
    assert answers == [401, 401, 401]
