"""The caller whose share of the threads a request takes, by its token alone: before a thread and a query."""

from typing import Any

import jwt
import pytest
import time_machine

from tests.client import Api
from tests.factories import make_tokens
from tests.issuer import Issuer
from users.api.authentication import caller_in
from users.models import User
from users.tokens import external

NETWORK = "192.0.2.1"


def caller(token: str, scheme: str = "Bearer") -> Any:
    return caller_in({"HTTP_AUTHORIZATION": f"{scheme} {token}"}, NETWORK)


def test_a_token_of_ours_names_its_account_wherever_it_comes_from(alice: User) -> None:
    first, second = make_tokens(alice), make_tokens(alice)
    assert caller(first.access) == caller(second.access, scheme="bearer") == alice.pk


def test_what_nobody_has_signed_is_its_networks(alice: User) -> None:
    """Whoever could name another user could take that user's share."""
    pair = make_tokens(alice)
    forged = jwt.encode(jwt.decode(pair.access, options={"verify_signature": False}), "x" * 48, algorithm="HS256")
    for token in (forged, pair.refresh, pair.access[:-4], "", "a.b.c", "\xff" * 8000):
        assert caller(token) == NETWORK
    assert caller(pair.access, scheme="Basic") == caller_in({}, NETWORK) == NETWORK


def test_a_token_that_has_expired_is_its_networks(alice: User) -> None:
    access = make_tokens(alice).access
    assert caller(access) == alice.pk
    with time_machine.travel(jwt.decode(access, options={"verify_signature": False})["exp"] + 60):
        assert caller(access) == NETWORK


def test_what_an_external_token_claims_names_nobody_until_it_was_verified(issuer: Issuer, alice: User) -> None:
    """Whoever could make subjects up could have a share for each. Here nothing is verified, and no key asked for."""
    token, forged = issuer.token("7"), jwt.encode({"sub": "7", "exp": 9_999_999_999}, "x" * 48, algorithm="HS256")
    assert caller(token) == caller(forged) == caller("\xff.b.c") == NETWORK
    assert issuer.paths == []
    for each, status in ((token, 200), (forged, 401)):
        assert Api().get("/api/me/tasks", authorization=f"Bearer {each}").status_code == status
    assert (caller(token), caller(forged), caller(issuer.token("7", iat=1))) == ((NETWORK, "7"), NETWORK, NETWORK)
    assert caller(make_tokens(alice).access) == alice.pk


def test_of_the_verified_tokens_so_many_are_remembered(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "REMEMBERED", 2)
    tokens = [issuer.token(subject) for subject in "789"]
    for token in tokens:
        external.verify(token)
    assert [caller(token) for token in tokens] == [NETWORK, (NETWORK, "8"), (NETWORK, "9")]
