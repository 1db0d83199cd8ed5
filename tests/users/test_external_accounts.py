"""Accounts of an external issuer, from the first token to the last, over HTTP."""

import datetime as dt
import time
from typing import Any
from urllib.parse import quote, unquote

import pytest
import time_machine
from pytest_django import DjangoAssertNumQueries, Settings

from tasks.models import Task
from tests.audited import only
from tests.client import Answer, Api, address_in, next_page
from tests.factories import PASSWORD, make_task, make_user
from tests.issuer import ISSUER, SHARED, Issuer, claims_of, make_key, sign
from tests.pages import signed_in, submit
from tests.problems import exact, problem_of
from tests.races import at_once
from users import services
from users.audit import Action
from users.models import ClosedAccount, Feed, User

pytestmark = pytest.mark.django_db

SUBJECTS = [
    "auth0|65a", "did:plc:x", "a b", "7", "me", "é", "完成", "x%2Fy", "x+y", "a?b#c", "a;b=c&d", '"<\'>', "...",
    "  spaced  ", "line\nbreak", pytest.param("😀" * 60, id="faces"), pytest.param("x" * 255, id="long"),
]  # fmt: skip
NOW = dt.datetime(2026, 11, 24, 9, 0, tzinfo=dt.UTC)


def bearing(token: str) -> Api:
    api = Api()
    api.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return api


def close(api: Api) -> Answer:
    return api.delete("/api/users/me")


# --- First sight ------------------------------------------------------------------------------------


def test_the_first_request_opens_the_account_and_the_next_ones_find_it(issuer: Issuer) -> None:
    answers = [bearing(issuer.token("ada", email="ada@example.com", name="Ada")).get("/api/users/me") for _ in range(3)]
    user = User.objects.get()
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    body = answers[0].json()
    assert (body["id"], body["email"], body["name"], body["timezone"]) == ("ada", "ada@example.com", "Ada", "UTC")
    assert (user.issuer, user.subject, user.email_canonical) == (ISSUER, "ada", None)
    assert (user.is_staff, user.is_superuser, user.has_usable_password()) == (False, False, False)


@pytest.mark.usefixtures("shared_secret")
def test_a_shared_secret_opens_accounts_too() -> None:
    api = bearing(sign(SHARED, {"sub": "ada", "exp": time.time() + 60}))
    assert api.post("/api/ada/tasks", {"title": "A"}).json()["user_id"] == "ada"
    assert User.objects.get().issuer == "external"
    assert only(Action.REGISTERED).details == {"issuer": "external"}


@pytest.mark.usefixtures("transactional_db")
@pytest.mark.django_db(transaction=True)
def test_first_requests_at_the_same_moment_are_one_account(issuer: Issuer) -> None:
    token = issuer.token("auth0|65a")
    answers = at_once([lambda: bearing(token).get("/api/auth0%7C65a/tasks") for _ in range(12)])
    assert [answer.status_code for answer in answers] == [200] * 12
    assert User.objects.count() == 1


@pytest.mark.usefixtures("transactional_db")
@pytest.mark.django_db(transaction=True)
def test_first_tasks_at_the_same_moment_are_all_there(issuer: Issuer) -> None:
    token = issuer.token("ada")
    answers = at_once([lambda: bearing(token).post("/api/me/tasks", {"title": "A"}) for _ in range(12)])
    assert [answer.status_code for answer in answers] == [201] * 12
    assert sorted(answer.json()["version"] for answer in answers) == list(range(1, 13))
    assert User.objects.count() == 1


def test_a_subject_of_another_issuer_is_another_person(issuer: Issuer, settings: Settings) -> None:
    bearing(issuer.token("ada")).post("/api/me/tasks", {"title": "A"})
    settings.JWT_EXTERNAL_ISSUER = "https://another.example"
    assert bearing(issuer.token("ada", iss="https://another.example")).get("/api/me/tasks").json() == []
    assert User.objects.filter(subject="ada").count() == 2


@pytest.mark.parametrize("claims", [{"sub": ""}, {"aud": "another"}, {"exp": 1}])
def test_a_refused_token_opens_nothing(issuer: Issuer, claims: dict[str, Any]) -> None:
    answer = bearing(issuer.token(**{"subject": claims.pop("sub", "ada"), **claims})).get("/api/users/me")
    assert problem_of(answer, 401)["code"] == "invalid_token"
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert not User.objects.exists()


def test_an_issuer_that_is_down_at_the_first_request_is_a_401(issuer: Issuer) -> None:
    issuer.stop()
    assert problem_of(bearing(issuer.token()).get("/api/users/me"), 401)["code"] == "invalid_token"
    issuer.start()
    assert bearing(issuer.token()).get("/api/users/me").status_code == 200


def test_a_forged_token_is_a_401(issuer: Issuer) -> None:
    forged = make_key("forged")
    tokens = [sign(forged, claims_of(), kid=kid) for kid in ("first", "forged", "\ud800", None)]
    assert [problem_of(bearing(token).get("/api/me/tasks"), 401)["code"] for token in [*tokens, "x.y.z", ""]]
    assert not User.objects.exists()


# --- The public id ----------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_subject_is_an_address(issuer: Issuer, subject: str) -> None:
    api, path = bearing(issuer.token(subject)), f"/api/{quote(subject, safe='')}/tasks"
    created = api.post(path, {"title": "A"})
    assert (created.status_code, created.json()["user_id"]) == (201, subject)
    location = address_in(created, "Location")
    assert unquote(location) == f"/api/{subject}/tasks/{created.json()['id']}"
    assert api.get(location).json() == created.json()
    assert api.patch(f"{location}/complete", {"completed": True}).status_code == 200
    assert api.delete(location).status_code == 204
    assert api.get("/api/users/me").json()["id"] == subject


@pytest.mark.parametrize("subject", SUBJECTS)
def test_pages_of_a_subject_lead_on(issuer: Issuer, subject: str) -> None:
    api, page = bearing(issuer.token(subject)), f"/api/{quote(subject, safe='')}/tasks?limit=2&search=t%C3%A4sk"
    for number in range(5):
        api.post("/api/me/tasks", {"title": f"Täsk {number}"})
    titles: list[str] = []
    while page:
        answer = api.get(page)
        titles += [task["title"] for task in answer.json()]
        page = next_page(answer) or ""
    assert titles == [f"Täsk {number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize("subject", ["https://ada.example/#me", "/", ".", ".."])
def test_a_subject_that_is_no_part_of_a_path_is_served_as_me(issuer: Issuer, subject: str) -> None:
    api = bearing(issuer.token(subject))
    created = api.post("/api/me/tasks", {"title": "A"})
    assert (created.status_code, created.json()["user_id"]) == (201, subject)
    assert api.get(address_in(created, "Location")).json() == created.json()


def test_a_subject_like_the_id_of_a_local_account_is_not_that_account(issuer: Issuer, alice: User) -> None:
    task = make_task(alice)
    external, local = bearing(issuer.token(alice.public_id)), Api(alice)
    path = f"/api/{alice.public_id}/tasks"
    assert external.get(path).json() == []
    assert external.get(f"{path}/{task.pk}").status_code == 404
    assert [each["id"] for each in local.get(path).json()] == [task.pk]
    own = external.post(path, {"title": "A"}).json()
    assert (own["user_id"], local.get(f"{path}/{own['id']}").status_code) == (alice.public_id, 404)


def test_the_path_of_another_is_refused_whoever_that_is(issuer: Issuer, alice: User) -> None:
    api = bearing(issuer.token("ada"))
    bearing(issuer.token("bob")).get("/api/users/me")
    others = [
        alice.public_id,
        "bob",
        "nobody",
        "ADA",
        "ada%20",
        str(User.objects.get(subject="ada").pk) if False else "0",
    ]
    answers = [api.get(f"/api/{other}/tasks", x_request_id="same") for other in others]
    assert {answer.status_code for answer in answers} == {403}
    assert all(exact(answer) == exact(answers[0]) for answer in answers)


def test_the_number_of_an_external_account_is_nobody_s_address(issuer: Issuer) -> None:
    api = bearing(issuer.token("ada"))
    api.get("/api/users/me")
    assert api.get(f"/api/{User.objects.get().pk}/tasks").status_code == 403


# --- Not a way into anything ------------------------------------------------------------------------


def test_the_e_mail_of_a_local_account_opens_another_one(issuer: Issuer, alice: User) -> None:
    make_task(alice)
    api = bearing(issuer.token("ada", email=alice.email, email_verified=True))
    assert api.get("/api/me/tasks").json() == []
    assert api.get("/api/users/me").json()["email"] == alice.email
    alice.refresh_from_db()
    assert (alice.issuer, User.objects.count()) == (None, 2)
    signed_in = Api().post("/api/auth/login", {"email": alice.email, "password": PASSWORD}).json()
    assert signed_in["user"]["id"] == alice.public_id


def test_an_e_mail_that_an_external_account_shows_is_free_to_register(issuer: Issuer) -> None:
    bearing(issuer.token("ada", email="ada@example.com")).get("/api/users/me")
    answer = Api().post("/api/auth/register", {"email": "ada@example.com", "password": PASSWORD})
    assert answer.status_code == 201
    assert answer.json()["user"]["id"] != "ada"


def test_several_external_accounts_may_show_one_e_mail(issuer: Issuer) -> None:
    for subject in ("ada", "bob"):
        assert bearing(issuer.token(subject, email="us@example.com")).get("/api/users/me").status_code == 200
    assert User.objects.count() == 2


def test_an_external_account_has_no_password_to_sign_in_with(issuer: Issuer) -> None:
    bearing(issuer.token("ada", email="ada@example.com")).get("/api/users/me")
    for password in (PASSWORD, "!", ""):
        assert Api().post("/api/auth/login", {"email": "ada@example.com", "password": password}).status_code in (
            400,
            401,
        )


def test_claims_make_nobody_more_than_they_are(issuer: Issuer, alice: User) -> None:
    session = Api(alice).get("/api/users/me/sessions").json()[0]["id"]
    boasts = {"is_staff": True, "is_superuser": True, "role": "admin", "ver": 0, "gen": 0, "sid": session, "id": 1}
    boasts |= {"token_type": "access", "user_id": alice.public_id, "is_active": True, "scope": "admin"}
    api = bearing(issuer.token("ada", **boasts))
    assert api.get("/api/users/me").json()["id"] == "ada"
    assert api.get("/api/users/me/sessions").json() == []
    assert api.delete(f"/api/users/me/sessions/{session}").status_code == 404
    user = User.objects.get(subject="ada")
    assert (user.is_staff, user.is_superuser, user.pk != alice.pk) == (False, False, True)


def test_our_own_names_in_its_tokens_open_no_local_account(issuer: Issuer, alice: User) -> None:
    token = issuer.token(alice.public_id, iss="tickbase", aud="tickbase", token_type="access", ver=0)
    assert bearing(token).get("/api/users/me").status_code == 401


def test_local_accounts_go_on_beside_an_issuer_also_when_it_is_down(issuer: Issuer, as_alice: Api) -> None:
    issuer.stop()
    assert as_alice.get("/api/users/me").status_code == 200
    assert Api().post("/api/auth/refresh", {"refresh": as_alice.tokens.refresh}).status_code == 200
    assert issuer.paths == []
    issuer.start()


def test_an_external_token_refreshes_nothing(issuer: Issuer) -> None:
    for path in ("/api/auth/refresh", "/api/auth/logout"):
        assert Api().post(path, {"refresh": issuer.token(token_type="refresh")}).status_code == 401
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "x" * 300, "name": "y" * 3000},
        {"email": "a@b.example\0", "name": "\0"},
        {"email": "\ud800", "name": 7},
    ],
)
def test_unusable_claims_do_not_keep_anybody_out(issuer: Issuer, claims: dict[str, Any]) -> None:
    body = bearing(issuer.token(**claims)).get("/api/users/me").json()
    assert body["email"] == ""
    assert len(body["name"]) <= 100


# --- The account's life -----------------------------------------------------------------------------


def test_the_account_can_be_renamed_and_stays_so(issuer: Issuer) -> None:
    token = issuer.token("ada", name="Ada", email="ada@example.com")
    answer = bearing(token).patch("/api/users/me", {"name": "Countess", "timezone": "Asia/Karachi"})
    assert (answer.status_code, answer.json()["name"]) == (200, "Countess")
    assert bearing(token).get("/api/users/me").json() == answer.json()


@pytest.mark.parametrize("email", ["ada@example.com", None])
def test_the_account_can_be_sent_back_as_it_came(issuer: Issuer, email: str | None) -> None:
    api = bearing(issuer.token("ada", email=email))
    shown = api.get("/api/users/me").json()
    answer = api.patch("/api/users/me", shown)
    assert (answer.status_code, answer.json()) == (200, shown)


def test_a_password_is_changed_elsewhere(issuer: Issuer) -> None:
    body = {"current_password": PASSWORD, "new_password": "staple the battery"}
    problem = problem_of(bearing(issuer.token()).post("/api/users/me/password", body), 403)
    assert (problem["code"], problem["detail"]) == ("no_password", "You sign in elsewhere; change your password there.")


def test_sessions_are_kept_elsewhere(issuer: Issuer) -> None:
    api = bearing(issuer.token())
    assert (api.get("/api/users/me/sessions").status_code, api.get("/api/users/me/sessions").json()) == (200, [])
    assert api.delete("/api/users/me/sessions").status_code == 204
    assert api.get("/api/users/me").status_code == 200


@pytest.mark.parametrize("is_deleted", [True, False])
def test_a_known_token_costs_no_query_of_its_own_and_ends_with_its_account(
    issuer: Issuer, django_assert_num_queries: DjangoAssertNumQueries, is_deleted: bool
) -> None:
    api = bearing(issuer.token("ada"))
    api.post("/api/me/tasks", {"title": "A"})
    account = User.objects.all()
    account.update(created_at=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))  # so that the token is clearly not older
    assert api.get("/api/me/tasks").status_code == 200
    with django_assert_num_queries(1):
        assert len(api.get("/api/ada/tasks").json()) == 1
    if is_deleted:
        services.delete_account(account.get())
    else:
        account.update(is_active=False)
    for request in (api.get, lambda path: api.post(path, {"title": "C"})):
        assert problem_of(request("/api/ada/tasks"), 401)["code"] == "invalid_token"
    assert account.count() == (0 if is_deleted else 1)


def test_a_deactivated_account_is_out(issuer: Issuer) -> None:
    api = bearing(issuer.token("ada"))
    api.get("/api/users/me")
    services.update_account(User.objects.get(), is_active=False)
    assert problem_of(api.get("/api/users/me"), 401)["code"] == "invalid_token"
    assert bearing(issuer.token("ada", jti="new")).get("/api/users/me").status_code == 401
    services.update_account(User.objects.get(), is_active=True)
    assert api.get("/api/users/me").status_code == 200


@pytest.mark.parametrize("email", [None, "taken@example.com"])
def test_staff_finds_and_deactivates_it_whatever_its_e_mail(issuer: Issuer, carol: User, email: str | None) -> None:
    make_user(email="taken@example.com")
    api, staff = bearing(issuer.token("auth0|65a", email=email)), signed_in(carol)
    api.get("/api/users/me")
    user = User.objects.get(subject="auth0|65a")
    assert f"/admin/users/user/{user.pk}/change/" in staff.get("/admin/users/user/?q=auth0|65").content.decode()
    page = submit(staff, f"/admin/users/user/{user.pk}/change/", is_active=[])
    assert "was changed successfully" in page.messages
    assert api.get("/api/users/me").status_code == 401


def test_a_deleted_account_is_not_opened_again_by_the_tokens_that_it_had(issuer: Issuer) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        old, other = issuer.token("ada", name="Ada"), issuer.token("ada", iat=int(NOW.timestamp()) - 60)
        bearing(old).post("/api/me/tasks", {"title": "A"})
        clock.shift(30)
        assert close(bearing(old)).status_code == 204
        assert [bearing(token).get("/api/me/tasks").status_code for token in (old, other)] == [401, 401]
        assert (User.objects.count(), Task.objects.count(), Feed.objects.count()) == (0, 0, 0)
        clock.shift(60)
        assert bearing(old).get("/api/me/tasks").status_code == 401
        assert bearing(issuer.token("ada")).get("/api/me/tasks").json() == []
    assert (User.objects.get().subject, ClosedAccount.objects.count()) == ("ada", 1)


def test_with_a_new_account_the_old_token_works_no_more_than_before(issuer: Issuer) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        old = issuer.token("ada")
        assert close(bearing(old)).status_code == 204
        clock.shift(60)
        bearing(issuer.token("ada")).post("/api/me/tasks", {"title": "A"})
        assert bearing(old).get("/api/me/tasks").status_code == 401


def test_deleting_needs_a_fresh_sign_in(issuer: Issuer) -> None:
    now = int(time.time())
    for claims in ({"auth_time": now - 600}, {"iat": now - 600}, {"auth_time": now + 600}, {"auth_time": 2**33}):
        assert problem_of(close(bearing(issuer.token("ada", **claims))), 403)["code"] == "sign_in_again"
    assert User.objects.count() == 1
    assert close(bearing(issuer.token("ada", auth_time=now - 60))).status_code == 204


def test_an_issuers_clock_may_be_a_little_ahead(issuer: Issuer) -> None:
    assert close(bearing(issuer.token("ada", auth_time=int(time.time()) + 20))).status_code == 204


@pytest.mark.usefixtures("shared_secret")
def test_tokens_that_do_not_tell_when_they_were_issued_stay_out_for_a_day() -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        token = sign(SHARED, {"sub": "ada", "exp": NOW.timestamp() + 10**6})
        assert problem_of(close(bearing(token)), 403)["code"] == "sign_in_again"
        services.delete_account(User.objects.get())
        clock.shift(dt.timedelta(hours=23))
        assert bearing(token).get("/api/users/me").status_code == 401
        clock.shift(dt.timedelta(hours=2))
        assert bearing(token).get("/api/users/me").status_code == 200


def test_deleting_one_account_leaves_its_namesakes(issuer: Issuer) -> None:
    local = make_user(email="ada@example.com")
    make_task(local)
    api = bearing(issuer.token(local.public_id, email="ada@example.com"))
    assert close(api).status_code == 204
    assert (User.objects.get(), Task.objects.count()) == (local, 1)
