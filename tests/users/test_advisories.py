"""Security advisories of this field, each as a regression test under its name."""

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

from tests.client import Api
from tests.factories import PASSWORD, make_session, make_task, make_tokens, make_user
from tests.problems import problem_of
from users import services
from users.models import Session, User
from users.tokens import mailed
from users.tokens.external import Identity

NEW = "staple the battery"


def me(token: str) -> int:
    return Api().get("/api/users/me", authorization=f"Bearer {token}").status_code


def refresh(token: str) -> int:
    return Api().post("/api/auth/refresh", {"refresh": token}).status_code


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    complete = jwt.decode_complete(token, options={"verify_signature": False})
    return complete["header"], complete["payload"]


def test_simplejwt_860_the_refresh_token_of_a_deleted_user_is_refused_not_a_500(alice: User) -> None:
    pair = make_tokens(alice)
    services.delete_account(alice)
    answer = Api().post("/api/auth/refresh", {"refresh": pair.refresh})
    assert problem_of(answer, 401)["code"] == "invalid_token"


def test_simplejwt_141_and_927_tokens_do_not_survive_a_password_change(as_alice: Api, alice: User) -> None:
    elsewhere = make_tokens(alice)
    body = {"current_password": PASSWORD, "new_password": NEW}
    assert as_alice.post("/api/users/me/password", body).status_code == 200
    for pair in (elsewhere, as_alice.tokens):
        assert (me(pair.access), refresh(pair.refresh)) == (401, 401)


def test_simplejwt_141_and_927_nor_a_reset(alice: User) -> None:
    pair = make_tokens(alice)
    code = mailed.PASSWORD_RESET.make(alice)
    Api().post("/api/auth/reset-password", {"token": code, "password": NEW})
    assert (me(pair.access), refresh(pair.refresh)) == (401, 401)


def test_cve_2024_22513_a_disabled_user_keeps_no_access(alice: User) -> None:
    pair = make_tokens(alice)
    User.objects.filter(pk=alice.pk).update(is_active=False)  # behind every service's back
    assert (me(pair.access), refresh(pair.refresh)) == (401, 401)
    assert Api().post("/api/auth/login", {"email": alice.email, "password": PASSWORD}).status_code == 401


def test_cve_2026_28268_of_vikunja_a_reset_token_serves_once(alice: User) -> None:
    body = {"token": mailed.PASSWORD_RESET.make(alice), "password": NEW}
    assert Api().post("/api/auth/reset-password", body).status_code == 204
    assert Api().post("/api/auth/reset-password", {**body, "password": "an attacker's one"}).status_code == 400
    assert Api().post("/api/auth/login", {"email": alice.email, "password": NEW}).status_code == 200


def test_cve_2026_35594_of_vikunja_claims_are_not_trusted_without_the_database(alice: User, bob: User) -> None:
    """Properly signed, and still only a pointer: rights, identity and life of the session are looked up."""
    session = make_session(alice)
    header, claims = parts_of(make_tokens(alice).access)
    claims |= {"sid": str(session.pk), "is_staff": True, "role": "admin", "permission": 2, "email": bob.email}

    def signed(**changes: Any) -> str:
        return jwt.encode({**claims, **changes}, settings.JWT_SIGNING_KEY, "HS256", headers={"kid": header["kid"]})

    answer = Api().get("/api/users/me", authorization=f"Bearer {signed()}")
    assert answer.json()["email"] == alice.email
    assert Api().get(f"/api/{bob.pk}/tasks", authorization=f"Bearer {signed()}").status_code == 403
    assert me(signed(sub=bob.public_id)) == 401  # a session of somebody else
    session.delete()
    assert me(signed()) == 401


@pytest.mark.django_db
def test_cve_2024_38351_of_pocketbase_an_unverified_account_hijacks_nobody() -> None:
    """An attacker registers the victim's address first and waits; the victim comes in through another issuer."""
    attacker = make_user(email="victim@example.com", password="the attacker's password")
    make_task(attacker, title="planted")
    identity = Identity("https://issuer.example", "victim", "victim@example.com", True, "Victim", None, None)
    victim = services.identify(identity)
    assert victim.pk != attacker.pk
    assert not victim.tasks.exists()
    assert services.identify(identity).pk == victim.pk


@pytest.mark.django_db
def test_cve_2024_38351_nor_does_it_when_the_victim_resets_the_password() -> None:
    attacker = make_user(email="victim@example.com", password="the attacker's password")
    pair = make_tokens(attacker)
    code = mailed.PASSWORD_RESET.make(attacker)  # mailed to the victim
    assert Api().post("/api/auth/reset-password", {"token": code, "password": NEW}).status_code == 204
    assert (me(pair.access), refresh(pair.refresh), Session.objects.count()) == (401, 401, 0)
    theirs = {"email": "victim@example.com", "password": "the attacker's password"}
    assert Api().post("/api/auth/login", theirs).status_code == 401
    assert User.objects.get().email_verified_at is not None


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
def test_algorithm_confusion_none(alice: User, algorithm: str) -> None:
    header, claims = parts_of(make_tokens(alice).access)
    token = f"{encoded({**header, 'alg': algorithm})}.{encoded(claims)}."
    assert (me(token), me(token + "x")) == (401, 401)


def test_algorithm_confusion_hs256_with_a_public_key(alice: User) -> None:
    """Against our own keys; tests/users/test_external_tokens.py has the same for those of another issuer."""
    header, claims = parts_of(make_tokens(alice).access)
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert me(jwt.encode(claims, private, "RS256", headers={"kid": header["kid"]})) == 401
    head = f"{encoded(header)}.{encoded(claims)}"
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(head.encode(), public)
    assert me(f"{head}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}") == 401


@pytest.mark.parametrize("crit", [["exp"], ["b64"], ["x"], [], "exp", None])
def test_crit_header_that_is_not_understood(alice: User, crit: Any) -> None:
    """RFC 7515, section 4.1.11."""
    header, claims = parts_of(make_tokens(alice).access)
    extra = {"kid": header["kid"], "crit": crit, "x": 1, "b64": True}
    assert me(jwt.encode(claims, settings.JWT_SIGNING_KEY, "HS256", headers=extra)) == 401


@pytest.mark.parametrize("kind", ["access", "refresh"])
@pytest.mark.parametrize("claim", ["sub", "aud", "iss", "exp", "jti", "sid", "ver", "token_type"])
def test_tokens_with_missing_claims(alice: User, kind: str, claim: str) -> None:
    header, claims = parts_of(getattr(make_tokens(alice), kind))
    del claims[claim]
    token = jwt.encode(claims, settings.JWT_SIGNING_KEY, "HS256", headers={"kid": header["kid"]})
    assert (me if kind == "access" else refresh)(token) == 401
    assert Session.objects.count() == 1  # and no session is ended for it


# Of which simplejwt makes a calendar's date, or PyJWT an integer.
NO_MOMENTS: list[Any] = [
    None,
    True,
    "text",
    "9999999999",
    "",
    [],
    {},
    -1,
    -1e30,
    1e30,
    10**400,
    float("inf"),
    float("nan"),
]


@pytest.mark.parametrize("kind", ["access", "refresh"])
@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", NO_MOMENTS, ids=lambda value: repr(value)[:12])
def test_tokens_with_a_moment_that_is_none(alice: User, kind: str, claim: str, value: Any) -> None:
    header, claims = parts_of(getattr(make_tokens(alice), kind))
    token = jwt.encode({**claims, claim: value}, settings.JWT_SIGNING_KEY, "HS256", headers={"kid": header["kid"]})
    assert (me if kind == "access" else refresh)(token) == 401


@pytest.mark.parametrize(
    ("claim", "seconds", "status"),
    [("exp", -29, 200), ("exp", -31, 401), ("nbf", 29, 200), ("nbf", 31, 401), ("iat", 29, 200), ("iat", 31, 401)],
)
def test_the_moments_of_a_token_are_kept_but_for_the_leeway(alice: User, claim: str, seconds: int, status: int) -> None:
    header, claims = parts_of(make_tokens(alice).access)
    claims[claim] = time.time() + seconds
    for _ in range(2):  # the second one finds the signature verified
        assert me(jwt.encode(claims, settings.JWT_SIGNING_KEY, "HS256", headers={"kid": header["kid"]})) == status


@pytest.mark.parametrize("gen", [None, "0", 1.5, True, [0]])
def test_refresh_tokens_with_a_strange_generation(alice: User, gen: Any) -> None:
    header, claims = parts_of(make_tokens(alice).refresh)
    token = jwt.encode({**claims, "gen": gen}, settings.JWT_SIGNING_KEY, "HS256", headers={"kid": header["kid"]})
    assert refresh(token) == 401
