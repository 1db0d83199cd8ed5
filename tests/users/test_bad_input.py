"""Hostile requests for accounts: each is refused by a problem that names the place, and nothing changes."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.client import Api
from tests.factories import PASSWORD, make_tokens, make_user
from tests.problems import cases, exact, places_of, problem_of, send, stored
from users import services
from users.models import User

NOT_TEXT = {"null": None, "number": 1, "2^63": 2**63, "boolean": True, "array": ["a"], "object": {"a": "b"}}
UNSTORABLE = {"NUL": "ada\0@example.com", "lone surrogate": "ada\ud800@example.com"}
NOT_AN_EMAIL = {
    "empty": "",
    "blank": "  ",
    "no at sign": "ada",
    "no domain": "ada@",
    "no name": "@example.com",
    "two at signs": "a@b@example.com",
    "two addresses": "a@example.com,b@example.com",
    "space": "a da@example.com",
    "line end inside": "ada@example.com\nBcc: bob@example.com",
    "header injection": "ada@example.com\r\nX: y",
    "with a name": "Ada <ada@example.com>",
    "no dot": "ada@example",
    "dot first": ".ada@example.com",
    "label of 64": f"ada@{'a' * 64}.com",
    "too long": f"{'a' * 243}@example.com",
    "very long": f"{'a' * 100_000}@example.com",
    "many dots": f"ada@{'a.' * 20_000}",
}
NOT_A_ZONE = {
    "empty": "",
    "unknown": "Mars/Olympus",
    "traversal": "../../etc/passwd",
    "traversal behind a zone": "Europe/../../../../etc/passwd",
    "absolute": "/etc/passwd",
    "directory": "Europe",
    "another case": "europe/london",
    "offset": "+05:00",
    "POSIX": "EST5EDT,M3.2.0,M11.1.0",
    "file beside the zones": "tzdata.zi",
    "module": "zone.tab",
    "NUL": "UTC\0",
    "lone surrogate": "\udcff",
    "too long": "A" * 65,
    "very long": "A/" * 100_000,
}
BAD_NAMES = {**NOT_TEXT, **UNSTORABLE, "too long": "a" * 101, "very long": "é" * 100_000}
BAD_PASSWORDS = {
    **NOT_TEXT,
    **UNSTORABLE,
    "empty": "",
    "too long": "aB3$" * 64 + "x",
    "very long": "a" * 500_000,
}
WEAK_PASSWORDS = {"short": "correct hor", "blank": " " * 11, "common": "1qaz2wsx3edc"}
REGISTRATION: dict[str, dict[str, Any]] = {
    "email": {**NOT_TEXT, **UNSTORABLE, **NOT_AN_EMAIL},
    "password": BAD_PASSWORDS,
    "name": BAD_NAMES,
    "timezone": {**NOT_TEXT, **NOT_A_ZONE},
    "is_staff": {"unknown member": True},
    "is_superuser": {"unknown member": True},
    "id": {"unknown member": 1},
    "token_version": {"unknown member": 0},
    "a/b~c": {"unknown member": 0},
}
LOGIN: dict[str, dict[str, Any]] = {
    "email": {**NOT_TEXT, **UNSTORABLE, "empty": "", "too long": "a" * 255},
    "password": BAD_PASSWORDS,
    "remember": {"unknown member": True},
}
REFRESH: dict[str, dict[str, Any]] = {
    "refresh": {**NOT_TEXT, **UNSTORABLE, "empty": "", "blank": " ", "too long": "a" * 4097},
    "access": {"unknown member": "x"},
}
PROFILE: dict[str, dict[str, Any]] = {
    "email": {**NOT_TEXT, **UNSTORABLE, **NOT_AN_EMAIL, "another": "another@example.com"},
    "name": BAD_NAMES,
    "timezone": {**NOT_TEXT, **NOT_A_ZONE},
    "password": {"unknown member": PASSWORD},
    "is_staff": {"unknown member": True},
    "email_canonical": {"unknown member": "x"},
}
VALID = {
    "/api/auth/register": {"email": "ada@example.com", "password": PASSWORD, "name": "Ada"},
    "/api/auth/login": {"email": "ada@example.com", "password": PASSWORD},
    "/api/auth/refresh": {"refresh": "x"},
    "/api/users/me": {"name": "Alice"},
}
TABLES = {
    "/api/auth/register": REGISTRATION,
    "/api/auth/login": LOGIN,
    "/api/auth/refresh": REFRESH,
    "/api/users/me": PROFILE,
}
CHALLENGE = 'Bearer realm="api"'  # what was refused is not the request's own token
BODIES: dict[str, Any] = {"array": [], "text": "a", "number": 1, "boolean": False, "null": None, "list": [{}]}
NOT_JSON = {
    "half": b'{"email": "ada@example.com"',
    "form": b"email=ada%40example.com&password=x",
    "NaN": b'{"email": NaN}',
    "duplicate": b'{"email": "a@example.com", "email": "b@example.com"}',
    "not UTF-8": b'{"email": "\xff"}',
    "BOM": b"\xef\xbb\xbf{}",
    "5,000 arrays": b'{"email": ' + b"[" * 5000 + b"]" * 5000 + b"}",
}


def method_of(path: str) -> str:
    return "PATCH" if path == "/api/users/me" else "POST"


def members() -> list[Any]:
    return [
        pytest.param(path, member, value, id=f"{path.rpartition('/')[2]} {member}: {name}")
        for path, table in TABLES.items()
        for member, values in table.items()
        for name, value in values.items()
    ]


@pytest.fixture
def unchanged(as_alice: Api) -> Iterator[None]:
    """Around a refusal: every row is afterwards as it was before, and none is new."""
    before = stored()
    yield
    assert stored() == before


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path, member, value", members())
def test_a_bad_member_is_named(as_alice: Api, path: str, member: str, value: Any) -> None:
    answer = send(as_alice, method_of(path), path, {**VALID[path], member: value})
    assert set(places_of(answer, "pointer")) == {"/" + member.replace("~", "~0").replace("/", "~1")}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "path, member",
    [
        ("/api/auth/register", "email"),
        ("/api/auth/register", "password"),
        ("/api/auth/login", "email"),
        ("/api/auth/login", "password"),
        ("/api/auth/refresh", "refresh"),
    ],
)
def test_a_missing_member_is_named(as_alice: Api, path: str, member: str) -> None:
    body = {name: value for name, value in VALID[path].items() if name != member}
    answer = send(as_alice, "POST", path, body)
    assert (places_of(answer, "pointer"), answer.json()["errors"][0]["code"]) == ([f"/{member}"], "required")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("password", cases(WEAK_PASSWORDS))
def test_a_weak_password_is_refused(as_alice: Api, password: str) -> None:
    answer = as_alice.post("/api/auth/register", {"email": "ada@example.com", "password": password})
    assert (places_of(answer, "pointer"), answer.json()["errors"][0]["code"]) == (["/password"], "weak_password")
    assert password not in answer.json()["detail"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", VALID)
@pytest.mark.parametrize("body", cases(BODIES))
def test_a_body_that_is_no_object(as_alice: Api, path: str, body: Any) -> None:
    assert places_of(send(as_alice, method_of(path), path, body), "pointer") == [""]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", VALID)
@pytest.mark.parametrize("body", cases(NOT_JSON))
def test_a_body_that_is_not_json(as_alice: Api, path: str, body: bytes) -> None:
    assert problem_of(send(as_alice, method_of(path), path, body), 400)["code"] == "malformed_body"


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", VALID)
@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_of_another_type(as_alice: Api, path: str, media_type: str) -> None:
    problem_of(send(as_alice, method_of(path), path, VALID[path], media_type), 415)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", VALID)
def test_a_body_of_two_megabytes(as_alice: Api, path: str) -> None:
    problem_of(send(as_alice, method_of(path), path, {"name": "a" * 2_000_000}), 413)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", list(VALID)[:3])
def test_a_garbage_token_does_not_matter_where_none_is_needed(as_alice: Api, path: str) -> None:
    answer = send(as_alice, "POST", path, {}, HTTP_AUTHORIZATION="Bearer \xff x")
    assert places_of(answer, "pointer")


# --- Refusals that tell nothing ---------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    "email, password",
    [
        ("nobody@example.com", PASSWORD),
        ("alice", PASSWORD),
        ("' or 1=1 --", PASSWORD),
        ("ﷺ" * 254, PASSWORD),
        ("bob@example.com", "wrong"),
        ("bob@example.com", PASSWORD + " "),
        ("bob@example.com", PASSWORD.upper()),
        ("bob@example.com", "é" * 256),
        ("gone@example.com", PASSWORD),
        ("nopassword@example.com", PASSWORD),
    ],
)
def test_wrong_credentials_are_told_apart_by_nothing(email: str, password: str) -> None:
    make_user(email="bob@example.com")
    make_user(email="gone@example.com", is_active=False)
    make_user(email="nopassword@example.com", password=None)
    before = stored()
    answer = Api().post("/api/auth/login", {"email": email, "password": password}, x_request_id="same")
    wrong = Api().post("/api/auth/login", {"email": "x@example.com", "password": "x"}, x_request_id="same")
    assert (problem_of(answer, 401)["code"], answer["WWW-Authenticate"]) == ("wrong_credentials", CHALLENGE)
    assert exact(answer) == exact(wrong)
    assert stored() == before


def deep_header(user: User) -> str:
    return base64.urlsafe_b64encode(b"[" * 3000).decode() + ".e30.AA"


REFRESH_TOKENS: dict[str, Any] = {
    "garbage": lambda user: "x",
    "access token": lambda user: make_tokens(user).access,
    "cut": lambda user: make_tokens(user).refresh[:-3],
    "two": lambda user: f"{make_tokens(user).refresh} {make_tokens(user).refresh}",
    "not ASCII": lambda user: "é.é.é",
    "header of 3,000 brackets": deep_header,
}


@pytest.mark.parametrize("make", cases(REFRESH_TOKENS))
@pytest.mark.parametrize("action", ["refresh", "logout"])
def test_a_bad_refresh_token(alice: User, action: str, make: Any) -> None:
    token, before = make(alice), stored()
    answer = Api().post(f"/api/auth/{action}", {"refresh": token})
    assert stored() == before
    assert (problem_of(answer, 401)["code"], answer["WWW-Authenticate"]) == ("invalid_token", CHALLENGE)


@pytest.mark.parametrize("is_active", [False, None], ids=["inactive", "deleted"])
def test_a_refresh_token_of_a_user_who_left(alice: User, is_active: bool | None) -> None:
    refresh = make_tokens(alice).refresh
    if is_active is None:
        services.delete_account(alice)
    else:
        services.update_account(alice, is_active=is_active)
    problem_of(Api().post("/api/auth/refresh", {"refresh": refresh}), 401)


def test_a_refresh_token_from_before_the_password_was_changed(alice: User) -> None:
    refresh = make_tokens(alice).refresh
    services.set_password(alice, "another horse battery")
    problem_of(Api().post("/api/auth/refresh", {"refresh": refresh}), 401)
