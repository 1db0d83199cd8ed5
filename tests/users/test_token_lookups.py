"""The look-up of personal tokens: what costs nothing, what is limited, and what a process remembers."""

import string
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.models import RateLimit
from tasks.models import Task
from tests.callers import with_token
from tests.client import Api
from tests.factories import make_task, make_token, make_user
from tests.problems import problem_of
from tests.races import at_once
from users import services
from users.api.authentication import caller_in
from users.models import PersonalToken, User
from users.tokens import personal

Limit = Callable[..., None]
NETWORK = "192.0.2.1"


@pytest.fixture(autouse=True)
def new_process() -> None:
    for kept in (personal._known, personal._refused, personal._uses):
        kept.clear()


def mistyped(token: str) -> dict[str, str]:
    other = "A" if token[20] != "A" else "B"
    return {
        "a character": token[:20] + other + token[21:],
        "two swapped": token[:20] + token[21] + token[20] + token[22:],
        "cut off": token[:-1],
        "checksum alone": token[:-1] + ("A" if token[-1] != "A" else "B"),
        "one more": token + "A",
        "another alphabet": token[:20] + "é" + token[21:],
        "digits of another script": token[:20] + "٣" + token[21:],
        "a surrogate": token[:20] + "\udcff" + token[21:],
        "a line end": token + "\n",
        "nothing": personal.PREFIX,
        "long": personal.PREFIX + "A" * 8000,
    }


# --- The form ---------------------------------------------------------------------------------------


def test_tokens_are_random_and_carry_a_checksum() -> None:
    tokens = {personal.make() for _ in range(1000)}
    assert len(tokens) == 1000 and all(map(personal.is_well_formed, tokens))
    assert {character for token in tokens for character in token[9:52]} == {*string.ascii_letters, *string.digits}


def test_the_checksum_is_crc_32_in_base_62() -> None:
    """So that scanners can tell a leaked token from noise, forever."""
    assert personal.is_well_formed("tick_pat_" + "0" * 43 + personal._checksum("tick_pat_" + "0" * 43))
    assert personal._checksum("tick_pat_" + "0" * 43) == "2fvMgz"


def test_what_was_mistyped_costs_nothing(alice: User) -> None:
    token = make_token(alice, "tasks:read")
    for name, wrong in mistyped(token).items():
        assert not personal.is_well_formed(wrong), name
        client: Any = Api().client
        with CaptureQueriesContext(connection) as queries:
            answer = client.get("/api/me/tasks", HTTP_AUTHORIZATION=f"Bearer {wrong}")
        if name == "a line end":  # servers strip it
            assert answer.status_code == 200
        else:
            assert problem_of(answer, 401)["code"] == "invalid_token"
            assert len(queries) == 0, name


# --- Limits -----------------------------------------------------------------------------------------


def test_made_up_tokens_are_limited_by_network_before_they_are_looked_up(db: None, limit: Limit) -> None:
    limit(anon="3/min")
    made_up, read = [personal.make() for _ in range(6)], []
    for token in made_up:
        with CaptureQueriesContext(connection) as queries:
            answer = with_token(token).get("/api/me/tasks")
        read.append((answer.status_code, any("users_personaltoken" in each["sql"] for each in queries)))
    assert read == [(401, True)] * 3 + [(429, False)] * 3


def test_the_same_bad_token_is_looked_up_once_and_counts_each_time(db: None, limit: Limit) -> None:
    limit(anon="3/min")
    api = with_token(personal.make())
    statuses = []
    for _ in range(4):
        with CaptureQueriesContext(connection) as queries:
            statuses.append(api.get("/api/me/tasks").status_code)
        assert any("users_personaltoken" in each["sql"] for each in queries) == (len(statuses) == 1)
    assert statuses == [401, 401, 401, 429]


def test_a_known_token_counts_for_its_account_alone(alice: User, limit: Limit) -> None:
    first, second = (with_token(make_token(alice, "tasks:read")) for _ in range(2))
    assert first.get("/api/me/tasks").status_code == second.get("/api/me/tasks").status_code == 200
    limit(anon="1/min", user="4/min")
    statuses = [api.get("/api/me/tasks").status_code for api in (first, second, first, Api(alice), second)]
    assert statuses == [200, 200, 200, 200, 429]
    assert RateLimit.objects.count() == 1


def test_a_revoked_token_does_not_use_up_the_limit_of_its_account(alice: User, limit: Limit) -> None:
    api = with_token(make_token(alice, "tasks:read"))
    assert api.get("/api/me/tasks").status_code == 200
    services.revoke_token(alice, PersonalToken.objects.get().pk)
    limit(user="2/min")
    assert [api.get("/api/me/tasks").status_code for _ in range(5)] == [401] * 5
    assert [Api(alice).get("/api/me/tasks").status_code for _ in range(2)] == [200, 200]


def test_a_stolen_token_uses_up_none_of_the_attempts_of_its_owner(alice: User, limit: Limit) -> None:
    limit(login="3/min", mail="3/min")
    client: Any = with_token(make_token(alice, "tasks:read")).client
    for path in ("/api/users/me/password", "/api/users/me/verification"):
        statuses = [client.post(path, {}, "json", REMOTE_ADDR="192.0.2.7").status_code for _ in range(5)]
        assert statuses == [403, 403, 403, 429, 429], path
    body = {"current_password": "wrong", "new_password": "staple the battery"}
    assert Api(alice).post("/api/users/me/password", body).status_code == 400
    assert Api(alice).post("/api/users/me/verification").status_code == 202


def test_past_the_limit_nothing_is_read(alice: User, limit: Limit) -> None:
    api = with_token(make_token(alice, "tasks:read"))
    limit(user="1/min")
    assert api.get("/api/me/tasks").status_code == 200
    with CaptureQueriesContext(connection) as queries:
        assert api.get("/api/me/tasks").status_code == 429
    assert len(queries) == 0


# --- What a process remembers -----------------------------------------------------------------------


def test_so_many_tokens_are_remembered(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal, "REMEMBERED", 2)
    tokens = [make_token(alice, "tasks:read") for _ in range(3)]
    for token in [*tokens, personal.make(), personal.make(), personal.make()]:
        with_token(token).get("/api/me/tasks")
    assert [personal.known(token) is not None for token in tokens] == [False, True, True]
    assert len(personal._refused) == len(personal._uses) == 2


def test_a_secret_is_in_no_memory_of_the_look_up(alice: User) -> None:
    token = make_token(alice, "tasks:read")
    with CaptureQueriesContext(connection) as queries:
        with_token(token).get("/api/me/tasks")
    assert token[13:] not in f"{personal._known}{personal._refused}{[each['sql'] for each in queries]}"


def test_a_made_up_token_that_is_made_later_counts_soon(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    token = personal.make()
    assert with_token(token).get("/api/me/tasks").status_code == 401
    monkeypatch.setattr(personal, "make", lambda: token)
    make_token(alice, "tasks:read")
    moment = time.monotonic() + personal.REFUSED_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: moment)
    assert with_token(token).get("/api/me/tasks").status_code == 200


def test_threads_are_shared_by_a_token_that_was_looked_up_and_else_by_network(alice: User) -> None:
    """Whoever could name another user could take that user's share."""
    token = make_token(alice, "tasks:read")

    def caller(sent: str) -> Any:
        return caller_in({"HTTP_AUTHORIZATION": f"Bearer {sent}"}, NETWORK)

    assert caller(token) == caller(personal.make()) == NETWORK
    assert with_token(token).get("/api/me/tasks").status_code == 200
    assert (caller(token), caller(personal.make())) == (alice.pk, NETWORK)
    assert {caller(wrong) for name, wrong in mistyped(token).items() if name != "a line end"} == {NETWORK}
    PersonalToken.objects.update(expires_at=timezone.now())
    assert with_token(token).get("/api/me/tasks").status_code == 401
    assert caller(token) == NETWORK


# --- Races ------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_what_a_token_writes_while_it_is_revoked_is_before_it_or_not_at_all() -> None:
    alice = make_user()
    token = make_token(alice, "tasks:read", "tasks:write")
    row, task = PersonalToken.objects.get(), make_task(alice)
    api = with_token(token)
    assert api.get("/api/me/tasks").status_code == 200

    def write(number: int) -> int:
        status = with_token(token).post("/api/me/tasks", {"title": str(number)}).status_code
        with_token(token).patch(f"/api/me/tasks/{task.pk}", {"title": str(number)})
        return status

    *statuses, _ = at_once(
        [*(lambda number=number: write(number) for number in range(6)), lambda: services.revoke_token(alice, row.pk)]
    )
    assert {*statuses} <= {201, 401}
    assert Task.objects.count() == 1 + statuses.count(201)
    assert api.post("/api/me/tasks", {"title": "late"}).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_at_once_no_more_are_made_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("users.services.personal_tokens.MAX_TOKENS", 3)
    alice = make_user()
    api = Api(alice)
    body = {"name": "One", "scopes": ["tasks:read"]}
    statuses = at_once([lambda: api.post("/api/users/me/tokens", body).status_code] * 6)
    assert sorted(statuses) == [201] * 3 + [409] * 3
    assert PersonalToken.objects.count() == 3
