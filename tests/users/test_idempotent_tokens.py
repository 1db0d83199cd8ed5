"""Idempotency-Key where the answer has tokens, which are never stored, or the request ends its own."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from tests.client import Answer, Api
from tests.factories import PASSWORD
from tests.problems import problem_of, stored
from tests.users.test_idempotency import create, is_replayed
from users import services
from users.models import IdempotencyKey, Session, User


def test_tokens_that_have_had_their_turn_are_not_replayed(alice: User) -> None:
    """Their use would end the session; so the sign-in is done anew."""
    credentials = {"email": alice.email, "password": PASSWORD}
    first = Api().post("/api/auth/login", credentials, idempotency_key="k1").json()
    Api().post("/api/auth/refresh", {"refresh": first["refresh"]})
    again = Api().post("/api/auth/login", credentials, idempotency_key="k1")
    assert (again.status_code, is_replayed(again), Session.objects.count()) == (200, False, 2)
    assert Api().post("/api/auth/refresh", {"refresh": again.json()["refresh"]}).status_code == 200


def test_a_key_does_not_let_an_old_refresh_token_pass(alice: User) -> None:
    token = Api(alice).tokens.refresh
    with time_machine.travel(dt.datetime.now(dt.UTC), tick=False) as clock:
        assert Api().post("/api/auth/refresh", {"refresh": token}, idempotency_key="k1").status_code == 200
        clock.shift(11)
        answer = Api().post("/api/auth/refresh", {"refresh": token}, idempotency_key="k1")
    assert problem_of(answer, 401)["code"] == "token_reused"
    assert not Session.objects.exists()


def test_a_stranger_without_the_password_gets_no_replay(alice: User) -> None:
    credentials = {"email": alice.email, "password": PASSWORD}
    Api().post("/api/auth/login", credentials, idempotency_key="k1")
    guess = {**credentials, "password": "a guess"}
    assert Api().post("/api/auth/login", guess, idempotency_key="k1").status_code == 422
    assert Api().post("/api/auth/login", guess, idempotency_key="k2").status_code == 401


def test_an_ended_account_takes_its_stored_answers_along(as_alice: Api, alice: User) -> None:
    create(as_alice)
    Api().post("/api/auth/login", {"email": alice.email, "password": PASSWORD}, idempotency_key="k1")
    assert IdempotencyKey.objects.count() == 2
    services.delete_account(alice)
    assert not IdempotencyKey.objects.exists()


# --- A request that ends the token it comes with ----------------------------------------------------

CHANGE = {"current_password": PASSWORD, "new_password": "staple the battery"}


def change_password(api: Api, key: str = "k1", **body: str) -> Answer:
    return api.post("/api/users/me/password", {**CHANGE, **body}, idempotency_key=key)


def test_the_ended_token_serves_for_nothing_but_the_replay(as_alice: Api) -> None:
    first = change_password(as_alice).json()
    assert change_password(as_alice).json() == first
    assert change_password(as_alice, "k2").status_code == 401
    again = {"current_password": "staple the battery", "new_password": "yet another password"}
    assert change_password(as_alice, "k2", **again).status_code == 401
    assert as_alice.post("/api/users/me/password", CHANGE).status_code == 401
    assert as_alice.get("/api/users/me", idempotency_key="k1").status_code == 401
    assert as_alice.patch("/api/users/me", {"name": "B"}, idempotency_key="k1").status_code == 401


ENDED: dict[str, Callable[[Api, User, str], Any]] = {
    "the new tokens have been used": lambda api, user, token: Api().post("/api/auth/refresh", {"refresh": token}),
    "another password has been set": lambda api, user, token: services.set_password(user, "one more password"),
    "the session has ended": lambda api, user, token: Api().post("/api/auth/logout", {"refresh": token}),
    "the account is inactive": lambda api, user, token: services.update_account(user, is_active=False),
}


@pytest.mark.parametrize("end", ENDED.values(), ids=list(ENDED))
def test_nor_for_that_once(as_alice: Api, alice: User, end: Callable[[Api, User, str], Any]) -> None:
    end(as_alice, alice, change_password(as_alice).json()["refresh"])
    before = stored()
    assert change_password(as_alice).status_code == 401
    assert stored() == before
