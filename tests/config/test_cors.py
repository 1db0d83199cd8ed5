"""CORS: which origins may call, what they may send, and that nobody else is let in."""

from typing import Any

import pytest
from pytest_django import Settings

from config.http.middleware import MAX_ORIGINS
from tests.client import Answer, Api

LISTED, OTHER = "https://app.example.com", "https://evil.example"


@pytest.fixture(autouse=True)
def one_listed_origin(settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS, settings.CORS_ALLOWED_ORIGIN_REGEXES = [LISTED], []


def preflight(origin: str, path: str = "/api/me/tasks") -> Answer:
    headers = {"Origin": origin, "Access-Control-Request-Method": "PATCH"}
    return Api().client.options(path, headers=headers)


def cors_headers(answer: Answer) -> dict[str, str]:
    headers: dict[str, str] = {name.lower(): value for name, value in answer.headers.items()}  # type: ignore[attr-defined]
    return {name: value for name, value in headers.items() if name.startswith("access-control-")}


def test_a_listed_origin_may_send_credentials() -> None:
    for answer in (preflight(LISTED), Api().get("/api/me/tasks", origin=LISTED)):
        headers = cors_headers(answer)
        assert headers["access-control-allow-origin"] == LISTED
        assert headers["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize(
    "origin", [OTHER, "https://app.example.com.evil.example", "http://app.example.com", "null", "*"]
)
@pytest.mark.parametrize("listed", [[LISTED], []])
def test_no_other_origin_is_let_in_and_never_all_of_them(settings: Settings, listed: list[str], origin: str) -> None:
    settings.CORS_ALLOWED_ORIGINS = listed
    assert cors_headers(preflight(origin)) == cors_headers(Api().get("/api/me/tasks", origin=origin)) == {}


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/", "/healthz", "/static/config/favicon.svg"])
def test_only_the_api_is_let_in_to(path: str) -> None:
    assert cors_headers(preflight(LISTED, path)) == {}


@pytest.mark.parametrize(
    "names",
    [
        {"accept", "authorization", "content-type", "idempotency-key", "if-match", "if-none-match", "x-request-id"},
        {"x-requested-with", "cache-control", "pragma"},
        {"traceparent", "tracestate", "baggage", "sentry-trace"},
        {"x-datadog-origin", "x-datadog-parent-id", "x-datadog-sampling-priority", "x-datadog-trace-id"},
    ],
)
def test_the_usual_headers_may_be_sent(names: set[str]) -> None:
    assert names <= set(cors_headers(preflight(LISTED))["access-control-allow-headers"].split(", "))


# --- What the log tells of those that are refused ---------------------------------------------------


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "config.http.middleware"]


def test_a_refused_origin_is_told_once_with_the_variable(caplog: pytest.LogCaptureFixture) -> None:
    client: Any = Api().client
    for origin in (OTHER, OTHER, LISTED):
        client.get("/api/schema", headers={"Origin": origin})
        client.options("/api/me/tasks", headers={"Origin": origin, "Access-Control-Request-Method": "PATCH"})
    assert told(caplog) == [f"pages of {OTHER} cannot read the answers; to let them in, add it to CORS_ALLOWED_ORIGINS"]


@pytest.mark.parametrize(
    "origin", ["http://testserver", "null", "x", "https://a b", "https://a.example\n", "https://" + "a" * 200]
)
def test_the_own_host_and_what_is_no_origin_are_not_told(caplog: pytest.LogCaptureFixture, origin: str) -> None:
    Api().get("/api/schema", origin=origin, host="testserver")
    assert told(caplog) == []


def test_made_up_origins_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    client: Any = Api().client
    for number in range(MAX_ORIGINS + 5):
        client.get("/api/schema", headers={"Origin": f"https://{number}.example"})
    assert len(told(caplog)) == MAX_ORIGINS


def test_elsewhere_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    Api().get("/healthz", origin=OTHER)
    assert told(caplog) == []
