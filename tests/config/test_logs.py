"""What gets into the log: a line per request and tracebacks of failures, but no secret, at any level."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import mail
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import include, path
from pytest_django import Settings

from config.database.isolation import all_users
from config.observability import logs
from config.operations import work
from tests.client import Api
from tests.pages import signed_in
from tests.problems import problem_of, send
from users.models import User

CANARY = "canary-Zx81Q"


class Log:
    """All that any logger says while a test runs, in the format of production."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def requests(self) -> list[dict[str, Any]]:
        return [line for line in self.lines() if "queries" in line]


def _every_logger() -> list[logging.Logger]:
    known = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    return [logging.getLogger(), *known]


@pytest.fixture(params=[logs.JSONFormatter])
def log(request: pytest.FixtureRequest) -> Iterator[Log]:
    found = Log()
    handler = logging.StreamHandler(found.stream)
    handler.setFormatter(request.param())
    before = [(logger, logger.level, logger.propagate) for logger in _every_logger()]
    for logger, _, _ in before:
        logger.setLevel(logging.DEBUG)
        logger.propagate = True
    logging.getLogger().addHandler(handler)
    yield found
    logging.getLogger().removeHandler(handler)
    for logger, level, propagate in before:
        logger.setLevel(level)
        logger.propagate = propagate


@pytest.fixture
def queries_are_logged() -> Iterator[None]:
    """As with DEBUG, where Django logs each query with its values."""
    connection.force_debug_cursor = True
    yield
    connection.force_debug_cursor = False


both_formats = pytest.mark.parametrize("log", [logs.JSONFormatter, logs.LineFormatter], indirect=True)


# --- One line per request ---------------------------------------------------------------------------


def test_a_request_leaves_one_line(log: Log, as_alice: Api, alice: User) -> None:
    answer = as_alice.get("/api/me/tasks?search=milk", x_request_id="the-one")
    [line] = log.requests()
    assert line.pop("time").endswith("Z") and 0 < line.pop("ms") < 60_000
    assert line == {
        "level": "INFO",
        "logger": "config.observability.request_log",
        "message": "GET /api/{user_id}/tasks 200",
        "method": "GET",
        "route": "/api/{user_id}/tasks",
        "status": 200,
        "queries": 1,
        "user": alice.public_id,
        "request_id": "the-one",
    }
    assert answer["X-Request-ID"] == "the-one"


def test_people_read_a_line(as_alice: Api, alice: User, log: Log) -> None:
    record = logging.LogRecord("config.x", logging.INFO, __file__, 1, "GET %s 200", ("/a",), None)
    record.fields = {"method": "GET", "status": 200, "ms": 1.5, "user": "7"}
    record.created = 1_795_000_000.123456
    assert logs.LineFormatter().format(record) == "11:06:40.123 INFO config.x: GET /a 200 ms=1.5 user=7"


@pytest.mark.parametrize(
    ("method", "address", "route", "status"),
    [
        ("POST", "/api/auth/login", "/api/auth/login", 400),
        ("GET", "/api/me/tasks/7x", "/api/{user_id}/tasks/{task_id}", 404),
        ("GET", "/api/999/tasks", "/api/{user_id}/tasks", 403),
        ("DELETE", "/api/me/tasks", "/api/{user_id}/tasks", 405),
        ("GET", "/nowhere", "unknown", 404),
        ("GET", "/healthz", "/healthz", 200),
        ("GET", "/static/config/swagger_ui.css", "unknown", 200),
    ],
)
def test_refusals_leave_one_line_too(
    log: Log, as_alice: Api, method: str, address: str, route: str, status: int
) -> None:
    answer: Any = send(as_alice, method, address, {})
    answer.close()  # of the file
    assert answer.status_code == status
    [line] = log.requests()
    assert (line["method"], line["route"], line["status"]) == (method, route, status)


def test_who_is_not_signed_in_has_no_name(log: Log) -> None:
    Api().get("/api/me/tasks")
    assert [(line["user"], line["status"]) for line in log.requests()] == [(None, 401)]


def test_staff_in_the_admin_are_named(log: Log, carol: User) -> None:
    client = signed_in(carol)
    client.get("/admin/")
    assert [(line["user"], line["route"]) for line in log.requests()] == [(carol.public_id, "/admin/")]


def test_two_accounts_have_no_one_name(log: Log, alice: User) -> None:
    """An issuer may call theirs what ours is called."""
    external = {"issuer": "https://login.example.com", "subject": str(alice.pk)}
    other = User.objects.create(email="o@example.com", email_canonical=None, is_staff=True, **external)
    assert other.public_id == alice.public_id
    signed_in(other).get("/admin/")
    assert [line["user"] for line in log.requests()] == [str(other.pk)]


def test_an_export_is_one_line_at_its_end_with_all_its_queries(log: Log, as_alice: Api, alice: User) -> None:
    answer: Any = as_alice.get("/api/users/me/export", x_request_id="the-one")
    assert log.requests() == []
    before = len(b"".join(answer.streaming_content))
    [line] = log.requests()
    assert (line["status"], line["user"], line["request_id"]) == (200, alice.public_id, "the-one")
    assert before > 0 and line["queries"] >= 8  # the token, the account, its groups, and a section each
    assert logs.request_id.get() == ""


def test_a_quiet_level_leaves_no_line(log: Log, as_alice: Api) -> None:
    logging.getLogger("config.observability.request_log").setLevel(logging.WARNING)
    assert as_alice.get("/api/me/tasks").status_code == 200
    assert log.requests() == []


def test_counting_leaves_nothing_behind(as_alice: Api) -> None:
    before = [*connections["default"].execute_wrappers]
    as_alice.get("/api/me/tasks")
    assert (connections["default"].execute_wrappers, logs.request_id.get()) == (before, "")


# --- Failures ---------------------------------------------------------------------------------------


def _failing(request: HttpRequest, code: str) -> HttpResponse:
    password = f"{CANARY} as a local"
    logging.getLogger("some.library").warning("before it fails")
    try:
        raise KeyError(CANARY)
    except KeyError as error:
        raise RuntimeError(f"cannot use {password} of {request.body!r} at {request.path}") from error


@all_users()
def _duplicate(request: HttpRequest) -> HttpResponse:
    user = User.objects.get(email=request.headers["X-Email"])
    User.objects.create_user(user.email, None, name=CANARY)
    return HttpResponse()


def _breaking_off(request: HttpRequest) -> StreamingHttpResponse:
    def chunks() -> Iterator[bytes]:
        yield b"begun"
        raise RuntimeError(CANARY)

    return StreamingHttpResponse(chunks())


urlpatterns = [
    path("api/failing/<str:code>", _failing),
    path("api/duplicate", _duplicate),
    path("api/breaking-off", _breaking_off),
    path("", include("config.urls")),
]
handler500 = "config.http.problems.handler500"


@pytest.mark.urls(__name__)
@pytest.mark.django_db
def test_a_failure_leaves_its_traceback_with_the_id_of_the_request(log: Log) -> None:
    problem_of(send(Api(), "POST", f"/api/failing/{CANARY}", {"a": CANARY}, HTTP_X_REQUEST_ID="the-one"), 500)
    assert {line["request_id"] for line in log.lines()} == {"the-one"}
    [failure] = [line for line in log.lines() if "exception" in line]
    assert (failure["level"], failure["message"]) == ("ERROR", "500 /api/failing/{code}")
    assert "in _failing\n" in failure["exception"]
    # The cause comes first, as Python shows it.
    assert [line for line in failure["exception"].splitlines() if line.startswith("builtins.")] == [
        "builtins.KeyError", "builtins.RuntimeError",
    ]  # fmt: skip


@pytest.mark.urls(__name__)
def test_an_error_of_the_database_is_told_by_code_and_constraint(log: Log, alice: User) -> None:
    problem_of(Api().get("/api/duplicate", x_email=alice.email), 500)
    assert "psycopg.errors.UniqueViolation (23505, users_user_email_canonical)" in log.text
    assert alice.email not in log.text and "Key (" not in log.text


@pytest.mark.urls(__name__)
@pytest.mark.django_db
def test_an_answer_that_breaks_off_is_logged(log: Log) -> None:
    answer: Any = Api().get("/api/breaking-off", x_request_id="the-one")
    with pytest.raises(RuntimeError):
        list(answer.streaming_content)
    [failure, request] = log.lines()[-2:]
    assert (failure["message"], failure["request_id"]) == ("the answer broke off", "the-one")
    assert "in chunks\n" in failure["exception"] and request["route"] == "/api/breaking-off"
    assert CANARY not in log.text


def test_whoever_works_on_tickbase_sees_the_text_of_an_error() -> None:
    text = " ".join(["what", "it", "says"])  # the line that raises it is shown
    try:
        raise ValueError(text)
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), (type(error), error, None))
    assert "what it says" in logs.JSONFormatter(shows_text=True).format(record)
    assert "what it says" not in logs.JSONFormatter().format(record)


def test_errors_that_name_each_other_in_a_circle_come_to_an_end() -> None:
    one, two = ValueError("a"), ValueError("b")
    one.__cause__, two.__cause__ = two, one
    assert logs.trace(one).count("builtins.ValueError") == 2


# --- Secrets ----------------------------------------------------------------------------------------

PLACES: dict[str, dict[str, str]] = {
    "Authorization": {"HTTP_AUTHORIZATION": f"Bearer {CANARY}"},
    "Basic": {"HTTP_AUTHORIZATION": f"Basic {CANARY}"},
    "a cookie": {"HTTP_COOKIE": f"sessionid={CANARY}; csrftoken={CANARY}"},
    "a CSRF token": {"HTTP_X_CSRFTOKEN": CANARY},
    "Idempotency-Key": {"HTTP_IDEMPOTENCY_KEY": CANARY},
    "a bad Idempotency-Key": {"HTTP_IDEMPOTENCY_KEY": f"{CANARY} é"},
    "a bad X-Request-ID": {"HTTP_X_REQUEST_ID": f"{CANARY} "},
    "User-Agent": {"HTTP_USER_AGENT": CANARY},
    "Referer": {"HTTP_REFERER": f"https://a.example/?token={CANARY}"},
    "what is no Origin": {"HTTP_ORIGIN": f"https://a.example/{CANARY}"},  # those that CORS refuses are told
    "Host": {"HTTP_HOST": f"{CANARY}.example"},
    "X-Forwarded-For": {"HTTP_X_FORWARDED_FOR": CANARY},
    "If-Match": {"HTTP_IF_MATCH": CANARY},
    "the query": {"QUERY_STRING": f"token={CANARY}&{CANARY}=1&sort={CANARY}"},
}
BODIES: dict[str, Any] = {
    "as they should be": {"email": f"{CANARY}@example.com", "password": CANARY, "name": CANARY, "refresh": CANARY},
    "of other types": {"email": [CANARY], "password": {CANARY: CANARY}, "title": [CANARY], "refresh": [CANARY]},
    "too long": {"email": CANARY * 500, "password": CANARY * 500, "title": CANARY * 500, "name": CANARY * 500},
    "as unknown members": {CANARY: CANARY},
    "as codes": {"token": CANARY, "password": CANARY, "invitation": CANARY},
    "malformed": f'{{"password": "{CANARY}"'.encode(),
    "not UTF-8": b"\xff" + CANARY.encode(),
    "not an object": CANARY,
}
ADDRESSES = [
    ("POST", "/api/auth/register"), ("POST", "/api/auth/login"), ("POST", "/api/auth/refresh"),
    ("POST", "/api/auth/logout"), ("POST", "/api/auth/reset-password"), ("POST", "/api/auth/verify-email"),
    ("POST", "/api/auth/forgot-password"), ("PATCH", "/api/users/me"), ("POST", "/api/users/me/password"),
    ("GET", "/api/me/tasks"), ("POST", "/api/me/tasks"), ("PATCH", f"/api/me/tasks/{CANARY}"),
    ("GET", f"/api/{CANARY}/tasks"), ("DELETE", f"/api/users/me/sessions/{CANARY}"), ("GET", f"/{CANARY}"),
    (CANARY, "/api/me/tasks"), ("GET", f"/admin/{CANARY}/"), ("POST", "/admin/login/"), ("GET", "/api/docs"),
    ("GET", f"/static/{CANARY}"), ("POST", f"/api/failing/{CANARY}"),
]  # fmt: skip


@pytest.mark.thorough
@pytest.mark.urls(__name__)
@pytest.mark.usefixtures("queries_are_logged")
@pytest.mark.parametrize(
    ("log", "is_signed_in"),
    [(logs.JSONFormatter, True), (logs.LineFormatter, False)],
    ids=["signed in", "not signed in"],
    indirect=["log"],
)
def test_no_secret_gets_into_the_log(log: Log, alice: User, is_signed_in: bool) -> None:
    api = Api(alice if is_signed_in else None)
    for method, address in ADDRESSES:
        for environ in PLACES.values():
            send(api, method, address, {"title": "a"}, **environ)
        for body in BODIES.values():
            send(api, method, address, body)
    assert log.text.count("config.observability.request_log") == len(ADDRESSES) * (len(PLACES) + len(BODIES))
    assert "RuntimeError" in log.text and "INSERT took" in log.text and "refused: DisallowedHost" in log.text
    assert found_in(log, CANARY) == []


@both_formats
@pytest.mark.usefixtures("queries_are_logged")
def test_no_secret_that_is_a_good_one_gets_into_the_log(log: Log, db: None, settings: Settings) -> None:
    account = {"email": "dora@example.com", "password": f"{CANARY} battery"}
    first = Api().post("/api/auth/register", account, idempotency_key=f"{CANARY}-key").json()
    Api().post("/api/auth/forgot-password", {"email": account["email"]})
    assert work.drain("mails") == 2
    second = Api().post("/api/auth/refresh", {"refresh": first["refresh"]}).json()
    as_dora = Api()
    as_dora.client.credentials(HTTP_AUTHORIZATION=f"Bearer {second['access']}")
    assert as_dora.post("/api/me/tasks", {"title": f"{CANARY} title"}).status_code == 201
    assert as_dora.get(f"/api/me/tasks?search={CANARY}").json() != []
    codes = [word for sent in mail.outbox for word in str(sent.body).split() if len(word) > 40]
    assert as_dora.post("/api/auth/logout", {"refresh": second["refresh"]}).status_code == 204
    secrets = [CANARY, *codes, *(pair[kind] for pair in (first, second) for kind in ("access", "refresh"))]
    assert [found_in(log, secret) for secret in [*secrets, settings.SECRET_KEY, settings.JWT_SIGNING_KEY]] == [[]] * (
        len(secrets) + 2
    )


def found_in(log: Log, secret: str) -> list[str]:
    """Also where its case was changed, as that of a method or a host."""
    return [line[:500] for line in log.text.splitlines() if secret.lower() in line.lower()]


# What ends a line, moves a cursor, turns the direction of writing, or is seen by nobody.
FORGERIES = [
    *"\n\r\0\x1b\x7f\x85\xad\u061c\u180e\ufeff\ufff9\U000e0041",
    *map(chr, [*range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070)]),
]


@both_formats
@pytest.mark.parametrize("character", FORGERIES, ids=ascii)
def test_nobody_can_forge_a_line(log: Log, character: str) -> None:
    text = f"a{character}b"
    logging.getLogger("some.library").warning("it got %s", text)
    logging.getLogger("some.library").warning("it got it", extra={"fields": {"user": text}})
    assert log.text.count("\n") == len(log.text.splitlines()) == 2
    assert log.text.replace("\n", "").isprintable()
    assert log.text.count(f"{ord(character):04x}b") == 2


def test_the_text_of_an_error_forges_no_line_either() -> None:
    error = ValueError("".join(FORGERIES))
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), (ValueError, error, None))
    assert logs.LineFormatter(shows_text=True).format(record).replace("\n", "").isprintable()


def test_what_people_write_stays_as_it_is() -> None:
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "Ärger, 東京, مرحبا, 🙂", (), None)
    assert logs.LineFormatter().format(record).endswith("x: Ärger, 東京, مرحبا, 🙂")


@pytest.mark.parametrize("formatter", [logs.JSONFormatter, logs.LineFormatter])
def test_what_cannot_be_encoded_is_spelt_out(formatter: type[logging.Formatter]) -> None:
    error = ValueError("\udc80")
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "a\udc80b", (), (ValueError, error, None))
    record.fields = {"user": "a\udc80b"}
    assert formatter(shows_text=True).format(record).encode()  # type: ignore[call-arg]


@both_formats
@pytest.mark.parametrize("address", ["/a%0aINFO forged", "/api/%0d%0aforged/tasks", "/api/me/tasks?a=%0aforged"])
def test_an_address_cannot_forge_a_line(log: Log, as_alice: Api, address: str) -> None:
    as_alice.get(address, user_agent="a\nforged", x_request_id="a\nforged")
    assert [line for line in log.text.splitlines() if "forged" in line] == []
