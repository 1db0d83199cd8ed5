"""Every way to be refused answers one format, with the headers that its status asks for."""

import base64
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
import time_machine
from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from rest_framework.request import Request

from config.database.breaker import breaker
from config.http.problems import handler400, handler403, handler404, handler500
from config.http.views import APIView, Response
from config.urls import urlpatterns as real_urlpatterns
from tests.client import Api
from tests.factories import PASSWORD, make_task, make_tokens, make_user
from tests.problems import exact, problem_of, send
from users import services
from users.models import Session, User
from users.tokens import own

SECRET = "hunter2 SELECT /srv/tickbase/config.py"


class Broken(APIView):
    authentication_classes = ()
    permission_classes = ()

    def get(self, request: Request) -> Response:
        raise RuntimeError(SECRET)


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError(SECRET)


# This module is a URLconf, too: the real one, and two addresses that fail.
urlpatterns = [*real_urlpatterns, path("api/broken", Broken.as_view()), path("broken", broken)]
__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


# --- 404 and 405 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/api",
        "/api/",
        "/nothing",
        "/api/nothing",
        "/api/me/tasks/",
        "/api/me/tasks/1/",
        "/api/me/tasks/1/complete/",
        "/api/me/tasks/1/nothing",
        "/api/me/Tasks",
        "/api//tasks",
        "/api/auth",
        "/healthz/",
        "/%00",
        "/%ff",
        "/.env",
        "/api/..%2f..%2fetc%2fpasswd",
        "/static/..%2fsettings.py",
        "/" + "a" * 5000,
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_unknown_address(method: str, address: str) -> None:
    assert problem_of(send(Api(), method, address), 404)["code"] == "not_found"


@pytest.mark.parametrize(
    "method, address, allowed",
    [
        ("PUT", "/api/me/tasks", {"GET", "POST"}),
        ("PATCH", "/api/me/tasks", {"GET", "POST"}),
        ("DELETE", "/api/me/tasks", {"GET", "POST"}),
        ("POST", "/api/me/tasks/1", {"GET", "PUT", "PATCH", "DELETE"}),
        ("TRACE", "/api/me/tasks/1", {"GET", "PUT", "PATCH", "DELETE"}),
        ("GET", "/api/me/tasks/1/complete", {"PATCH"}),
        ("POST", "/api/me/tasks/1/complete", {"PATCH"}),
        ("get", "/api/me/tasks/1/complete", {"PATCH"}),
        ("GET", "/api/auth/login", {"POST"}),
        ("DELETE", "/api/auth/register", {"POST"}),
        ("PUT", "/api/auth/refresh", {"POST"}),
        ("PUT", "/api/users/me", {"GET", "PATCH"}),
        ("POST", "/healthz", {"GET"}),
        ("POST", "/readyz", {"GET"}),
        ("DELETE", "/api/schema", {"GET"}),
        ("BREW", "/api/docs", {"GET"}),
        ("A" * 500, "/api/me/tasks", {"GET", "POST"}),
    ],
)
def test_a_method_that_is_not_allowed_names_those_that_are(
    as_alice: Api, method: str, address: str, allowed: set[str]
) -> None:
    answer = send(as_alice, method, address)
    problem = problem_of(answer, 405)
    assert (problem["code"], problem["detail"]) == ("method_not_allowed", f"This address takes {answer['Allow']}.")
    assert allowed <= set(answer["Allow"].split(", ")) - {method}


# --- 401 --------------------------------------------------------------------------------------------


def forged(user: User, *, key: str = settings.JWT_SIGNING_KEY, algorithm: str = "HS256", **claims: Any) -> str:
    """An access token of the user, but for these claims; None leaves one out."""
    real = jwt.decode_complete(make_tokens(user).access, options={"verify_signature": False})
    claims = {name: value for name, value in {**real["payload"], **claims}.items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": real["header"]["kid"]})


def unsigned(user: User, algorithm: str = "none") -> str:
    token = make_tokens(user).access
    header = {**jwt.get_unverified_header(token), "alg": algorithm}
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    return f"{head}.{token.split('.')[1]}."


def with_header(user: User, header: bytes) -> str:
    _, payload, signature = make_tokens(user).access.split(".")
    return f"{base64.urlsafe_b64encode(header).decode().rstrip('=')}.{payload}.{signature}"


BAD_TOKENS: dict[str, Any] = {
    "garbage": lambda user: "x",
    "empty": lambda user: "",
    "dots": lambda user: "..",
    "two words": lambda user: "a b",
    "another token behind it": lambda user: f"{make_tokens(user).access} {make_tokens(user).access}",
    "very long": lambda user: "a" * 50_000,
    "not ASCII": lambda user: "\xff\xfe\xe9",
    "cut": lambda user: make_tokens(user).access[:-2],
    "refresh token": lambda user: make_tokens(user).refresh,
    "alg none": unsigned,
    "alg None": lambda user: unsigned(user, "None"),
    "alg of another family": lambda user: unsigned(user, "RS256"),
    "alg as array": lambda user: with_header(user, b'{"alg": ["HS256"], "typ": "JWT"}'),
    "header of 3,000 brackets": lambda user: with_header(user, b"[" * 3000),
    "header of 5,000 digits": lambda user: with_header(user, b'{"alg": ' + b"9" * 5000 + b"}"),
    "header that is not UTF-8": lambda user: with_header(user, b"\xff"),
    "header null": lambda user: with_header(user, b"null"),
    "critical extension": lambda user: with_header(user, b'{"alg": "HS256", "crit": ["x"], "x": 1}'),
    "key id as number": lambda user: with_header(user, b'{"alg": "HS256", "kid": 1}'),
    "another key": lambda user: forged(user, key="k" * 48),
    "the other secret": lambda user: forged(user, key=settings.SECRET_KEY),
    "HS512": lambda user: forged(user, key=settings.JWT_SIGNING_KEY * 2, algorithm="HS512"),
    "another audience": lambda user: forged(user, aud="other"),
    "no audience": lambda user: forged(user, aud=None),
    "another issuer": lambda user: forged(user, iss="https://example.com"),
    "no issuer": lambda user: forged(user, iss=None),
    "no expiry": lambda user: forged(user, exp=None),
    "expired": lambda user: forged(user, exp=1_700_000_000),
    "expiry as text": lambda user: forged(user, exp="never"),
    "expiry beyond time": lambda user: forged(user, exp=-(10**30)),
    "not yet valid": lambda user: forged(user, nbf=4_000_000_000),
    "no type": lambda user: forged(user, token_type=None),
    "no subject": lambda user: forged(user, sub=None),
    "subject as number": lambda user: forged(user, sub=user.pk),
    "subject 0": lambda user: forged(user, sub="0"),
    "subject of nobody": lambda user: forged(user, sub=str(2**63 - 1)),
    "subject 2^63": lambda user: forged(user, sub=str(2**63)),
    "subject with NUL": lambda user: forged(user, sub=f"{user.pk}\0"),
    "subject with a leading zero": lambda user: forged(user, sub=f"0{user.pk}"),
    "subject in Arabic digits": lambda user: forged(user, sub="١"),
    "subject as array": lambda user: forged(user, sub=[user.public_id]),
    "an older generation": lambda user: forged(user, ver=user.token_version - 1),
    "no generation": lambda user: forged(user, ver=None),
    "generation as text": lambda user: forged(user, ver=str(user.token_version)),
}
CHALLENGE = 'Bearer realm="api"'  # RFC 6750, section 3: no error where no token came
PROTECTED = ["/api/me/tasks", "/api/me/tasks/1", "/api/1/tasks", "/api/users/me"]


@pytest.mark.parametrize("make", BAD_TOKENS.values(), ids=list(BAD_TOKENS))
def test_a_bad_token(alice: User, make: Any) -> None:
    answer = Api().get("/api/me/tasks", authorization=f"Bearer {make(alice)}")
    assert problem_of(answer, 401)["code"] == "invalid_token"
    assert answer["WWW-Authenticate"] == 'Bearer realm="api", error="invalid_token"'


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("address", PROTECTED)
def test_no_token(method: str, address: str) -> None:
    answer = send(Api(), method, address, b"{")
    problem = problem_of(answer, 401)
    assert problem["code"] == "not_authenticated"
    assert problem["detail"] == "Sign in, and send the access token as `Authorization: Bearer …`."
    assert answer["WWW-Authenticate"] == CHALLENGE


@pytest.mark.parametrize(
    "header", ["", " ", "x", "Basic YTpi", "Token abc", "Bearerabc", "\xff", "Bearer\xa0abc", "Digest a=b"]
)
def test_no_token_in_the_header(header: str) -> None:
    answer = Api().get("/api/me/tasks", authorization=header)
    assert problem_of(answer, 401)["code"] == "not_authenticated"
    assert answer["WWW-Authenticate"] == CHALLENGE


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_case_insensitive(alice: User, scheme: str) -> None:
    answer = Api().get("/api/me/tasks", authorization=f"{scheme}  {make_tokens(alice).access} ")
    assert answer.status_code == 200


@pytest.mark.django_db
def test_a_token_expires_after_ten_minutes_and_the_leeway() -> None:
    with time_machine.travel("2026-11-23T09:00:00Z", tick=False) as clock:
        as_dora = Api(make_user("dora"))
        clock.move_to("2026-11-23T09:10:29Z")
        assert as_dora.get("/api/me/tasks").status_code == 200
        clock.move_to("2026-11-23T09:10:31Z")
        assert problem_of(as_dora.get("/api/me/tasks"), 401)["code"] == "invalid_token"


def test_a_token_of_an_inactive_user(as_alice: Api, alice: User) -> None:
    assert as_alice.get("/api/me/tasks").status_code == 200
    services.update_account(alice, is_active=False)
    problem_of(as_alice.get("/api/me/tasks"), 401)


def test_a_token_of_a_deleted_user(as_alice: Api, alice: User) -> None:
    services.delete_account(alice)
    problem_of(as_alice.get("/api/me/tasks"), 401)


def test_a_token_from_before_the_password_was_changed(as_alice: Api, alice: User) -> None:
    alice = services.set_password(alice, "another horse battery")
    problem_of(as_alice.get("/api/me/tasks"), 401)
    assert Api(alice).get("/api/me/tasks").status_code == 200


def test_bad_tokens_are_told_apart_by_nothing(alice: User) -> None:
    """But for an expired one, which its signature shows to be ours, and which a refresh replaces."""
    made = [BAD_TOKENS[name](alice) for name in ("garbage", "another key", "subject of nobody", "refresh token")]
    answers = [Api().get("/api/me/tasks", authorization=f"Bearer {token}", x_request_id="same") for token in made]
    assert all(exact(answer) == exact(answers[0]) for answer in answers)


# --- 403 --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("rest", ["tasks", "tasks/1", "tasks/x", "tasks/1/complete"])
def test_the_path_of_another_is_refused_alike_whether_or_not_they_exist(
    as_alice: Api, bob: User, method: str, rest: str
) -> None:
    answers = [
        send(as_alice, method, f"/api/{user}/{rest}", b"{", HTTP_X_REQUEST_ID="same")
        for user in (bob.public_id, 2**62, "nobody")
    ]
    assert answers[0].status_code == 403
    assert exact(answers[0]) == exact(answers[1]) == exact(answers[2])
    assert method == "HEAD" or problem_of(answers[0], 403)["code"] == "permission_denied"


def test_staff_have_no_way_around(carol: User, alice: User) -> None:
    task = make_task(alice)
    problem_of(Api(carol).get(f"/api/{alice.public_id}/tasks/{task.pk}"), 403)
    problem_of(Api(carol).get(f"/api/me/tasks/{task.pk}"), 404)


# --- Request ids ------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["a", "A-b_c.d~e:f/g+h=i@j", "0" * 128, "5f0c6f1e-2d5b-4d55-9f6d-0a9d2f6f8f11"])
def test_a_well_formed_request_id_is_answered(given: str) -> None:
    answer = Api().get("/nothing", x_request_id=given)
    assert problem_of(answer, 404)["request_id"] == given


@pytest.mark.parametrize(
    "given", ["", " ", "0" * 129, "a b", "é", "\xff", '"', "<script>", "a\tb", "a\0b", "a,b", "{}"]
)
def test_a_malformed_request_id_is_replaced(given: str) -> None:
    answer = Api().get("/nothing", x_request_id=given)
    assert problem_of(answer, 404)["request_id"] not in ("", given)


# --- Our own failures -------------------------------------------------------------------------------


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("address", ["/broken", "/api/broken"])
def test_a_bug_is_logged_and_never_shown(caplog: pytest.LogCaptureFixture, address: str) -> None:
    with caplog.at_level(logging.ERROR, "django.request"):
        answer = Api().get(address)
    assert problem_of(answer, 500)["code"] == "internal_error"
    assert not any(word in answer.content.decode() for word in ("hunter2", "SELECT", "RuntimeError", "config"))
    assert SECRET in caplog.text


@pytest.mark.parametrize("host", ["evil.example", "", "localhost:x", "a b", "[::1", "localhost\0"])
def test_a_foreign_host(host: str) -> None:
    problem_of(Api().get("/api/me/tasks", host=host), 400)


@pytest.fixture
def database_away(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The connection points where no server listens, as after a crash of the database's host."""
    host = connection.settings_dict["HOST"]

    def reconnect(to: str) -> None:
        connection.close()
        breaker.close()
        connection.settings_dict["HOST"] = to

    monkeypatch.setattr("config.database.base.RETRY_SECONDS", 0.2)
    reconnect("/nonexistent")
    yield
    reconnect(host)


@pytest.mark.usefixtures("database_away")
@pytest.mark.parametrize(
    "method, address, body",
    [
        ("GET", "/readyz", b""),
        ("GET", "/api/me/tasks", b""),
        ("POST", "/api/me/tasks", {"title": "a"}),
        ("POST", "/api/auth/login", {"email": "ada@example.com", "password": PASSWORD}),
        ("POST", "/api/auth/register", {"email": "ada@example.com", "password": PASSWORD}),
    ],
)
def test_the_database_is_away(caplog: pytest.LogCaptureFixture, method: str, address: str, body: Any) -> None:
    token = own.mint(Session(user=User(pk=1), last_used_at=timezone.now())).access
    answer = send(Api(), method, address, body, HTTP_AUTHORIZATION=f"Bearer {token}")
    assert problem_of(answer, 503)["code"] == "database_unavailable"
    assert int(answer["Retry-After"]) > 0
    assert "nonexistent" not in answer.content.decode()
    assert "database unavailable" in caplog.text


@pytest.mark.usefixtures("database_away")
def test_staff_see_a_page_while_the_database_is_away() -> None:
    api = Api()
    api.client.cookies["sessionid"] = "s" * 32
    answer = api.get("/admin/")
    assert (answer.status_code, answer["Content-Type"]) == (503, "text/html; charset=utf-8")
    assert int(answer["Retry-After"]) > 0


@pytest.mark.usefixtures("database_away")
@pytest.mark.parametrize(("address", "status"), [("/api/schema", 503), ("/api/me/tasks", 401), ("/api/nothing", 404)])
def test_a_limit_that_cannot_be_counted(limit: Callable[..., None], address: str, status: int) -> None:
    limit(anon="10/min")
    answer = send(Api(), "GET", address)
    assert problem_of(answer, status)
    assert "RateLimit" not in answer


@pytest.mark.usefixtures("database_away")
def test_the_process_lives_without_the_database() -> None:
    assert Api().get("/healthz").status_code == 200


@pytest.mark.django_db
def test_a_missing_migration_is_not_ready_but_alive() -> None:
    MigrationRecorder(connection).record_unapplied("tasks", "0001_initial")
    answer = Api().get("/readyz")
    assert problem_of(answer, 503)["code"] == "migrations_missing"
    assert int(answer["Retry-After"]) > 0
    assert "missing: 1" in answer.json()["detail"]
    assert Api().get("/healthz").status_code == 200
    MigrationRecorder(connection).record_applied("tasks", "0001_initial")
    assert Api().get("/readyz").status_code == 200
