"""Limits of sign-ins and registrations: by network, by account and network, and by account; see test_lockout.py."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from config.database.isolation import all_users
from config.http.views import APIView, Response
from tests.client import Api
from tests.factories import PASSWORD, make_tokens, make_user
from tests.problems import problem_of, send
from users.api.throttles import LoginThrottle
from users.models import User

Limit = Callable[..., None]
LOGIN, REGISTER = "/api/auth/login", "/api/auth/register"


def sign_in(email: Any, address: str = "192.0.2.1", password: str = "wrong") -> int:
    return send(Api(), "POST", LOGIN, {"email": email, "password": password}, REMOTE_ADDR=address).status_code


@pytest.mark.django_db
def test_sign_ins_from_one_address_are_limited(limit: Limit) -> None:
    limit(login="3/min")
    assert [sign_in(f"{name}@example.com") for name in "abcd"] == [401, 401, 401, 429]
    assert sign_in("a@example.com", "192.0.2.2") == 401


@pytest.mark.django_db
def test_sign_ins_of_unknown_devices_to_one_account_are_limited_wherever_from(limit: Limit) -> None:
    """Five times as widely as those from one network: nobody finds that many networks as easily."""
    make_user(email="ada@example.com")
    limit(login="3/min")
    assert [sign_in("ada@example.com", f"192.0.2.{host}") for host in range(16)] == [401] * 15 + [429]
    assert sign_in("ada@example.com", "192.0.2.99", PASSWORD) == 429  # the right one, too: it cannot be guessed now
    assert sign_in("eve@example.com", "192.0.2.1") == 401


@pytest.mark.django_db
def test_all_spellings_of_an_address_are_one_account(limit: Limit) -> None:
    limit(login="1/min")
    spellings = ["ada@example.com", "ADA@Example.COM", "ada@ｅｘａｍｐｌｅ.com", f"{' ' * 300}ada@example.com\n"]
    statuses = [sign_in(email, f"192.0.2.{host}") for host, email in enumerate([*spellings, *spellings[2:]])]
    assert statuses == [401] * 5 + [429]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ([], 400),
        ({"email": 7}, 400),
        ({"email": ""}, 400),
        ({"email": "\ud800", "password": "x"}, 400),
        ({"email": "a" * 100_000, "password": "x"}, 400),
        (b"{", 400),
        (b"\xff", 400),
        (b'"' + b"a" * 2**20 + b'"', 413),
    ],
    ids=str,
)
@pytest.mark.django_db
def test_a_body_that_names_no_account_counts_for_its_address(limit: Limit, body: Any, status: int) -> None:
    limit(login="2/min")
    answers = [send(Api(), "POST", LOGIN, body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status, status, 429]
    assert problem_of(answers[0], status)["code"] in {"invalid", "malformed_body", "body_too_large"}


@pytest.mark.django_db
def test_who_is_refused_by_address_cannot_lock_an_account(limit: Limit) -> None:
    make_user(email="ada@example.com")
    limit(login="3/min")
    assert [sign_in(f"{name}@example.com") for name in "abc"] == [401, 401, 401]
    assert [sign_in("ada@example.com") for _ in range(5)] == [429] * 5
    assert sign_in("ada@example.com", "192.0.2.2", PASSWORD) == 200


@pytest.mark.django_db
def test_a_stranger_who_is_refused_altogether_cannot_lock_an_account(limit: Limit) -> None:
    make_user(email="ada@example.com")
    limit(login="3/min", anon="1/min")
    assert [sign_in("ada@example.com") for _ in range(5)] == [401, 429, 429, 429, 429]
    assert sign_in("ada@example.com", "192.0.2.2", PASSWORD) == 200


@pytest.mark.django_db
def test_registrations_from_one_address_are_limited(limit: Limit) -> None:
    limit(register="2/hour")
    bodies = [{"email": f"{name}@example.com", "password": PASSWORD} for name in "abcd"]
    statuses = [send(Api(), "POST", REGISTER, body, REMOTE_ADDR="192.0.2.1").status_code for body in bodies[:3]]
    assert statuses == [201, 201, 429]
    assert User.objects.count() == 2
    assert send(Api(), "POST", REGISTER, bodies[3], REMOTE_ADDR="192.0.2.2").status_code == 201


# --- For other doors that ask for a password --------------------------------------------------------


class DoorThrottle(LoginThrottle):
    policy = "door"


class DoorView(APIView):
    permission_classes = ()
    throttle_classes = (DoorThrottle,)

    def post(self, request: Request) -> Response:
        return Response(status=204)


def knock(user: User | None, address: str, **body: Any) -> int:
    token = {} if user is None else {"HTTP_AUTHORIZATION": f"Bearer {make_tokens(user).access}"}
    request = APIRequestFactory().post("/door", body, format="json", REMOTE_ADDR=address, **token)
    with all_users():  # the view makes the caller the current tenant
        return DoorView.as_view()(request).status_code


def test_another_policy_has_counters_of_its_own(limit: Limit, alice: User) -> None:
    limit(login="2/min")
    assert [knock(None, "192.0.2.1", email=alice.email) for _ in range(3)] == [204, 204, 429]
    assert [sign_in(alice.email) for _ in range(3)] == [401, 401, 429]


def test_of_who_is_signed_in_that_account_counts(limit: Limit, alice: User, bob: User) -> None:
    limit(login="2/min")
    statuses = [knock(alice, f"192.0.2.{host}", email=f"{host}@example.com") for host in range(3)]
    assert statuses == [204, 204, 429]
    assert knock(bob, "192.0.2.9", email=alice.email) == 204


# --- Which door has which limit ---------------------------------------------------------------------

NEW = {"email": "new@example.com", "password": PASSWORD}
DOORS: dict[str, tuple[str, str, dict[str, str], dict[str, str]]] = {
    "login": ("POST", "/api/auth/login", NEW, {"login": "1/min"}),
    "register": ("POST", "/api/auth/register", {"email": "x"}, {"register": "1/min"}),
    "forgot password": ("POST", "/api/auth/forgot-password", {"email": "x"}, {"mail": "1/min"}),
    "verification": ("POST", "/api/users/me/verification", {}, {"mail": "1/min"}),
    "reset password": ("POST", "/api/auth/reset-password", {"token": "x", "password": "x"}, {"login": "1/min"}),
    "verify e-mail": ("POST", "/api/auth/verify-email", {"token": "x"}, {"login": "1/min"}),
    "change password": ("POST", "/api/users/me/password", {}, {"login": "1/min"}),
    "delete account": ("DELETE", "/api/users/me", {"password": "wrong"}, {"login": "1/min"}),
}


@pytest.mark.parametrize(("method", "path", "body", "limits"), DOORS.values(), ids=list(DOORS))
def test_each_door_has_its_limit(
    as_alice: Api, limit: Limit, method: str, path: str, body: Any, limits: dict[str, str]
) -> None:
    limit(**limits)
    answers = [send(as_alice, method, path, body) for _ in range(2)]
    assert answers[0].status_code != 429
    assert problem_of(answers[1], 429)["code"] == "throttled"


def test_a_foreign_path_counts_for_the_account_not_for_its_address(as_alice: Api, limit: Limit) -> None:
    limit(anon="1/min", user="5/min")
    answers = [as_alice.get("/api/999999/tasks") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [403] * 3
    assert answers[2]["RateLimit"].startswith('"user";r=2;')
    assert Api().get("/api/nothing").status_code == 404
