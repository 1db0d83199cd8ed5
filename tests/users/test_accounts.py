"""Register, sign in, refresh, and the caller's own account."""

import threading
from typing import Any

import jwt
import pytest
from django.conf import settings
from django.db import DatabaseError, connections, transaction

from config.database.isolation import all_users
from tasks.models import Task
from tasks.services import create_task
from tests.client import Answer, Api
from tests.factories import PASSWORD, make_task, make_user
from users import services
from users.models import Feed, User
from users.text import canonical_email

ADA = {"email": "Ada@Example.com", "password": PASSWORD, "name": "Ada Lovelace"}


@pytest.mark.django_db
def test_register_opens_an_account_and_signs_in() -> None:
    answer = Api().post("/api/auth/register", {**ADA, "timezone": "Europe/London"})
    body, user = answer.json(), User.objects.get()
    assert (answer.status_code, answer["Cache-Control"]) == (201, "no-store")
    assert list(body) == ["user", "access", "refresh", "token_type", "expires_in"]
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 600)
    assert list(body["user"]) == [
        *("id", "email", "email_verified", "name", "timezone", "reminder_time", "reminder_channels"),
        *("default_reminder_minutes", "digest_time", "created_at"),
    ]
    assert body["user"]["id"] == str(user.pk)
    assert (user.email, user.email_canonical) == ("Ada@Example.com", "ada@example.com")
    assert (user.name, user.timezone, user.is_staff) == ("Ada Lovelace", "Europe/London", False)


@pytest.mark.django_db
def test_the_new_tokens_work_at_once() -> None:
    body = Api().post("/api/auth/register", ADA).json()
    headers = {"authorization": f"bearer {body['access']}"}
    assert Api().get(f"/api/{body['user']['id']}/tasks", **headers).json() == []


@pytest.mark.django_db
def test_tokens_carry_the_claims_of_the_contract() -> None:
    body = Api().post("/api/auth/register", ADA).json()
    key = settings.JWT_SIGNING_KEY
    access = jwt.decode(body["access"], key, algorithms=["HS256"], audience="tickbase", issuer="tickbase")
    refresh = jwt.decode(body["refresh"], key, algorithms=["HS256"], audience="tickbase", issuer="tickbase")
    assert {"sub", "aud", "iss", "iat", "exp", "jti", "sid", "ver"} <= access.keys()
    assert access["exp"] - access["iat"] == 600
    assert (access["sub"], access["ver"]) == (body["user"]["id"], 0)
    assert access["sid"] == refresh["sid"]
    assert access["jti"] != refresh["jti"]


@pytest.mark.parametrize(
    "email",
    ["Ada@Example.com", "ADA@EXAMPLE.COM", "ada@ｅｘａｍｐｌｅ.com", "ada@exam\u00adple.com", "ada@example。com"],
)
@pytest.mark.django_db
def test_another_spelling_of_an_address_is_taken(email: str) -> None:
    make_user(email="ada@example.com")
    answer = Api().post("/api/auth/register", {**ADA, "email": email})
    assert (answer.status_code, answer.json()["code"]) == (409, "email_taken")
    assert User.objects.count() == 1


def test_canonical_e_mail_is_nfkc_casefold_nfkc() -> None:
    spellings = ["straße@example.com", "STRASSE@example.com", " STRAẞE＠Example.COM ", "ｓtrasse@example.com"]
    assert {canonical_email(spelling) for spelling in spellings} == {"strasse@example.com"}
    # Case folding alone leaves the iota subscript of U+1FC7 unnormalised.
    assert canonical_email("ῇ@b.c") == canonical_email(canonical_email("ῇ@b.c"))


@pytest.mark.django_db(transaction=True)
def test_parallel_registrations_of_one_address_make_one_account() -> None:
    answers: list[Answer] = []

    def register(email: str) -> None:
        answers.append(Api().post("/api/auth/register", {**ADA, "email": email}))
        connections.close_all()

    threads = [threading.Thread(target=register, args=[email]) for email in ["ada@example.com", "ADA@example.com"] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_sign_in_takes_any_spelling_of_the_address() -> None:
    user = make_user(email="Ada@Example.com")
    answer = Api().post("/api/auth/login", {"email": "ADA@example.COM", "password": PASSWORD})
    user.refresh_from_db()
    assert (answer.status_code, answer.json()["user"]["email"]) == (200, "Ada@Example.com")
    assert user.last_login is not None


@pytest.mark.django_db
def test_unknown_wrong_and_inactive_are_told_apart_by_nobody() -> None:
    make_user(email="ada@example.com")
    make_user(email="gone@example.com", is_active=False)
    attempts = [("nobody@example.com", PASSWORD), ("ada@example.com", "wrong"), ("gone@example.com", PASSWORD)]
    answers = [
        Api().post("/api/auth/login", {"email": email, "password": password}, x_request_id="same")
        for email, password in attempts
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0]["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize("password", ["short", "elevenchars", "password1234"])
@pytest.mark.django_db
def test_weak_passwords_are_refused(password: str) -> None:
    answer = Api().post("/api/auth/register", {**ADA, "password": password})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/password")
    assert not User.objects.exists()


@pytest.mark.django_db
def test_refresh_answers_a_new_pair_of_the_same_session() -> None:
    first = Api().post("/api/auth/register", ADA).json()
    answer = Api().post("/api/auth/refresh", {"refresh": first["refresh"]})
    second = answer.json()
    sids = [jwt.decode(pair["access"], options={"verify_signature": False})["sid"] for pair in (first, second)]
    assert (answer.status_code, second["user"]) == (200, first["user"])
    assert sids[0] == sids[1]
    assert second["access"] != first["access"]


@pytest.mark.django_db
def test_an_access_token_refreshes_nothing_and_a_refresh_token_opens_nothing() -> None:
    pair = Api().post("/api/auth/register", ADA).json()
    assert Api().post("/api/auth/refresh", {"refresh": pair["access"]}).status_code == 401
    assert Api().get("/api/users/me", authorization=f"Bearer {pair['refresh']}").status_code == 401


def test_me_answers_the_own_account(as_alice: Api, alice: User) -> None:
    body = as_alice.get("/api/users/me").json()
    assert (body["id"], body["email"], body["timezone"]) == (alice.public_id, alice.email, "UTC")


def test_me_can_be_renamed_and_moved(as_alice: Api, alice: User) -> None:
    answer = as_alice.patch("/api/users/me", {"name": "  Alice L.  ", "timezone": "Asia/Karachi"})
    alice.refresh_from_db()
    assert (answer.status_code, answer.json()["name"]) == (200, "Alice L.")
    assert (alice.name, alice.timezone) == ("Alice L.", "Asia/Karachi")


def test_the_own_account_can_be_sent_back_but_not_the_address_changed(as_alice: Api, alice: User) -> None:
    shown = as_alice.get("/api/users/me").json()
    assert as_alice.patch("/api/users/me", shown).json() == shown
    answer = as_alice.patch("/api/users/me", {"email": "other@example.com"})
    alice.refresh_from_db()
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/email")
    assert alice.email == shown["email"]


@pytest.mark.parametrize("change", [{"is_active": False}, {"token_version": 1}])
def test_tokens_of_a_deactivated_account_or_an_older_generation_fail(
    as_alice: Api, alice: User, change: dict[str, Any]
) -> None:
    assert as_alice.get("/api/users/me").status_code == 200
    User.objects.filter(pk=alice.pk).update(**change)
    assert as_alice.get("/api/users/me").status_code == 401


def test_deleting_the_account_ends_its_tokens_and_takes_its_tasks_along(as_alice: Api, alice: User) -> None:

    make_task(alice)
    services.delete_account(alice)
    assert as_alice.get("/api/me/tasks").status_code == 401
    assert (Task.objects.count(), Feed.objects.count(), User.objects.count()) == (0, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_an_account_deleted_meanwhile_is_told_so_and_leaves_nothing() -> None:

    stale = make_user()
    services.delete_account(User.objects.get())
    for write in (
        lambda: services.update_profile(stale, name="New"),
        lambda: services.set_password(stale, "another good password"),
        lambda: services.delete_account(stale),
        lambda: create_task(stale, title="A"),  # its foreign key fails at the commit
    ):
        with pytest.raises(services.AccountGone):
            write()
    assert (User.objects.count(), Feed.objects.count()) == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_an_account_and_a_task_of_it_that_is_being_created_go_together() -> None:

    user = make_user()
    creating = threading.Event()
    outcome: list[type[Exception]] = []

    @all_users()
    def create() -> None:
        try:
            with transaction.atomic():
                create_task(user, title="A")
                creating.set()
                connections["default"].cursor().execute("SELECT pg_sleep(0.3)")
        except (services.AccountGone, DatabaseError) as error:
            outcome.append(type(error))
        connections.close_all()

    thread = threading.Thread(target=create)
    thread.start()
    creating.wait(10)
    services.delete_account(user)  # waits
    thread.join()
    assert (User.objects.count(), Feed.objects.count(), Task.objects.count()) == (0, 0, 0)
    assert outcome == []


def test_a_change_made_from_an_older_copy_undoes_nothing(alice: User) -> None:
    older = User.objects.get(pk=alice.pk)
    services.update_account(alice, email="new@example.com")
    services.update_profile(older, timezone="Asia/Karachi")
    alice.refresh_from_db()
    assert (alice.email, alice.email_canonical) == ("new@example.com", "new@example.com")
    assert alice.timezone == "Asia/Karachi"


def test_each_new_password_ends_the_tokens_of_the_one_before(alice: User) -> None:
    older = User.objects.get(pk=alice.pk)
    services.set_password(alice, "another good password")
    between = Api(alice)
    services.set_password(older, "yet another password")
    assert between.get("/api/users/me").status_code == 401
    assert User.objects.get().token_version == 2


@pytest.mark.parametrize("password", ["ada@example.com", "adalovelace1815"])
@pytest.mark.django_db
def test_a_password_like_the_address_or_name_is_refused(password: str) -> None:
    answer = Api().post("/api/auth/register", {**ADA, "name": "adalovelace", "password": password})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "weak_password")
