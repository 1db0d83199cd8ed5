"""E-mail addresses: which of them are one mailbox, to which domain mail goes, and what is no address at any door."""

import unicodedata
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from typing import Any

import pytest
from django.core import mail as outgoing
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from config.operations import work
from tests.client import Api
from tests.factories import PASSWORD, make_user
from tests.issuer import Issuer
from tests.problems import places_of
from users import services
from users.models import User
from users.text import canonical_email, mail_address, validate_email
from users.tokens import mailed

# What IDNA 2003 takes for the same, and what registries, browsers and mail servers do not.
OTHER_DOMAINS = [
    ("ada@faß.de", "ada@fass.de", "ada@xn--fa-hia.de"),
    ("ada@βόλος.com", "ada@βόλοσ.com", "ada@xn--nxasmm1c.com"),
    ("ada@نامه\u200cای.com", "ada@نامهای.com", "ada@xn--mgba3gch31f060k.com"),
    ("ada@ශ්\u200dරී.com", "ada@ශ්රී.com", "ada@xn--10cl1a0b660p.com"),
]
ONE_DOMAIN = [
    ("ADA@FASS.DE", "ada@fass.de"),
    ("ada@FAẞ.de", "ada@faß.de"),
    ("ada@XN--FA-HIA.de", "ada@faß.de"),
    ("ada@bu\u0308cher.de", "ada@BÜCHER.de"),
    ("ada@ｂücher。de", "ada@xn--bcher-kva.de"),
    ("ada＠faß.de", "ada@faß.de"),
    ("ada@fa\u00adss.de", "ada@fass.de"),
    ("ada@\u03f2\u03af\u03b3\u03bc\u03b1.com", "ada@σίγμα.com"),  # a lunate sigma
    ("ada\ufe6bfaß.de", "ada@faß.de"),
]
UNDELIVERABLE = {
    "dotless i": "ıda@example.com",
    "capital I with a dot": "İda@example.com",
    "Kelvin sign": "\u212ada@example.com",
    "long s": "ſam@example.com",
    "accent": "zoë@example.com",
    "65 octets before the @": f"{'a' * 65}@example.com",
    "joiner where none can be": "ada@exam\u200dple.com",
    "symbol": "ada@☃.net",
    "encoded word, mailed to ada@example.com": "=?utf-8?q?ada?=@example.com",
    "control character": '"ada\x01"@example.com',
    "nobody": '""@example.com',
    "final dot": "ada@example。com。",
    "label of 64 in ASCII": f"ada@{'ü' * 60}.de",
    "270 characters in ASCII": f"{'a' * 64}@{'.'.join(['ёжик' * 6] * 6)}.example",
    "170,000 characters": "a@" + "\ufdfa" * 170_000,
}


@pytest.mark.parametrize(("one", "other", "canonical"), OTHER_DOMAINS)
def test_what_idna_2003_confused_are_two_domains(one: str, other: str, canonical: str) -> None:
    assert canonical_email(one) == mail_address(one) == canonical
    assert canonical_email(other) != canonical


def test_an_address_signs_in_by_the_domain_that_its_mails_go_to() -> None:
    """Whatever letter it is written with: NFKC makes a final sigma, which is another one, of the lunate sigma."""
    letters = [chr(code) for code in range(0x80, 0x30000) if unicodedata.normalize("NFKC", chr(code)) != chr(code)]
    taken = []
    for email in [f"ada@ab{letter}ba.com" for letter in letters]:
        with suppress(ValidationError):
            validate_email(email)
            taken.append(email)
    assert len(taken) > 3000
    assert [email for email in taken if canonical_email(email) != mail_address(email)] == []


@pytest.mark.parametrize(("one", "other"), ONE_DOMAIN)
def test_case_and_unicode_forms_are_one_domain(one: str, other: str) -> None:
    assert canonical_email(one) == canonical_email(other)


@pytest.mark.parametrize("domain", ["ab--cd.example", "localhost", "[127.0.0.1]", "xn--n3h.net", "例え.テスト"])
def test_domains_that_work_are_taken(domain: str) -> None:
    validate_email(f"{'a' * 64}@{domain}")


@pytest.mark.django_db
@pytest.mark.parametrize(("one", "other", "canonical"), OTHER_DOMAINS)
def test_whoever_owns_the_other_domain_gets_into_nothing(one: str, other: str, canonical: str) -> None:
    for email in (one, other):
        account = {"email": email, "password": f"{PASSWORD} of {email}"}
        assert Api().post("/api/auth/register", account).status_code == 201
    signed_in = Api().post("/api/auth/login", {"email": one, "password": f"{PASSWORD} of {one}"})
    assert (signed_in.status_code, signed_in.json()["user"]["email"]) == (200, one)
    crossed = {"email": other, "password": f"{PASSWORD} of {one}"}
    assert Api().post("/api/auth/login", crossed).status_code == 401
    assert User.objects.get(email_canonical=canonical).email == one


@pytest.mark.parametrize(("one", "other", "canonical"), OTHER_DOMAINS)
def test_mail_goes_to_the_domain_of_the_account(db: None, one: str, other: str, canonical: str) -> None:
    make_user(email=one)
    for email in (one, other):
        services.request_password_reset(email)
    work.drain("mails")
    [message] = outgoing.outbox
    assert message.recipients() == [canonical]
    assert f"To: {canonical}\n" in message.message().as_string()


def test_what_can_have_no_domain_is_mailed_to_nobody(db: None, caplog: pytest.LogCaptureFixture) -> None:
    """Stored when less was refused: the account goes on, and no other domain gets its mail."""
    email = "ada@ß\u2024ü.de"
    make_user(email=email)
    services.request_password_reset(email)
    work.drain("mails")
    assert (outgoing.outbox, "a mail could not be sent: InvalidCodepoint" in caplog.text) == ([], True)
    assert Api().post("/api/auth/login", {"email": email, "password": PASSWORD}).status_code == 200


@pytest.mark.django_db
def test_an_invitation_is_for_its_domain() -> None:
    invitation = mailed.make_invitation("ada@faß.de")
    assert [mailed.is_invited(invitation, email) for email in ("ada@FAẞ.de", "ada@fass.de")] == [True, False]


def test_the_address_shown_to_its_owner_is_not_another_domain(as_alice: Api, alice: User) -> None:
    services.update_account(alice, email="ada@faß.de")
    for email, status in [("ada@FAẞ.de", 200), ("ada@fass.de", 400)]:
        assert as_alice.patch("/api/users/me", {"email": email}).status_code == status


# --- What is no address -----------------------------------------------------------------------------


def by_registering(email: str) -> bool:
    answer = Api().post("/api/auth/register", {"email": email, "password": PASSWORD})
    return answer.status_code == 400 and set(places_of(answer, "pointer")) == {"/email"}


def by_invitation(email: str) -> bool:
    with pytest.raises(CommandError, match="is not an e-mail address"):
        call_command("invite", email)
    return True


def by_createsuperuser(email: str) -> bool:
    with pytest.raises(CommandError, match="Enter a valid email address|at most 254 characters"):
        call_command("createsuperuser", "--no-input", "--email", email)
    return True


def by_adding_in_the_admin(email: str) -> bool:
    form = {"email": email, "timezone": "UTC", "password1": PASSWORD, "password2": PASSWORD}
    page = staff().post(reverse("admin:users_user_add"), form)
    return "email" in page.context["adminform"].form.errors


def by_changing_in_the_admin(email: str) -> bool:
    user = make_user()
    page = staff().post(reverse("admin:users_user_change", args=[user.pk]), form_of(user, email=email))
    return "email" in page.context["adminform"].form.errors


def staff() -> Client:
    client = Client()
    client.force_login(User.objects.filter(is_staff=True).first() or make_user(is_staff=True, is_superuser=True))
    return client


def form_of(user: User, **changes: Any) -> dict[str, Any]:
    sessions = {f"sessions-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL")}
    return {"email": user.email, "timezone": user.timezone, "is_active": "on", **sessions, **changes}


DOORS = [by_registering, by_invitation, by_createsuperuser, by_adding_in_the_admin, by_changing_in_the_admin]


@pytest.mark.thorough
@pytest.mark.django_db
@pytest.mark.parametrize("email", UNDELIVERABLE.values(), ids=list(UNDELIVERABLE))
@pytest.mark.parametrize("is_refused", DOORS, ids=[door.__name__ for door in DOORS])
def test_what_cannot_be_delivered_is_refused_at_every_door(is_refused: Callable[[str], bool], email: str) -> None:
    assert is_refused(email)
    assert not User.objects.filter(email=email).exists()


@pytest.mark.django_db
@pytest.mark.parametrize("email", ["ıda@example.com", "ada@☃.net", f"{'a' * 65}@example.com"])
def test_accounts_of_before_stay_what_they_are(email: str) -> None:
    user = make_user(email=email)
    assert Api().post("/api/auth/login", {"email": email, "password": PASSWORD}).status_code == 200
    changed = staff().post(reverse("admin:users_user_change", args=[user.pk]), form_of(user, name="Ada"))
    user.refresh_from_db()
    assert (changed.status_code, user.name, user.email) == (302, "Ada", email)


@pytest.mark.django_db
def test_another_issuers_address_that_cannot_be_delivered_is_none(issuer: Issuer) -> None:
    token = issuer.token("ada", email="ıda@example.com")
    body = Api().get("/api/users/me", authorization=f"Bearer {token}").json()
    assert (body["id"], body["email"]) == ("ada", "")


# --- Length first -----------------------------------------------------------------------------------

LONG = "a@" + "\ufdfa" * 170_000  # of which NFKC makes 18 characters each; more are no body


def test_what_is_longer_than_an_address_is_never_normalised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("users.text.unicodedata", None)
    assert canonical_email(f" {LONG} ") == LONG


@pytest.mark.django_db
def test_a_long_address_is_nobodys_at_any_door(monkeypatch: pytest.MonkeyPatch, carol: User) -> None:
    monkeypatch.setattr("users.text.unicodedata", None)
    for path in ("register", "login", "forgot-password"):
        body = {"email": LONG} | ({} if path == "forgot-password" else {"password": PASSWORD})
        assert set(places_of(Api().post(f"/api/auth/{path}", body), "pointer")) == {"/email"}
    form = {"username": LONG, "password": PASSWORD}
    assert "username" in Client().post(reverse("admin:login"), form).context["form"].errors
    with pytest.raises(CommandError, match="No account has"):
        call_command("export_user", LONG)
    with pytest.raises(User.DoesNotExist):
        User.objects.get_by_natural_key(LONG)
    assert staff().get(reverse("admin:users_user_changelist"), {"q": LONG[:400]}).status_code == 200


@pytest.mark.django_db
def test_a_long_number_names_no_account() -> None:
    with pytest.raises(CommandError, match="No account has"):
        call_command("create_token", "9" * 5000, stdout=StringIO())
