"""How passwords are hashed: with which parameters, of which Unicode form, how often; and what older hashes become."""

import sys
import unicodedata
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, PBKDF2PasswordHasher, check_password, make_password
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from config import settings as shipped
from tests.client import Answer, Api
from tests.factories import PASSWORD, make_user
from tests.problems import send
from users import services
from users.models import Session, User
from users.services.demo import Person, open_demo_accounts
from users.text import MAX_PASSWORD, opaque_string
from users.tokens import mailed

NFC = unicodedata.normalize("NFC", "crème brûlée à l'Åse")
NFD = unicodedata.normalize("NFD", NFC)
NO_BREAK = NFC.replace(" ", "\u00a0")
FORMS = [NFC, NFD, NO_BREAK]


def sign_in(user: User, password: str) -> Answer:
    return Api().post("/api/auth/login", {"email": user.email, "password": password})


# --- Parameters -------------------------------------------------------------------------------------


@pytest.fixture
def argon2(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = shipped.PASSWORD_HASHERS


@pytest.mark.django_db
@pytest.mark.usefixtures("argon2")
def test_passwords_are_hashed_as_owasp_recommends() -> None:
    Api().post("/api/auth/register", {"email": "ada@example.com", "password": PASSWORD})
    assert User.objects.get().password.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.thorough
@pytest.mark.usefixtures("argon2")
def test_a_hash_of_before_is_replaced_at_the_next_sign_in(alice: User) -> None:
    """By an update as its owner, whom the policies of row level security let through."""
    before = f"{PASSWORD} of before"
    User.objects.filter(pk=alice.pk).update(password=Argon2PasswordHasher().encode(before, "s" * 22))
    assert sign_in(alice, PASSWORD).status_code == 401
    assert "m=102400,t=2,p=8" in User.objects.get().password
    assert sign_in(alice, before).status_code == 200
    replaced = User.objects.get().password
    assert "m=19456,t=2,p=1" in replaced
    assert sign_in(alice, before).status_code == 200
    assert (User.objects.get().password, User.objects.get().token_version) == (replaced, 0)
    assert Session.objects.count() == 2


@pytest.mark.usefixtures("argon2")
def test_a_replaced_hash_brings_no_former_password_back(alice: User) -> None:
    """Which is set while the former one is still hashed."""
    hashed = Argon2PasswordHasher().encode(PASSWORD, "s" * 22)
    User.objects.filter(pk=alice.pk).update(password=hashed)
    signing_in = User.objects.get()
    services.set_password(alice, "another good password")
    assert signing_in.check_password(PASSWORD)
    assert [sign_in(alice, each).status_code for each in (PASSWORD, "another good password")] == [401, 200]


# --- Unicode forms ----------------------------------------------------------------------------------


def test_every_space_is_one_and_accents_are_composed() -> None:
    everything = map(chr, range(sys.maxunicode + 1))
    assert {opaque_string(each) for each in everything if unicodedata.category(each) == "Zs"} == {" "}
    assert {opaque_string(form) for form in FORMS} == {NFC}
    assert opaque_string("ﬁ ß K \u200d\t") == "ﬁ ß K \u200d\t"  # and nothing else is mapped


def by_registering(password: str) -> None:
    Api().post("/api/auth/register", {"email": "ada@example.com", "password": password})


def by_changing(password: str) -> None:
    body = {"current_password": PASSWORD, "new_password": password}
    Api(make_user()).post("/api/users/me/password", body)


def by_resetting(password: str) -> None:
    body = {"token": mailed.PASSWORD_RESET.make(make_user()), "password": password}
    Api().post("/api/auth/reset-password", body)


def by_staff(password: str) -> None:
    user, client = make_user(), Client()
    client.force_login(make_user("carol", is_staff=True, is_superuser=True))
    form = {"password1": password, "password2": password, "usable_password": "true"}
    client.post(reverse("admin:auth_user_password_change", args=[user.pk]), {**form, "set-password": "1"})


def by_createsuperuser(password: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_SUPERUSER_PASSWORD", password)
        call_command("createsuperuser", "--no-input", "--email", "ada@example.com", stdout=StringIO())


def by_changepassword(password: str) -> None:
    user = make_user()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("getpass.getpass", lambda prompt: password)
        call_command("changepassword", user.email, stdout=StringIO())


def by_demo(password: str) -> None:
    user = make_user()
    open_demo_accounts([Person("Ada", "UTC", user.created_at)], password)
    user.delete()


DOORS = [by_registering, by_changing, by_resetting, by_staff, by_createsuperuser, by_changepassword, by_demo]


@pytest.mark.django_db
@pytest.mark.parametrize("typed", FORMS, ids=["NFC", "NFD", "no-break spaces"])
@pytest.mark.parametrize("set_password", DOORS, ids=[door.__name__ for door in DOORS])
def test_a_password_set_in_one_form_is_right_in_every_form(set_password: Callable[[str], None], typed: str) -> None:
    set_password(typed)
    user = User.objects.exclude(name="carol").get()
    assert check_password(NFC, user.password)
    assert [sign_in(user, form).status_code for form in FORMS] == [200] * 3
    assert sign_in(user, unicodedata.normalize("NFKC", NFC).upper()).status_code == 401


@pytest.mark.parametrize("form", FORMS)
def test_the_own_password_is_right_in_every_form_where_it_is_asked_for(db: None, form: str) -> None:
    api = Api(make_user(password=NFC))
    change = {"current_password": form, "new_password": PASSWORD}
    assert api.post("/api/users/me/password", change).status_code == 200
    leaving = Api(make_user(password=NFC))
    assert send(leaving, "DELETE", "/api/users/me", {"password": form}).status_code == 204


@pytest.mark.parametrize("typed", [NFD, NO_BREAK], ids=["NFD", "no-break spaces"])
def test_a_hash_of_the_text_as_it_was_typed_signs_in_once_more(alice: User, typed: str) -> None:
    User.objects.filter(pk=alice.pk).update(password=make_password(typed))
    assert sign_in(alice, NFC).status_code == 401  # nobody can tell what was typed
    assert sign_in(alice, typed).status_code == 200
    assert [sign_in(alice, form).status_code for form in FORMS] == [200] * 3


@pytest.mark.django_db
def test_the_length_of_a_password_is_that_of_its_hashed_form() -> None:
    answer = Api().post("/api/auth/register", {"email": "ada@example.com", "password": "e\u0301" * 11})
    assert answer.json()["errors"][0]["code"] == "weak_password"
    with pytest.raises(CommandError, match="too short"):
        by_changepassword("e\u0301" * 11)


@pytest.mark.django_db
@pytest.mark.parametrize("set_password", [by_createsuperuser, by_changepassword])
def test_commands_set_no_password_that_is_too_long_to_sign_in(set_password: Callable[[str], None]) -> None:
    with pytest.raises(CommandError, match="at most 256 characters"):
        set_password("aB3 " * MAX_PASSWORD)


# --- How often --------------------------------------------------------------------------------------


class CountingHasher(PBKDF2PasswordHasher):
    algorithm = "counting"
    iterations = 10
    runs = 0

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        type(self).runs += 1
        return super().encode(password, salt, iterations)


def through_the_api(email: str, password: str) -> bool:
    return Api().post("/api/auth/login", {"email": email, "password": password}).status_code == 200


def through_the_admin(email: str, password: str) -> bool:
    return Client().post(reverse("admin:login"), {"username": email, "password": password}).status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize("attempt", [through_the_api, through_the_admin])
@pytest.mark.parametrize("form", [NFC, NFD], ids=["NFC", "NFD"])
@pytest.mark.parametrize("kind", ["unknown", "wrong", "inactive", "without a password", "right"])
def test_how_often_signing_in_hashes_tells_nothing(settings: Settings, attempt: Any, form: str, kind: str) -> None:
    """Its time is that of hashing, as tests/benchmarks/sign_in.py measures: once, and another time for a text that
    is not normalised and not right.
    """
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    password = None if kind == "without a password" else NFC
    user = make_user(password=password, is_active=kind != "inactive", is_staff=True)
    email = "nobody@example.com" if kind == "unknown" else user.email
    CountingHasher.runs = 0
    is_in = attempt(email, f"{form}!" if kind == "wrong" else form)
    is_known = kind in {"right", "inactive"}  # to whoever has the right password
    assert (is_in, CountingHasher.runs) == (kind == "right", 1 if is_known or form == NFC else 2)
