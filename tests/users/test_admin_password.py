"""Signing in to the admin with the password: as rarely as through the API, and written down."""

from collections.abc import Callable

import pytest
from django.test import Client

from config.environment.rates import Rate
from tests.audited import events, only
from tests.client import Api
from tests.factories import PASSWORD, make_user
from tests.pages import sign_in
from users import audit
from users.audit import Action
from users.models import User

LOGIN, INDEX = "/admin/login/", "/admin/"


def test_staff_signs_in_with_the_password(carol: User) -> None:
    client, answer = sign_in(carol.email.upper())
    assert (answer.status_code, answer["Location"]) == (302, INDEX)
    assert client.get(INDEX).status_code == 200
    event = only(Action.SIGNED_IN)
    assert (event.actor_id, event.details, event.address) == (carol.pk, {"admin": True}, "127.0.0.1")
    client.post("/admin/logout/")
    assert only(Action.SIGNED_OUT).actor_id == carol.pk
    assert client.get(INDEX).status_code == 302


@pytest.mark.parametrize("query", ["", "?next=", "?next=//evil.example/", "?next=/admin/"])
def test_signing_in_leads_to_the_dashboard(carol: User, query: str) -> None:
    client = Client()
    answer = client.post(f"{LOGIN}{query}", {"username": carol.email, "password": PASSWORD}, follow=True)
    assert (answer.redirect_chain, answer.status_code) == ([(INDEX, 302)], 200)
    assert client.get(LOGIN)["Location"] == INDEX


@pytest.mark.parametrize(
    ("whom", "password"), [("carol", "wrong"), ("alice", PASSWORD), ("nobody", PASSWORD), ("carol", "x" * 257)]
)
def test_who_is_not_let_in_reads_the_same_and_is_written_down(
    alice: User, carol: User, whom: str, password: str
) -> None:
    email = {"carol": carol.email, "alice": alice.email}.get(whom, "nobody@example.com")
    client, answer = sign_in(email, password)
    assert answer.status_code == 200
    if len(password) <= 256:
        assert "Please enter the correct e-mail and password for a staff account" in answer.content.decode()
        assert (only(Action.SIGN_IN_FAILED).subject_email, only(Action.SIGN_IN_FAILED).actor_id) == (email, None)
    assert client.get(INDEX).status_code == 302


def test_attempts_are_limited_together_with_those_through_the_api(carol: User, limit: Callable[..., None]) -> None:
    limit(login="3/min")
    assert sign_in(carol.email, "wrong")[1].status_code == 200
    assert Api().post("/api/auth/login", {"email": carol.email, "password": "wrong"}).status_code == 401
    assert sign_in(carol.email, "wrong")[1].status_code == 200
    _, refused = sign_in(carol.email)
    assert (refused.status_code, 0 < int(refused["Retry-After"]) <= 60) == (429, True)
    assert "Too many attempts" in refused.content.decode()
    assert Api().post("/api/auth/login", {"email": carol.email, "password": PASSWORD}).status_code == 429


def test_an_account_is_limited_wherever_the_attempts_come_from(carol: User, limit: Callable[..., None]) -> None:
    limit(login="2/min")
    statuses = [sign_in(carol.email, "wrong", REMOTE_ADDR=f"192.0.2.{n}")[1].status_code for n in range(11)]
    other = sign_in(make_user(is_staff=True).email, REMOTE_ADDR="192.0.2.99")[1].status_code
    assert (statuses, other) == ([200] * 10 + [429], 302)


def test_noise_at_the_api_hides_no_attack_on_staff(
    carol: User, monkeypatch: pytest.MonkeyPatch, limit: Callable[..., None]
) -> None:
    limit()
    monkeypatch.setattr(audit, "FAILED_SIGN_INS", Rate(2, 3600))
    for _ in range(3):
        Api().post("/api/auth/login", {"email": "nobody@example.com", "password": "wrong"})
    for _ in range(3):
        sign_in(carol.email, "wrong")
    assert [event.details.get("admin", False) for event in events()] == [False, False, True, True]
