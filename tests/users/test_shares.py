"""Whose share of the threads a request takes, as far as that is known before it has one."""

from typing import Any

import jwt
import time_machine

from tests.factories import make_tokens
from tests.issuer import Issuer
from users.api.authentication import caller_in
from users.models import User

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


def test_what_an_external_token_claims_counts_within_its_network(issuer: Issuer, alice: User) -> None:
    """It is not verified yet, and no key is asked for."""
    assert caller(issuer.token("7")) == caller(issuer.token("7", iat=1)) == (NETWORK, "7")
    assert caller("a.b.c") == NETWORK
    nested = f"e30.{'W1' * 3000}.e30"
    assert caller(nested) == NETWORK
    assert caller(make_tokens(alice).access) == alice.pk
    assert issuer.paths == []
