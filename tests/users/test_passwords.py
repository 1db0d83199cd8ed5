"""Changing and resetting passwords, and proving that mail arrives."""

import datetime as dt
import re
from functools import partial
from typing import Any

import pytest
import time_machine
from django.core import mail as outgoing
from django.core.mail import EmailMessage
from django.db import connections
from pytest_django import Settings

from config.operations import work
from tests.client import Answer, Api
from tests.factories import PASSWORD, make_session, make_user
from tests.problems import exact, places_of, problem_of, stored
from tests.races import at_once
from users import services
from users.models import Session, User
from users.tokens import mailed

NEW = "staple the battery"


@pytest.fixture
def outbox(db: None) -> list[EmailMessage]:
    """What was mailed."""
    return outgoing.outbox


def mails(outbox: list[EmailMessage]) -> list[EmailMessage]:
    work.drain("mails")
    return outbox


def code_in(message: EmailMessage) -> str:
    """The token: the one line without spaces."""
    [code] = re.findall(r"^(\S{40,})$", str(message.body), re.MULTILINE)
    return str(code)


def sign_in(user: User, password: str) -> Answer:
    return Api().post("/api/auth/login", {"email": user.email, "password": password})


def forgot(email: str, **headers: str) -> Answer:
    return Api().post("/api/auth/forgot-password", {"email": email}, **headers)


def reset(token: str, password: str = NEW) -> Answer:
    return Api().post("/api/auth/reset-password", {"token": token, "password": password})


# --- Changing ---------------------------------------------------------------------------------------


def change(api: Api, current: str = PASSWORD, new: str = NEW) -> Answer:
    return api.post("/api/users/me/password", {"current_password": current, "new_password": new})


def test_changing_the_password_keeps_this_session_and_ends_all_tokens(alice: User) -> None:
    elsewhere, here = Api(alice), Api(alice)
    answer = change(here)
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert [api.get("/api/users/me").status_code for api in (here, elsewhere)] == [401, 401]
    refreshed = [Api().post("/api/auth/refresh", {"refresh": api.tokens.refresh}) for api in (here, elsewhere)]
    assert [answer.status_code for answer in refreshed] == [401, 401]
    body = answer.json()
    assert Api().get("/api/users/me", authorization=f"Bearer {body['access']}").status_code == 200
    assert Api().post("/api/auth/refresh", {"refresh": body["refresh"]}).status_code == 200
    assert Session.objects.count() == 1


def test_the_new_password_is_the_one_that_counts(as_alice: Api, alice: User) -> None:
    change(as_alice)
    assert [sign_in(alice, password).status_code for password in (PASSWORD, NEW)] == [401, 200]


def test_changing_needs_the_current_password(as_alice: Api) -> None:
    before = stored()
    answer = change(as_alice, current="not the password")
    assert (places_of(answer, "pointer"), answer.json()["errors"][0]["code"]) == (
        ["/current_password"],
        "wrong_password",
    )
    assert stored() == before


@pytest.mark.parametrize("password", ["short", "password1234", "alice@example.com", "x" * 257])
def test_a_weak_new_password_is_refused(as_alice: Api, password: str) -> None:
    before = stored()
    assert places_of(change(as_alice, new=password), "pointer") == ["/new_password"]
    assert stored() == before


def test_a_password_of_256_characters_serves(as_alice: Api, alice: User) -> None:
    assert change(as_alice, new="aB3 " * 63 + "aB3x").status_code == 200
    assert sign_in(alice, "aB3 " * 63 + "aB3x").status_code == 200


def test_a_change_that_meets_a_refresh_leaves_one_live_session(transactional_db: None) -> None:
    api = Api(make_user())
    refresh = {"refresh": api.tokens.refresh}
    changed, refreshed = at_once([lambda: change(api), lambda: Api().post("/api/auth/refresh", refresh)])
    assert changed.status_code == 200 and refreshed.status_code in {200, 401}
    access = changed.json()["access"]
    assert Api().get("/api/users/me", authorization=f"Bearer {access}").status_code == 200
    if refreshed.status_code == 200:
        stale = refreshed.json()["access"]
        assert Api().get("/api/users/me", authorization=f"Bearer {stale}").status_code == 401


def test_of_changes_at_once_from_one_password_one_holds(transactional_db: None) -> None:
    """Also within one session, which the winner's change does not end."""
    user = make_user()
    token, clients = Api(user).tokens.access, [Api() for _ in range(4)]
    for api in clients:
        api.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    answers = at_once([partial(change, api, new=f"{NEW} number {n}") for n, api in enumerate(clients)])
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
    winner = [answer.status_code for answer in answers].index(200)
    assert sign_in(user, f"{NEW} number {winner}").status_code == 200
    assert User.objects.get().token_version == 1


# --- Resetting --------------------------------------------------------------------------------------


def test_a_forgotten_password_is_replaced_by_mail(outbox: list[EmailMessage]) -> None:
    user = make_user(email="Ada@Example.com")
    session = Api(user)
    assert forgot("ADA@example.com").status_code == 202
    [message] = mails(outbox)
    assert message.to == ["Ada@Example.com"]  # the stored spelling
    assert reset(code_in(message)).status_code == 204
    assert [sign_in(user, password).status_code for password in (PASSWORD, NEW)] == [401, 200]
    assert session.get("/api/users/me").status_code == 401
    assert User.objects.get().email_verified_at is not None


def test_a_look_alike_address_gets_no_mail_of_its_own(outbox: list[EmailMessage]) -> None:
    """CVE-2019-19844: the mail goes to the stored address, not to the one that was typed."""
    make_user(email="mike@example.org")
    forgot("ｍike@example.org")
    forgot("mıke@example.org")  # a dotless i is another letter
    assert [message.to for message in mails(outbox)] == [["mike@example.org"]]


@pytest.mark.parametrize("kind", ["unknown", "inactive", "without a password", "external", "no address"])
def test_all_other_addresses_are_answered_alike_and_get_no_mail(outbox: list[EmailMessage], kind: str) -> None:
    make_user(email="ada@example.com", is_active=kind != "inactive", password=None if "without" in kind else PASSWORD)
    email = {"unknown": "bob@example.com", "external": "eve@example.com", "no address": "'"}.get(
        kind, "ada@example.com"
    )
    external = User(issuer="https://issuer.example", subject="eve")
    external.set_email("eve@example.com")
    external.save()
    answer = forgot(email, x_request_id="same")
    assert mails(outbox) == []
    make_user(email="known@example.com")
    assert exact(answer) == exact(forgot("known@example.com", x_request_id="same"))
    assert len(mails(outbox)) == 1


def make_code(user: User) -> str:
    return mailed.PASSWORD_RESET.make(user)


def test_a_reset_code_serves_once(alice: User) -> None:
    """CVE-2026-28268 of Vikunja: there, a used code could be used again."""
    code = make_code(alice)
    assert reset(code).status_code == 204
    answer = reset(code, "yet another password")
    assert (places_of(answer, "pointer"), answer.json()["errors"][0]["code"]) == (["/token"], "invalid_proof")
    assert sign_in(alice, NEW).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_reset_code_serves_once_also_at_the_same_moment() -> None:
    user = make_user()
    code = make_code(user)
    answers = at_once(partial(reset, code, f"{NEW} number {n}") for n in range(8))
    assert sorted(answer.status_code for answer in answers) == [204] + [400] * 7
    assert User.objects.get().token_version == 1


def test_a_weak_password_does_not_use_the_code_up(alice: User) -> None:
    code = make_code(alice)
    assert places_of(reset(code, "short"), "pointer") == ["/password"]
    assert reset(code).status_code == 204


VOIDED: dict[str, Any] = {
    "password changed": lambda user: services.set_password(user, "another good password"),
    "address changed": lambda user: services.update_account(user, email="new@example.com"),
    "deactivated": lambda user: services.update_account(user, is_active=False),
    "deleted": lambda user: services.delete_account(user),
}


@pytest.mark.parametrize("void", VOIDED.values(), ids=list(VOIDED))
def test_a_code_is_void_once_what_it_was_for_has_changed(alice: User, void: Any) -> None:
    code = make_code(alice)
    void(alice)
    assert reset(code).status_code == 400


def test_a_code_expires_after_an_hour(alice: User) -> None:
    code, now = make_code(alice), dt.datetime.now(dt.UTC)
    with time_machine.travel(now + dt.timedelta(minutes=61)):
        assert reset(code).status_code == 400
    with time_machine.travel(now + dt.timedelta(minutes=59)):
        assert reset(code).status_code == 204


BAD_CODES: dict[str, Any] = {
    "garbage": lambda user: "x",
    "of verification": lambda user: mailed.EMAIL_VERIFICATION.make(user),
    "an invitation": lambda user: mailed.make_invitation(user.email),
    "cut": lambda user: make_code(user)[:-1],
    "of another account": lambda user: make_code(make_user()).replace("x", "y", 1)[::-1],
    "compressed": lambda user: "." + make_code(user),
    "not ASCII": lambda user: "é" + make_code(user),
}


@pytest.mark.parametrize("make", BAD_CODES.values(), ids=list(BAD_CODES))
def test_a_bad_code_sets_no_password(alice: User, make: Any) -> None:
    code = make(alice)
    before = stored()
    assert places_of(reset(code), "pointer") == ["/token"]
    assert stored() == before


# --- Verifying --------------------------------------------------------------------------------------


def register(email: str = "ada@example.com", **members: str) -> Answer:
    return Api().post("/api/auth/register", {"email": email, "password": PASSWORD, **members})


def bearer(answer: Answer) -> str:
    return f"Bearer {answer.json()['access']}"


def verify(token: str) -> Answer:
    return Api().post("/api/auth/verify-email", {"token": token})


def test_a_new_account_gets_a_mail_that_verifies_its_address(outbox: list[EmailMessage]) -> None:
    account = register(name="Click http://evil.example")
    [message] = mails(outbox)
    assert (message.to, account.json()["user"]["email_verified"]) == (["ada@example.com"], False)
    assert "evil" not in str(message.body) + message.subject  # who registers does not write our mails
    assert verify(code_in(message)).status_code == 204
    assert Api().get("/api/users/me", authorization=bearer(account)).json()["email_verified"] is True
    assert verify(code_in(message)).status_code == 204  # a link that is followed twice


def test_links_lead_to_the_app_whatever_host_was_asked(outbox: list[EmailMessage], settings: Settings) -> None:
    settings.APP_URL, settings.ALLOWED_HOSTS = "https://app.example.com", ["*"]
    body = {"email": "ada@example.com", "password": PASSWORD}
    Api().post("/api/auth/register", body, host="evil.example", x_forwarded_host="evil.example")
    [message] = mails(outbox)
    assert re.search(r"^https://app\.example\.com/verify-email\?token=\S+$", str(message.body), re.MULTILINE)
    assert "evil" not in str(message.body)


def test_where_it_is_required_only_the_account_can_be_used_before(
    outbox: list[EmailMessage], settings: Settings
) -> None:
    settings.EMAIL_VERIFICATION = "required"
    authorization = bearer(register())
    refused = Api().post("/api/me/tasks", {"title": "A"}, authorization=authorization)
    assert problem_of(refused, 403)["code"] == "email_unverified"
    assert Api().get("/api/users/me", authorization=authorization).status_code == 200
    assert Api().post("/api/users/me/verification", authorization=authorization).status_code == 202
    verify(code_in(mails(outbox)[1]))
    assert Api().post("/api/me/tasks", {"title": "A"}, authorization=authorization).status_code == 201


def test_an_earlier_answer_is_not_replayed_to_an_unverified_address(alice: User, settings: Settings) -> None:
    settings.EMAIL_VERIFICATION = "required"
    services.verify_email(mailed.EMAIL_VERIFICATION.make(alice))
    api = Api(alice)
    assert api.post("/api/me/tasks", {"title": "A"}, idempotency_key="k").status_code == 201
    services.update_account(alice, email="new@example.com")
    refused = api.post("/api/me/tasks", {"title": "A"}, idempotency_key="k")
    assert problem_of(refused, 403)["code"] == "email_unverified"


def test_a_foreign_path_is_refused_as_such_before_that(alice: User, bob: User, settings: Settings) -> None:
    settings.EMAIL_VERIFICATION = "required"
    assert problem_of(Api(alice).get(f"/api/{bob.pk}/tasks"), 403)["code"] == "permission_denied"


def test_the_verified_get_no_second_mail(outbox: list[EmailMessage]) -> None:
    user = make_user()
    verify(mailed.EMAIL_VERIFICATION.make(user))
    assert Api(user).post("/api/users/me/verification").status_code == 202
    assert mails(outbox) == []


def test_another_address_has_to_be_verified_anew(alice: User) -> None:
    code = mailed.EMAIL_VERIFICATION.make(alice)
    services.verify_email(code)
    services.update_account(alice, email="new@example.com")
    alice.refresh_from_db()
    assert alice.email_verified_at is None
    assert verify(code).status_code == 400


def test_a_verification_expires_after_three_days(alice: User) -> None:
    code, now = mailed.EMAIL_VERIFICATION.make(alice), dt.datetime.now(dt.UTC)
    with time_machine.travel(now + dt.timedelta(days=3, minutes=1)):
        assert verify(code).status_code == 400
    assert verify(code).status_code == 204


def test_a_mail_server_that_is_away_delays_nobody(
    outbox: list[EmailMessage], settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    assert register().status_code == 201
    mails(outbox)
    assert "a mail could not be sent: ConnectionRefusedError" in caplog.text
    assert "ada@example.com" not in caplog.text


def test_the_database_is_left_alone_by_a_refused_sign_in(alice: User) -> None:
    make_session(alice)
    before = stored()
    sign_in(alice, "wrong")
    assert stored() == before
    assert connections["default"].is_usable()
