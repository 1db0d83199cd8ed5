"""Requests that are broken below JSON: their framing, target, host and coding, byte by byte over a real socket."""

import gzip
import re
import socket
from uuid import uuid4

import httpx
import pytest

from tests.factories import PASSWORD
from tests.problems import cases
from tests.server import Server

BODY = b'{"title": "a"}'
CLOSE = b"Connection: close"
NEXT = (
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"  # what a smuggler would have answered, too
)
CHUNKS = b"e\r\n" + BODY + b"\r\n0\r\n\r\n"


class Raw:
    """Sends bytes, as a user who is signed in."""

    def __init__(self, server: Server) -> None:
        self.server = server
        account = {"email": f"{uuid4()}@example.com", "password": PASSWORD}
        answer = httpx.post(f"{server.base}/api/auth/register", json=account).raise_for_status()
        self.bearer = {"Authorization": f"Bearer {answer.json()['access']}"}

    def get(self, *headers: bytes, target: bytes = b"/api/me/tasks", version: bytes = b"1.1") -> bytes:
        return self.message(b"GET %s HTTP/%s" % (target, version), b"Host: localhost", CLOSE, *headers)

    def post(self, *headers: bytes) -> bytes:
        return self.message(
            b"POST /api/me/tasks HTTP/1.1", b"Host: localhost", b"Content-Type: application/json", *headers
        )

    def message(self, *lines: bytes) -> bytes:
        return b"\r\n".join([*lines, b"Authorization: %s" % self.bearer["Authorization"].encode(), b"", b""])

    def statuses(self, sent: bytes, *, is_all: bool = False) -> list[int]:
        """Of every answer until the server ends the connection, which it must not keep open for long."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=30) as connection:
            connection.sendall(sent)
            if is_all:
                connection.shutdown(socket.SHUT_WR)
            received = b"".join(iter(lambda: connection.recv(65_536), b""))
        return [int(status) for status in re.findall(rb"HTTP/1\.[01] ([0-9]{3})", received)]

    def titles(self) -> list[str]:
        answer = httpx.get(f"{self.server.base}/api/me/tasks", headers=self.bearer)
        return [task["title"] for task in answer.raise_for_status().json()]


@pytest.fixture
def raw(server: Server) -> Raw:
    return Raw(server)


# --- Where a message ends ---------------------------------------------------------------------------

UNCERTAIN = {
    "two lengths": [b"Content-Length: 14", b"Content-Length: 15"],
    "a list of lengths": [b"Content-Length: 14, 15"],
    "a signed length": [b"Content-Length: +14"],
    "a hexadecimal length": [b"Content-Length: 0xe"],
    "a length in Arabic digits": ["Content-Length: ١٤".encode()],
    "a length of 2^64": [b"Content-Length: 18446744073709551616"],
    "an unknown transfer coding": [b"Transfer-Encoding: xchunked"],
    "a space before the colon": [b"Transfer-Encoding : chunked"],
    "identity": [b"Transfer-Encoding: identity", b"Content-Length: 14"],
    "chunked and then another": [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
    "chunked inside of gzip": [b"Transfer-Encoding: chunked, gzip"],
    "a folded line": [b"Transfer-Encoding: chunked", b"X-A: b\r\n c"],
    "a bare CR": [b"Content-Length: 14", b"X-A: b\rContent-Length: 15"],
    "NUL": [b"Content-Length: 14", b"X-A: b\0c"],
}


@pytest.mark.parametrize("headers", cases(UNCERTAIN))
@pytest.mark.parametrize("body", [BODY, CHUNKS], ids=["as it is", "in chunks"])
def test_a_message_without_a_certain_end_is_refused_and_nothing_after_it_is_read(
    raw: Raw, headers: list[bytes], body: bytes
) -> None:
    assert raw.statuses(raw.post(*headers) + body + NEXT) == [400]
    assert raw.titles() == []


@pytest.mark.parametrize(
    "headers",
    [[b"Content-Length: 4", b"Transfer-Encoding: chunked"], [b"Transfer-Encoding: chunked", b"Content-Length: 4"]],
)
def test_chunks_outrank_a_length_and_end_the_connection(raw: Raw, headers: list[bytes]) -> None:
    """RFC 9112, section 6.3."""
    assert raw.statuses(raw.post(*headers) + CHUNKS + NEXT) == [201]
    assert raw.titles() == ["a"]


@pytest.mark.parametrize("size", [b"xyz", b"-e", b"f" * 18, b"0xe", b" e"])
def test_a_malformed_chunk(raw: Raw, size: bytes) -> None:
    sent = raw.post(b"Transfer-Encoding: chunked") + size + b"\r\n" + BODY + b"\r\n0\r\n\r\n" + NEXT
    assert raw.statuses(sent) == [400]
    assert raw.titles() == []


def test_what_is_valid_but_not_whole_is_not_stored(raw: Raw) -> None:
    assert raw.statuses(raw.post(b"Content-Length: 20") + BODY, is_all=True) == [400]
    assert raw.titles() == []


def test_requests_in_a_row_are_answered_in_a_row(raw: Raw) -> None:
    """The control: here nothing is broken."""
    sent = raw.post(b"Content-Length: 14") + BODY + raw.post(b"Transfer-Encoding: chunked") + CHUNKS + NEXT
    assert raw.statuses(sent) == [201, 201, 200]


# --- Targets, hosts and versions --------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    cases(
        {
            "HTTP/0.9": b"GET /api/me/tasks\r\n",
            "HTTP/1.0 without a host": b"GET /healthz HTTP/1.0\r\n\r\n",
            "HTTP/1.1 without a host": b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n",
            "HTTP/1.2": b"GET /healthz HTTP/1.2\r\nHost: localhost\r\n\r\n",
            "HTTP/3.0": b"GET /healthz HTTP/3.0\r\nHost: localhost\r\n\r\n",
            "NUL in the target": b"GET /healthz\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "two spaces": b"GET  /healthz  HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "bytes as method": b"G\xffT /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "a TLS handshake": bytes.fromhex("1603010200010001fc0303") + b"\0" * 200,
            "noise": b"\0\xff\r\n\r\n",
        }
    ),
)
def test_what_is_not_http_is_refused(raw: Raw, sent: bytes) -> None:
    assert raw.statuses(sent) == [400]


@pytest.mark.parametrize("target", [b"/api/me/tasks%00", b"/api/../api/me/tasks", b"//evil.example/api/me/tasks"])
def test_a_target_that_only_resembles_an_address(raw: Raw, target: bytes) -> None:
    assert raw.statuses(raw.get(target=target)) == [404]


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"FOO", b"A" * 5000, b"PROPFIND"])
def test_a_method_that_an_address_does_not_have(raw: Raw, method: bytes) -> None:
    assert raw.statuses(raw.message(method + b" /healthz HTTP/1.1", b"Host: localhost", CLOSE)) == [405]


def test_old_and_absolute_ways_to_say_the_same(raw: Raw) -> None:
    assert raw.statuses(raw.get(version=b"1.0")) == [200]
    assert raw.statuses(raw.get(target=b"http://localhost/api/me/tasks")) == [200]


# --- Headers ----------------------------------------------------------------------------------------


def test_headers_have_a_bound(raw: Raw) -> None:
    """Each for itself, and all of them together."""
    assert raw.statuses(raw.get(b"X-A: " + b"a" * 2048)) == [200]
    assert raw.statuses(raw.get(b"X-A: " + b"a" * 2049)) == [431]
    assert raw.statuses(raw.get(b"X-A: " + b"a" * 100_000)) == [431]
    assert raw.statuses(raw.get(*(b"X-%d: %s" % (number, b"a" * 2048) for number in range(40)))) == [431]
    assert raw.statuses(raw.get(*(b"X-%d: a" % number for number in range(2000)))) == [431]


@pytest.mark.parametrize("coding", [b"gzip", b"deflate, gzip", b"br", b"x"])
def test_a_compressed_body_is_refused_as_such(raw: Raw, coding: bytes) -> None:
    body = gzip.compress(BODY)
    sent = raw.post(CLOSE, b"Content-Encoding: " + coding, b"Content-Length: %d" % len(body)) + body
    assert raw.statuses(sent) == [415]
    assert raw.statuses(raw.post(CLOSE, b"Content-Encoding: identity", b"Content-Length: 14") + BODY) == [201]


def test_two_tokens_are_none(raw: Raw) -> None:
    assert raw.statuses(raw.get(b"Authorization: Bearer x")) == [401]
