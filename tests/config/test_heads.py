"""Each part of a request's head has a bound, and whatever parses it never sees more."""

import json
import time
from typing import Any

import pytest
from asgiref.typing import HTTPScope

from config.errors import HeaderTooLong, TargetTooLong
from config.server import heads
from config.wsgi import application as tickbase
from tests.config.test_bridge import Client, mirror, scope

COSTLY = {
    "content_type": 'a;b="' + ";" * 60_000,
    "cookie": 'a="' + '\\"' * 32_000,
    "authorization": "Bearer " + "a" * 8192,
    "if_match": '"5",' * 600,
    "if_none_match": '"5",' * 600,
    "accept": "a/b;" * 600,
    "x_forwarded_for": "192.0.2.1," * 300,
    "origin": "https://" + "a" * 256,
    "referer": "a" * 8193,
    "user_agent": "a" * 1025,
    "host": "a" * 257,
    "x_whatever": "a" * 2049,
}


def with_header(request: HTTPScope, name: str, value: str) -> HTTPScope:
    request["headers"] = [*request["headers"], (name.replace("_", "-").encode(), value.encode())]
    return request


def read(request: HTTPScope) -> tuple[dict[str, Any], Any]:
    return heads.read(request)


@pytest.mark.parametrize("name", COSTLY)
def test_a_header_beyond_its_bound_is_refused_by_name_and_left_out(name: str) -> None:
    environ, refusal = read(with_header(scope(), name, COSTLY[name]))
    assert isinstance(refusal, HeaderTooLong)
    assert f"The header {name.replace('_', '-')} has more than" in refusal.detail
    assert COSTLY[name] not in environ.values()


def test_what_a_client_may_send_passes() -> None:
    most = {"authorization": 8192, "cookie": 4096, "referer": 8192, "content_type": 256, "accept": 2048, "x_a": 2048}
    request = scope("GET", b"/" * heads.PATH, b"a" * heads.QUERY)
    for name, size in most.items():
        with_header(request, name, "a" * size)
    assert read(request)[1] is None


def test_repeated_headers_are_bounded_together() -> None:
    request = scope()
    request["headers"] = [(b"accept", b"a" * 1000)] * 3
    environ, refusal = read(request)
    assert isinstance(refusal, HeaderTooLong)
    assert "HTTP_ACCEPT" not in environ


@pytest.mark.parametrize("path, query", [(b"/api/" + b"a" * 4096, b""), (b"/api/me/tasks", b"a" * 16_385)])
def test_an_address_beyond_its_bound_is_refused_and_cut(path: bytes, query: bytes) -> None:
    environ, refusal = read(scope("GET", path, query))
    assert isinstance(refusal, TargetTooLong)
    assert len(environ["PATH_INFO"]) <= heads.PATH
    assert len(environ["QUERY_STRING"]) <= heads.QUERY


@pytest.mark.django_db
@pytest.mark.parametrize("path", [b"/healthz", b"/api/me/tasks", b"/nothing"])
@pytest.mark.parametrize("name", ["content_type", "cookie"])
def test_the_application_answers_a_problem_without_parsing_the_header(path: bytes, name: str) -> None:
    """What took seconds takes no more processor time than another refusal."""
    request = with_header(scope("GET", path, host="localhost"), name, COSTLY[name])
    began = time.process_time()
    client = Client().exchange(tickbase, request)
    assert time.process_time() - began < 1
    problem, fields = json.loads(client.body), dict(client.headers)
    assert (client.status, problem["code"], problem["status"]) == (431, "header_too_long", 431)
    assert problem["request_id"] == fields["x-request-id"] != ""


@pytest.mark.django_db
def test_below_the_admin_it_is_refused_on_a_page() -> None:
    client = Client().exchange(tickbase, with_header(scope("GET", b"/admin/", host="localhost"), "accept", "a" * 2049))
    assert (client.status, dict(client.headers)["x-request-id"] != "") == (431, True)


@pytest.mark.django_db
def test_an_address_that_is_too_long_is_a_problem_that_scripts_may_read() -> None:
    request = scope("GET", b"/api/" + b"a" * 5000, host="localhost", origin="http://localhost")
    client = Client().exchange(tickbase, request)
    assert (client.status, json.loads(client.body)["code"]) == (414, "uri_too_long")
    assert ("access-control-allow-origin", "http://localhost") in client.headers


def test_a_refused_head_ends_the_connection_if_a_body_follows() -> None:
    client = Client(b"abc").exchange(mirror, scope("POST", content_length="3", accept="a" * 3000))
    assert (client.status, dict(client.headers)["connection"]) == (431, "close")
    client = Client().exchange(mirror, scope("GET", accept="a" * 3000))
    assert "connection" not in dict(client.headers)
