"""Another e-mail address: asked for with the password, told to the present one, confirmed at the new one."""

import datetime as dt
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import time_machine
from django.core import mail as outgoing
from django.core.mail import EmailMessage

from config.operations import work
from tests.client import Answer, Api
from tests.factories import PASSWORD, make_token, make_user
from tests.problems import exact, places_of, problem_of, send, stored
from tests.races import at_once
from users import services
from users.models import AuditEvent, EmailChange, User
from users.tokens import mailed

PATH, NEW = "/api/users/me/email", "new@example.com"


@pytest.fixture
def outbox(transactional_db: None) -> Iterator[list[EmailMessage]]:
    yield outgoing.outbox
    work.drain("mails")


def ask(api: Api, email: str = NEW, **body: Any) -> Answer:
    return api.post(PATH, {"email": email, "password": PASSWORD, **body})


def verify(token: str, **body: str) -> Answer:
    return Api().post("/api/auth/verify-email", {"token": token, **body})


def token_of(user: User) -> str:
    return mailed.EMAIL_CHANGE.make(User.objects.get(pk=user.pk))


def test_the_address_changes_once_the_new_one_is_confirmed(outbox: list[EmailMessage]) -> None:
    user = make_user(email="ada@example.com")
    api = Api(user)
    assert ask(api, "Ada@Example.org").status_code == 202
    work.drain("mails")
    notice, confirmation = outbox
    assert (notice.to, confirmation.to) == (["ada@example.com"], ["Ada@Example.org"])
    assert "example.org" not in str(notice.body)  # who asks does not write our mails
    assert api.get("/api/users/me").json()["email"] == "ada@example.com"
    [token] = re.findall(r"^(\S{40,})$", str(confirmation.body), re.MULTILINE)
    assert verify(token).status_code == 204
    me = api.get("/api/users/me").json()  # the session stays
    assert (me["email"], me["email_verified"]) == ("Ada@Example.org", True)
    sign_in = {"email": "ada@example.ORG", "password": PASSWORD}
    assert Api().post("/api/auth/login", sign_in).status_code == 200


def test_the_code_of_the_mail_can_be_typed(outbox: list[EmailMessage]) -> None:
    user = make_user(email="ada@example.com")
    ask(Api(user))
    work.drain("mails")
    [code] = re.findall(r"^([0-9A-Z]{4}-[0-9A-Z]{4})$", str(outbox[1].body), re.MULTILINE)
    assert verify(code, email="ADA@example.com").status_code == 204
    assert User.objects.get().email == NEW


def test_it_is_audited_and_exported(as_alice: Api, alice: User) -> None:
    ask(as_alice)
    verify(token_of(alice))
    events = AuditEvent.objects.filter(action__startswith="account.email_change").order_by("pk")
    assert [(event.action, event.details) for event in events] == [
        ("account.email_change_requested", {"to": NEW}),
        ("account.email_changed", {"previous": alice.email}),
    ]
    client: Any = as_alice.client
    export = b"".join(client.get("/api/users/me/export").streaming_content)
    assert b'"email_changes":[{"email":"new@example.com"' in export


# --- Who may ask ------------------------------------------------------------------------------------


def test_without_the_password_a_fresh_sign_in_is_needed(alice: User) -> None:
    with time_machine.travel(dt.datetime.now(dt.UTC) - dt.timedelta(minutes=6)):
        old = Api(alice)
    before = stored()
    assert problem_of(old.post(PATH, {"email": NEW}), 403)["code"] == "sign_in_again"
    assert stored() == before
    assert Api(alice).post(PATH, {"email": NEW}).status_code == 202


def test_a_wrong_password_changes_nothing(as_alice: Api) -> None:
    assert places_of(ask(as_alice, password="wrong"), "pointer") == ["/password"]
    assert not EmailChange.objects.exists()


def test_a_personal_token_cannot_do_it(alice: User) -> None:
    token = make_token(alice, "account:read", "tasks:write")
    answer = Api().post(PATH, {"email": NEW, "password": PASSWORD}, authorization=f"Bearer {token}")
    assert problem_of(answer, 403)["code"] == "session_required"
    assert not EmailChange.objects.exists()


def test_an_unverified_account_may_correct_its_address(as_alice: Api, settings: Any) -> None:
    settings.EMAIL_VERIFICATION = "required"
    assert ask(as_alice).status_code == 202


@pytest.mark.parametrize(
    "email", ["", "x", "a@b", "x" * 250 + "@example.com", None, 7, "a@example.com\nBcc: b@example.com"]
)
def test_what_is_no_address_is_refused(as_alice: Api, email: Any) -> None:
    assert places_of(ask(as_alice, email), "pointer") == ["/email"]


def test_ones_own_address_is_refused(as_alice: Api, alice: User) -> None:
    assert places_of(ask(as_alice, alice.email.upper()), "pointer") == ["/email"]


# --- What it tells ----------------------------------------------------------------------------------


def test_the_answer_does_not_tell_whether_the_address_is_taken(as_alice: Api, bob: User) -> None:
    free, taken = (
        as_alice.post(PATH, {"email": email, "password": PASSWORD}, x_request_id="same") for email in (NEW, bob.email)
    )
    assert exact(free) == exact(taken)


def test_who_reads_a_taken_mailbox_is_told(as_alice: Api, alice: User, bob: User) -> None:
    ask(as_alice, bob.email)
    token, before = token_of(alice), stored()
    assert problem_of(verify(token), 409)["code"] == "email_taken"
    assert stored() == before


def test_of_two_accounts_that_ask_for_one_address_the_first_to_confirm_gets_it(alice: User, bob: User) -> None:
    tokens = []
    for user in (alice, bob):
        ask(Api(user))
        tokens.append(token_of(user))
    assert [verify(token).status_code for token in tokens] == [204, 409]


# --- What ends it -----------------------------------------------------------------------------------

VOIDED: dict[str, Callable[[User], Any]] = {
    "another request": lambda user: ask(Api(user), "other@example.com"),
    "the password is changed": lambda user: services.set_password(user, "another good password"),
    "staff change the address": lambda user: services.update_account(user, email="staff@example.com"),
    "deactivated": lambda user: services.update_account(user, is_active=False),
    "deleted": lambda user: services.delete_account(user),
}


@pytest.mark.parametrize("void", VOIDED.values(), ids=list(VOIDED))
def test_the_code_is_void_once(alice: User, void: Callable[[User], Any]) -> None:
    ask(Api(alice))
    token = token_of(alice)
    void(alice)
    assert places_of(verify(token), "pointer") == ["/token"]
    assert not User.objects.filter(email=NEW).exists()


def test_it_lives_for_a_day(as_alice: Api, alice: User) -> None:
    ask(as_alice)
    token, now = token_of(alice), dt.datetime.now(dt.UTC)
    with time_machine.travel(now + dt.timedelta(hours=24, minutes=1)):
        assert verify(token).status_code == 400
        user = User.objects.get(pk=alice.pk)
        assert verify(mailed.EMAIL_CHANGE.make_code(user), email=alice.email).status_code == 400
    with time_machine.travel(now + dt.timedelta(hours=23, minutes=59)):
        assert verify(token).status_code == 204


def test_it_serves_once(as_alice: Api, alice: User) -> None:
    ask(as_alice)
    token = token_of(alice)
    assert [verify(token).status_code for _ in range(2)] == [204, 400]


@pytest.mark.django_db(transaction=True)
def test_it_serves_once_also_at_the_same_moment() -> None:
    user = make_user()
    ask(Api(user))
    token = token_of(user)
    answers = at_once(partial(verify, token) for _ in range(4))
    assert sorted(answer.status_code for answer in answers) == [204, 400, 400, 400]
    assert AuditEvent.objects.filter(action="account.email_changed").count() == 1


def test_mails_to_the_former_address_prove_nothing_any_more(as_alice: Api, alice: User) -> None:
    reset, verification = mailed.PASSWORD_RESET.make(alice), mailed.EMAIL_VERIFICATION.make(alice)
    ask(as_alice)
    verify(token_of(alice))
    body = {"token": reset, "password": "staple the battery"}
    assert Api().post("/api/auth/reset-password", body).status_code == 400
    assert verify(verification).status_code == 400


def test_an_account_without_a_request_has_no_code_for_one(alice: User) -> None:
    assert verify(mailed.EMAIL_CHANGE.make(alice)).status_code == 400
    assert verify(mailed.EMAIL_CHANGE.make_code(alice), email=alice.email).status_code == 400


# --- Limits -----------------------------------------------------------------------------------------


def test_mails_are_limited_by_account(as_alice: Api, limit: Callable[..., None]) -> None:
    limit(mail="2/hour")
    assert [ask(as_alice, f"{name}@example.com").status_code for name in "abc"] == [202, 202, 429]


def test_many_accounts_cannot_flood_one_mailbox(db: None, limit: Callable[..., None]) -> None:
    limit(mail="1/hour")
    statuses = [
        send(
            Api(make_user()), "POST", PATH, {"email": NEW, "password": PASSWORD}, REMOTE_ADDR=f"192.0.2.{host}"
        ).status_code
        for host in range(6)
    ]
    assert statuses == [202] * 5 + [429]


def test_passwords_cannot_be_guessed_here(as_alice: Api, limit: Callable[..., None]) -> None:
    limit(login="2/min")
    assert [ask(as_alice, password="wrong").status_code for _ in range(3)] == [400, 400, 429]
