"""Hostile requests over a real socket, where no test client has tidied them up before."""

import json
import socket
from http.client import HTTPResponse
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from tests.factories import PASSWORD
from tests.problems import places_of, problem_of
from tests.server import Server

ORIGIN = "http://localhost:5173"
EXPOSED = {
    "ETag", "Link", "Location", "X-Total-Count", "Retry-After", "RateLimit", "RateLimit-Policy",
    "Idempotency-Replayed", "Tickbase-Advanced", "Tickbase-Operation", "X-Request-ID",
}  # fmt: skip


class Reply:
    """What came back over the socket, in the shape that the other tests' helpers know."""

    def __init__(self, response: HTTPResponse) -> None:
        self.status_code = response.status
        self.headers = response.headers
        self.content = response.read()

    def json(self) -> Any:
        return json.loads(self.content)

    def __getitem__(self, header: str) -> str:
        return str(self.headers[header])

    def __contains__(self, header: str) -> bool:
        return header in self.headers


class Wire:
    """Writes requests byte by byte, as one user."""

    def __init__(self, server: Server, token: str) -> None:
        self.port = server.port
        self.token = token

    def send(self, method: str, target: str | bytes, *headers: str | bytes, body: bytes = b"") -> Reply:
        head = [
            b"%s %s HTTP/1.1" % (method.encode(), _bytes(target)),
            b"Host: localhost:%d" % self.port,
            b"Connection: close",
            *map(_bytes, headers),
        ]
        return self.exchange(method, b"\r\n".join(head) + b"\r\n\r\n" + body)

    def as_user(self, method: str, target: str | bytes, *headers: str | bytes, body: bytes = b"") -> Reply:
        return self.send(method, target, f"Authorization: Bearer {self.token}", *headers, body=body)

    def exchange(self, method: str, request: bytes) -> Reply:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(request)
            response = HTTPResponse(connection, method=method)
            response.begin()
            return Reply(response)

    def titles(self) -> list[str]:
        return [task["title"] for task in self.as_user("GET", "/api/me/tasks").json()]


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.fixture
def wire(server: Server) -> Wire:
    account = {"email": f"{uuid4()}@example.com", "password": PASSWORD}
    token = httpx.post(f"{server.base}/api/auth/register", json=account).json()["access"]
    return Wire(server, token)


JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"


# --- Bodies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts", [[b'{"title": "abc"}'], [b'{"ti', b'tle": "a', b'bc"}'], [b"%c" % c for c in b'{"title":"abc"}']]
)
def test_a_chunked_body_is_read_whole(wire: Wire, parts: list[bytes]) -> None:
    reply = wire.as_user("POST", "/api/me/tasks", JSON, CHUNKED, body=chunked(*parts))
    assert (reply.status_code, reply.json()["title"], wire.titles()) == (201, "abc", ["abc"])


def test_a_chunked_completion_is_not_taken_for_a_toggle(wire: Wire) -> None:
    body = b'{"title": "a", "completed": true}'
    task = wire.as_user("POST", "/api/me/tasks", JSON, f"Content-Length: {len(body)}", body=body).json()
    path = f"/api/me/tasks/{task['id']}/complete"
    reply = wire.as_user("PATCH", path, JSON, CHUNKED, body=chunked(b'{"completed": true}'))
    assert (reply.json()["completed"], reply.json()["version"]) == (True, task["version"])


def test_an_empty_chunked_body_is_no_body(wire: Wire) -> None:
    assert places_of(wire.as_user("POST", "/api/me/tasks", JSON, CHUNKED, body=chunked()), "pointer") == ["/title"]


def test_a_chunked_body_is_parsed_as_strictly(wire: Wire) -> None:
    body = chunked(b'{"title": "a", ', b'"title": "b"}')
    assert problem_of(wire.as_user("POST", "/api/me/tasks", JSON, CHUNKED, body=body), 400)["code"] == "malformed_body"
    assert wire.titles() == []


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_of_two_megabytes(wire: Wire, framing: str) -> None:
    body = b'{"title": "' + b"a" * 2_000_000 + b'"}'
    headers, sent = ([f"Content-Length: {len(body)}"], body) if framing == "length" else ([CHUNKED], chunked(body))
    assert problem_of(wire.as_user("POST", "/api/me/tasks", JSON, *headers, body=sent), 413)["code"] == "body_too_large"
    assert wire.titles() == []


def test_a_body_that_is_cut_off_stores_nothing(wire: Wire) -> None:
    head = f"POST /api/me/tasks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {wire.token}\r\n{JSON}\r\n"
    for framing in (
        b'Content-Length: 16\r\n\r\n{"title": "ab',
        b'Transfer-Encoding: chunked\r\n\r\n10\r\n{"title": "ab',
    ):
        with socket.create_connection(("127.0.0.1", wire.port), timeout=30) as connection:
            connection.sendall(head.encode() + framing)
    assert wire.titles() == []


@pytest.mark.parametrize(
    "media_type",
    ["application/json; charset*=foo''%41", "application/json; charset*0*=x''a; charset*1=b", b"text/\xff", "a; b*=''"],
)
def test_a_content_type_that_cannot_be_parsed(wire: Wire, media_type: str | bytes) -> None:
    header = b"Content-Type: " + _bytes(media_type)
    problem_of(wire.as_user("POST", "/api/me/tasks", header, "Content-Length: 14", body=b'{"title": "a"}'), 415)
    assert wire.as_user("GET", "/api/me/tasks", header).status_code == 200


# --- Targets and headers ----------------------------------------------------------------------------


def test_head_answers_what_get_answers_without_its_body(wire: Wire) -> None:
    got, headed = wire.as_user("GET", "/api/me/tasks"), wire.as_user("HEAD", "/api/me/tasks")
    assert (headed.status_code, headed.content) == (200, b"")
    assert all(headed[name] == got[name] for name in ("ETag", "Content-Type", "Content-Length"))
    assert wire.as_user("HEAD", "/api/me/tasks/1x").status_code == 404


def test_utf_8_in_the_query_needs_no_escapes(wire: Wire) -> None:
    body = json.dumps({"title": "完成季度报告"}).encode()
    for _ in range(2):
        wire.as_user("POST", "/api/me/tasks", JSON, f"Content-Length: {len(body)}", body=body)
    reply = wire.as_user("GET", "/api/me/tasks?limit=1&search=报告")
    assert [task["title"] for task in reply.json()] == ["完成季度报告"]
    assert f"search={quote('报告')}&" in reply["Link"]


@pytest.mark.parametrize(
    "target", [b"/api/me/tasks?search=\xff", b"/api/\xff/tasks", b"/api/me/tasks?a b", b"api", b"*"]
)
def test_a_malformed_target(wire: Wire, target: bytes) -> None:
    assert 400 <= wire.as_user("GET", target).status_code < 500


def test_a_very_long_address(wire: Wire) -> None:
    assert places_of(wire.as_user("GET", f"/api/me/tasks?search={'a' * 15_000}"), "parameter") == ["search"]
    problem_of(wire.as_user("GET", f"/api/me/tasks?search={'a' * 20_000}"), 414)
    problem_of(wire.as_user("GET", f"/{'a' * 4_000}"), 404)
    problem_of(wire.as_user("GET", f"/{'a' * 5_000}"), 414)
    assert wire.as_user("GET", f"/{'a' * 1_000_000}").status_code in {414, 431}


@pytest.mark.parametrize(
    "header",
    [b"X-Foo: \xff\xfe", b"X-Request-ID: \xff", b"Accept: \xff", b"Accept: application/xml", b"Range: bytes=0-1"],
)
def test_bytes_in_headers_that_do_not_matter(wire: Wire, header: bytes) -> None:
    reply = wire.as_user("GET", "/api/me/tasks", header)
    assert (reply.status_code, reply.json()) == (200, [])
    assert reply["X-Request-ID"].isascii()


@pytest.mark.parametrize(
    "header", [b"Authorization: Bearer \xff\xfe", "Authorization: Bearer 报告", "Authorization: Bearer a b"]
)
def test_bytes_in_the_authorization(wire: Wire, header: bytes | str) -> None:
    reply = wire.send("GET", "/api/me/tasks", header)
    problem_of(reply, 401)
    assert reply["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("header", [b"X-Foo: a\0b", b"X Foo: a", b": a", b"Content-Length: -1", b"Content-Length: x"])
def test_headers_that_are_not_http(wire: Wire, header: bytes) -> None:
    assert wire.as_user("POST", "/api/me/tasks", header).status_code == 400


@pytest.mark.parametrize("host", [b"", b"Host: evil.example\r\n", b"Host: localhost\r\nHost: evil.example\r\n"])
def test_a_foreign_host(wire: Wire, host: bytes) -> None:
    reply = wire.exchange("GET", b"GET /api/me/tasks HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n")
    assert 400 <= reply.status_code < 500
    assert b"evil" not in reply.content


# --- CORS -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost", "http://127.0.0.1:3000"])
def test_a_preflight_from_a_local_page(wire: Wire, origin: str) -> None:
    asked = (
        "authorization,baggage,cache-control,content-type,idempotency-key,if-match,if-none-match,pragma,sentry-trace,"
        "traceparent,tracestate,x-datadog-origin,x-datadog-parent-id,x-datadog-sampling-priority,x-datadog-trace-id,"
        "x-request-id,x-requested-with"
    )
    reply = wire.send(
        "OPTIONS", "/api/me/tasks/1", f"Origin: {origin}",
        "Access-Control-Request-Method: PATCH", f"Access-Control-Request-Headers: {asked}",
    )  # fmt: skip
    assert (reply.status_code, reply["Access-Control-Allow-Origin"]) == (200, origin)
    assert {"GET", "POST", "PUT", "PATCH", "DELETE"} <= set(reply["Access-Control-Allow-Methods"].split(", "))
    assert set(asked.split(",")) <= set(reply["Access-Control-Allow-Headers"].split(", "))
    assert reply["Access-Control-Allow-Credentials"] == "true"


@pytest.mark.parametrize("path, status", [("/api/me/tasks", 200), ("/api/1x/tasks", 403), ("/api/nothing", 404)])
def test_a_local_page_may_read_the_headers_of_every_answer(wire: Wire, path: str, status: int) -> None:
    reply = wire.as_user("GET", path, f"Origin: {ORIGIN}")
    assert (reply.status_code, reply["Access-Control-Allow-Origin"]) == (status, ORIGIN)
    assert reply["Access-Control-Allow-Credentials"] == "true"
    assert set(reply["Access-Control-Expose-Headers"].split(", ")) == EXPOSED
    assert "origin" in reply["Vary"].lower()


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://localhost.evil.example",
        "http://localhost:5173.evil.example",
        "http://localhost:x",
        "",
    ],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_a_foreign_page_gets_no_cors_headers(wire: Wire, method: str, origin: str) -> None:
    reply = wire.as_user(method, "/api/me/tasks", f"Origin: {origin}", "Access-Control-Request-Method: GET")
    assert not [name for name in reply.headers if name.lower().startswith("access-control-")]


# --- Addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoded, uid", [("a%2Fb", "a/b"), ("%2E%2E", ".."), ("..", ".."), ("a%2F..%2Fb", "a/../b")])
def test_a_uid_arrives_with_its_slashes_and_dots(wire: Wire, encoded: str, uid: str) -> None:
    body, path = b'{"title": "a"}', f"/api/me/tasks/by-uid/{encoded}"
    reply = wire.as_user("PUT", path, JSON, f"Content-Length: {len(body)}", body=body)
    assert (reply.status_code, reply.json()["uid"]) == (201, uid)
    assert wire.as_user("GET", path).json() == reply.json()


# --- The database goes away -------------------------------------------------------------------------

END_CONNECTIONS = """
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                   " WHERE pid <> pg_backend_pid() AND usename = current_user")
"""


def test_the_service_recovers_when_the_database_ends_its_connections(server: Server, wire: Wire) -> None:
    server.manage("shell", "--verbosity", "0", "-c", END_CONNECTIONS)
    replies = [wire.as_user("GET", "/api/me/tasks") for _ in range(10)]
    for reply in replies:
        assert reply.status_code == 200 or int(reply["Retry-After"]) > 0 < len(problem_of(reply, 503))
    assert [reply.status_code for reply in replies[-3:]] == [200] * 3
