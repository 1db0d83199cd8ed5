"""Who may open an account: everybody, the invited, or nobody."""

import datetime as dt
from functools import partial
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core import mail as outgoing
from django.core.management import CommandError, call_command
from pytest_django import Settings

from config.operations import work
from tests.client import Answer, Api
from tests.factories import PASSWORD, make_user
from tests.problems import places_of, problem_of
from tests.races import at_once
from users import services
from users.models import User
from users.tokens import mailed

ADA = {"email": "Ada@Example.com", "password": PASSWORD}


def register(**members: Any) -> Answer:
    return Api().post("/api/auth/register", {**ADA, **members})


def invite(*arguments: str) -> str:
    out = StringIO()
    call_command("invite", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue().strip()


@pytest.mark.django_db
@pytest.mark.parametrize("mode", ["closed", "invite"])
def test_closed_is_closed(settings: Settings, mode: str) -> None:
    settings.REGISTRATION = mode
    assert problem_of(register(), 403)["code"] == "registration_closed"
    assert not User.objects.exists()


@pytest.mark.django_db
def test_closed_also_to_the_invited(settings: Settings) -> None:
    settings.REGISTRATION = "closed"
    assert register(invitation=invite("ada@example.com")).status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize("mode", ["invite", "open"])
def test_the_invited_get_a_verified_account(settings: Settings, mode: str) -> None:
    settings.REGISTRATION = mode
    answer = register(invitation=invite("ada@example.COM"))
    assert (answer.status_code, answer.json()["user"]["email_verified"]) == (201, True)


@pytest.mark.django_db
def test_an_invitation_serves_once(settings: Settings) -> None:
    settings.REGISTRATION = "invite"
    invitation = invite("ada@example.com")
    assert register(invitation=invitation).status_code == 201
    assert places_of(register(invitation=invitation), "pointer") == ["/invitation"]
    services.delete_account(User.objects.get())
    assert places_of(register(invitation=invitation), "pointer") == ["/invitation"]


@pytest.mark.django_db
def test_a_registration_that_fails_gives_the_invitation_back(settings: Settings) -> None:
    settings.REGISTRATION = "invite"
    invitation = invite("ada@example.com")
    assert register(invitation=invitation, password="short").status_code == 400
    assert register(invitation=invitation).status_code == 201


def test_12_parallel_uses_of_an_invitation_make_one_account(transactional_db: None, settings: Settings) -> None:
    settings.REGISTRATION = "invite"
    invitation = invite("ada@example.com")
    answers = at_once([partial(register, invitation=invitation)] * 12)
    assert sorted(answer.status_code for answer in answers) == [201] + [400] * 11


BAD_INVITATIONS: dict[str, Any] = {
    "garbage": lambda: "x",
    "for another": lambda: mailed.make_invitation("bob@example.com"),
    "a reset code": lambda: mailed.PASSWORD_RESET.make(make_user()),
    "cut": lambda: mailed.make_invitation("ada@example.com")[:-1],
}


@pytest.mark.django_db
@pytest.mark.parametrize("make", BAD_INVITATIONS.values(), ids=list(BAD_INVITATIONS))
@pytest.mark.parametrize("mode", ["invite", "open"])
def test_a_bad_invitation_is_refused_by_name(settings: Settings, mode: str, make: Any) -> None:
    settings.REGISTRATION = mode
    assert places_of(register(invitation=make()), "pointer") == ["/invitation"]
    assert not User.objects.filter(email_canonical="ada@example.com").exists()


@pytest.mark.django_db
def test_an_invitation_expires_after_seven_days(settings: Settings) -> None:
    settings.REGISTRATION = "invite"
    invitation = invite("ada@example.com")
    with time_machine.travel(dt.datetime.now(dt.UTC) + dt.timedelta(days=7, minutes=1)):
        assert register(invitation=invitation).status_code == 400
    assert register(invitation=invitation).status_code == 201


@pytest.mark.django_db
def test_an_invitation_is_a_link_where_there_is_an_app(settings: Settings) -> None:
    settings.APP_URL = "https://app.example.com"
    assert invite("ada@example.com").startswith("https://app.example.com/register?token=")


@pytest.mark.django_db
def test_an_invitation_can_be_mailed(settings: Settings) -> None:
    settings.REGISTRATION = "invite"
    invite("ada@example.com", "--send")
    work.drain("mails")
    [message] = outgoing.outbox
    assert message.to == ["ada@example.com"]
    [code] = [line for line in str(message.body).splitlines() if len(line) > 40 and " " not in line]
    assert register(invitation=code).status_code == 201


@pytest.mark.django_db
@pytest.mark.parametrize(("email", "reason"), [("ada", "not an e-mail"), ("ADA@example.com", "has an account already")])
def test_inviting_nobody_is_told(email: str, reason: str) -> None:
    make_user(email="ada@example.com")
    with pytest.raises(CommandError, match=reason):
        invite(email)


def test_12_parallel_registrations_of_one_address_make_one_account(transactional_db: None) -> None:
    """Also in other case and Unicode forms."""
    spellings = ["ada@example.com", "ADA@EXAMPLE.COM", "Ada@ｅｘａｍｐｌｅ.com"] * 4
    answers = at_once(partial(register, email=email) for email in spellings)
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 11
    assert User.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_registration_that_fails_leaves_neither_account_nor_session() -> None:
    make_user(email="ada@example.com")
    assert register().status_code == 409
    assert (User.objects.count(), outgoing.outbox) == (1, [])


# --- Commands that set passwords --------------------------------------------------------------------


def change_password(monkeypatch: pytest.MonkeyPatch, email: str, *typed: str) -> None:
    answers = iter(typed)
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(answers))
    call_command("changepassword", email, stdout=StringIO())


def test_changepassword_ends_every_session(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(alice)
    change_password(monkeypatch, alice.email.upper(), "staple the battery", "staple the battery")
    assert api.get("/api/users/me").status_code == 401
    new = {"email": alice.email, "password": "staple the battery"}
    assert Api().post("/api/auth/login", new).status_code == 200


@pytest.mark.parametrize(
    ("typed", "reason"), [(("a", "b"), "differ"), (("short", "short"), "too short"), (("", ""), "too short")]
)
def test_changepassword_refuses_and_changes_nothing(
    alice: User, monkeypatch: pytest.MonkeyPatch, typed: tuple[str, str], reason: str
) -> None:
    with pytest.raises(CommandError, match=reason):
        change_password(monkeypatch, alice.email, *typed)
    assert Api().post("/api/auth/login", {"email": alice.email, "password": PASSWORD}).status_code == 200


@pytest.mark.django_db
def test_changepassword_for_nobody() -> None:
    with pytest.raises(CommandError, match="No account has"):
        call_command("changepassword", "nobody@example.com")


@pytest.mark.django_db
def test_a_superuser_needs_no_mail_to_be_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", "--no-input", "--email", "Root@example.com", stdout=StringIO())
    user = User.objects.get()
    assert (user.is_email_verified, user.email_canonical) == (True, "root@example.com")


def test_createsuperuser_with_a_taken_address_is_told_in_one_line(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    with pytest.raises(CommandError, match="An account with this e-mail address exists"):
        call_command("createsuperuser", "--no-input", "--email", alice.email.upper())
    assert not User.objects.filter(is_superuser=True).exists()
