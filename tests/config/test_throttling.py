"""Rate limits over HTTP: who is counted where, what every answer tells, and how the refused are answered."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from config.http.limits import permits
from config.models import RateLimit
from tests.client import Answer, Api
from tests.problems import problem_of
from users.models import User

Limit = Callable[..., None]
ALL = {"anon": "300/min", "user": "3000/min", "login": "20/min", "register": "20/hour"}
NOTHING = "/api/nothing"
ORIGIN = "http://localhost:5173"


def forget() -> None:
    """Begin as a process that was just started."""
    permits.limiter.cache_clear()


def call(method: str, path: str, body: str = "", **environ: Any) -> Answer:
    client: Any = Api().client
    answer: Answer = client.generic(method, path, body, "application/json", **environ)
    return answer


def get_from(address: str) -> int:
    return call("GET", NOTHING, REMOTE_ADDR=address).status_code


def policies(answer: Answer) -> list[str]:
    """The names of the limits that an answer tells, the same in both headers."""
    names = re.findall(r'"(\w+)";q=\d+;w=\d+(?:, |$)', answer["RateLimit-Policy"])
    assert re.findall(r'"(\w+)";r=\d+;t=\d+(?:, |$)', answer["RateLimit"]) == names
    return names


# --- Headers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "names"),
    [
        ("GET", "/api/me/tasks", 401, ["anon"]),
        ("GET", NOTHING, 404, ["anon"]),
        ("GET", "/api/schema", 200, ["anon"]),
        ("GET", "/api/docs", 200, ["anon"]),
        ("HEAD", "/api/schema", 200, ["anon"]),
        ("PUT", "/api/auth/login", 405, ["anon", "login"]),
        ("POST", "/api/auth/refresh", 400, ["anon"]),
        ("POST", "/api/auth/login", 400, ["anon", "login"]),
        ("POST", "/api/auth/register", 400, ["anon", "register"]),
        ("OPTIONS", "/api/auth/refresh", 200, ["anon"]),
    ],
)
@pytest.mark.django_db
def test_every_answer_to_a_stranger_tells_its_limits(
    limit: Limit, method: str, path: str, status: int, names: list[str]
) -> None:
    limit(**ALL)
    answer = call(method, path)
    assert (answer.status_code, policies(answer)) == (status, names)


@pytest.mark.parametrize(
    ("path", "headers", "status", "names"),
    [
        ("/api/me/tasks", {}, 200, ["user"]),
        ("/api/me/tasks", {"if_none_match": "*"}, 304, ["user"]),
        ("/api/me/tasks?colour=red", {}, 400, ["user"]),
        ("/api/me/tasks/0", {}, 404, ["user"]),
        ("/api/0/tasks", {}, 403, ["user"]),
        (NOTHING, {}, 404, ["anon"]),
    ],
)
def test_every_answer_to_a_user_tells_its_limits(
    limit: Limit, as_alice: Api, path: str, headers: dict[str, str], status: int, names: list[str]
) -> None:
    limit(**ALL)
    answer = as_alice.get(path, **headers)
    assert (answer.status_code, policies(answer)) == (status, names)


@pytest.mark.django_db
def test_the_headers_are_those_of_the_draft(limit: Limit) -> None:
    limit(**ALL)
    answer = Api().post("/api/auth/login", {"email": "ada@example.com", "password": "x"})
    assert answer["RateLimit-Policy"] == '"anon";q=300;w=60, "login";q=20;w=60'
    assert answer["RateLimit"] == '"anon";r=299;t=60, "login";r=19;t=60'


@pytest.mark.django_db
def test_of_two_counters_of_a_limit_the_tighter_is_told(limit: Limit) -> None:
    limit(login="5/min")
    login = "/api/auth/login"
    answers = [Api().post(login, {"email": f"{name}@example.com", "password": "x"}) for name in "abb"]
    assert [re.findall(r"r=(\d+)", answer["RateLimit"]) for answer in answers] == [["4"], ["3"], ["2"]]
    body = '{"email": "b@example.com", "password": "x"}'
    answers = [call("POST", login, body, REMOTE_ADDR=f"192.0.2.{host}") for host in range(23)]
    assert '"login";r=4;' in answers[0]["RateLimit"]  # the address's
    assert '"login";q=25;w=60' in answers[-1]["RateLimit-Policy"]  # the account's, which is wider
    assert '"login";r=0;' in answers[-1]["RateLimit"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/admin/login/", "/static/nothing", "/nothing", "/api"])
@pytest.mark.django_db
def test_elsewhere_nothing_is_counted(limit: Limit, path: str) -> None:
    limit(anon="1/min")
    answers = [call("GET", path) for _ in range(3)]
    assert not any("RateLimit" in answer or answer.status_code == 429 for answer in answers)
    assert not RateLimit.objects.exists()


@pytest.mark.django_db
def test_a_preflight_is_not_counted(limit: Limit) -> None:
    limit(anon="1/min")
    preflight = {"HTTP_ORIGIN": ORIGIN, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET"}
    answers = [call("OPTIONS", "/api/me/tasks", **preflight) for _ in range(3)]
    assert [(answer.status_code, "RateLimit" in answer) for answer in answers] == [(200, False)] * 3


def test_a_limit_that_is_off_is_not_told(limit: Limit, as_alice: Api) -> None:
    limit(login="5/min", anon="5/min")
    assert "RateLimit" not in as_alice.get("/api/me/tasks")  # nor counted as a stranger's
    limit(login="5/min")
    assert policies(Api().post("/api/auth/login")) == ["login"]
    assert "RateLimit-Policy" not in Api().get(NOTHING)


# --- Refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [NOTHING, "/api/schema", "/api/me/tasks", "/api/auth/refresh"])
@pytest.mark.django_db
def test_a_refusal_says_when_to_try_again(limit: Limit, path: str) -> None:
    limit(anon="2/min")
    statuses = [call("POST", path).status_code for _ in range(2)]
    answer = call("POST", path, HTTP_ORIGIN=ORIGIN)
    problem, seconds = problem_of(answer, 429), int(answer["Retry-After"])
    assert 429 not in statuses
    assert (problem["code"], 55 <= seconds <= 60) == ("throttled", True)
    assert problem["detail"] == f"Too many requests; try again in {seconds} seconds."
    assert answer["RateLimit"] == f'"anon";r=0;t={seconds}'
    assert answer["Access-Control-Allow-Origin"] == ORIGIN


def test_what_is_refused_has_no_effect(limit: Limit, as_alice: Api) -> None:
    limit(user="1/min")
    statuses = [as_alice.post("/api/me/tasks", {"title": "A"}).status_code for _ in range(3)]
    assert statuses == [201, 429, 429]
    assert [task["title"] for task in _unlimited(limit, as_alice)] == ["A"]


def _unlimited(limit: Limit, api: Api) -> Any:
    limit()
    return api.get("/api/me/tasks").json()


@pytest.mark.django_db
def test_the_last_second_is_one_second(limit: Limit) -> None:
    limit(anon="1/s")
    call("GET", NOTHING)
    answer = call("GET", NOTHING)
    if answer.status_code == 429:  # else the second was over
        assert answer["Retry-After"] == "1"
        assert answer.json()["detail"] == "Too many requests; try again in 1 second."


@pytest.mark.django_db
def test_after_its_window_a_caller_may_go_on(limit: Limit) -> None:
    limit(anon="2/min")
    assert [get_from("192.0.2.1") for _ in range(3)] == [404, 404, 429]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE config_rate_limit SET resets_at = now() - interval '1 ms'")
    forget()
    assert [get_from("192.0.2.1") for _ in range(3)] == [404, 404, 429]


# --- Whom a limit counts ----------------------------------------------------------------------------


@pytest.mark.django_db
def test_strangers_are_counted_by_address(limit: Limit) -> None:
    limit(anon="2/min")
    assert [get_from("192.0.2.1") for _ in range(3)] == [404, 404, 429]
    assert get_from("192.0.2.2") == 404


@pytest.mark.django_db
def test_an_ipv6_network_is_one_stranger(limit: Limit) -> None:
    limit(anon="2/min")
    assert [get_from(f"2001:db8::{host}") for host in range(1, 4)] == [404, 404, 429]
    assert get_from("2001:db8:0:1::1") == 404


@pytest.mark.parametrize("path", [NOTHING, "/api/auth/refresh"])  # counted by the middleware, and by a view
@pytest.mark.django_db
def test_the_networks_of_an_ipv6_site_have_five_times_the_limit_together(limit: Limit, path: str) -> None:
    limit(anon="2/min")
    answers = [call("POST", path, REMOTE_ADDR=f"2001:db8:0:{network:x}::1") for network in range(11)]
    assert [answer.status_code == 429 for answer in answers] == [False] * 10 + [True]
    assert answers[-1]["RateLimit-Policy"] == '"anon";q=10;w=60'
    assert get_from("2001:db8:1::1") == 404


@pytest.mark.django_db
def test_who_is_refused_alone_does_not_use_up_the_limit_of_the_site(limit: Limit) -> None:
    limit(anon="2/min")
    assert [get_from("2001:db8::1") for _ in range(20)] == [404] * 2 + [429] * 18
    assert [get_from(f"2001:db8:0:{network:x}::1") for network in range(1, 9)] == [404] * 8


@pytest.mark.parametrize("proxies", [0, 1, 2])
@pytest.mark.django_db
def test_addresses_that_no_trusted_proxy_wrote_make_no_new_stranger(
    limit: Limit, settings: Settings, proxies: int
) -> None:
    limit(anon="2/min")
    settings.TRUSTED_PROXIES = proxies
    forwarded = [f"6.6.6.{number}, 192.0.2.1, 10.0.0.2" for number in range(4)]
    statuses = [call("GET", NOTHING, HTTP_X_FORWARDED_FOR=chain).status_code for chain in forwarded]
    assert statuses == [404, 404, 429, 429]


@pytest.mark.django_db
def test_addresses_that_the_trusted_proxy_wrote_are_strangers(limit: Limit, settings: Settings) -> None:
    limit(anon="1/min")
    settings.TRUSTED_PROXIES = 1
    forwarded = [f"6.6.6.6, 192.0.2.{number}" for number in (1, 2, 1)]
    statuses = [call("GET", NOTHING, HTTP_X_FORWARDED_FOR=chain).status_code for chain in forwarded]
    assert statuses == [404, 404, 429]


@pytest.mark.parametrize("token", ["garbage", "a.b.c", ""])
@pytest.mark.django_db
def test_wrong_tokens_are_a_strangers(limit: Limit, token: str) -> None:
    limit(anon="2/min", user="100/min")
    answers = [call("GET", "/api/me/tasks", HTTP_AUTHORIZATION=f"Bearer {token}") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]


def test_users_are_counted_by_account_wherever_they_are(limit: Limit, alice: User, bob: User) -> None:
    limit(user="2/min", anon="1/min")
    one, two = Api(alice), Api(alice)
    assert [api.get("/api/me/tasks").status_code for api in (one, two, one, two)] == [200, 200, 429, 429]
    assert Api(bob).get("/api/me/tasks").status_code == 200


@pytest.mark.django_db
def test_nothing_tells_whom_a_counter_is_of(limit: Limit) -> None:
    limit(**ALL)
    body = '{"email": "ada@example.com", "password": "x"}'
    call("POST", "/api/auth/login", body, REMOTE_ADDR="192.0.2.1")
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(c::text, ' ') FROM config_rate_limit c")
        stored = cursor.fetchone()[0]
    # The address twice, the account at the address, the account, and all failed sign-ins.
    assert len(re.findall(r"[0-9a-f]{8}-", stored)) == 5
    assert not re.search(r"192\.0\.2|ada|example|login|anon", stored)


@pytest.mark.django_db
def test_counters_can_be_found_only_with_the_secret(limit: Limit, settings: Settings) -> None:
    """All IPv4 addresses are quickly tried, where a hash has no key."""
    limit(anon="1/min")
    assert [get_from("192.0.2.1") for _ in range(2)] == [404, 429]
    settings.SECRET_KEY = "another" * 8
    assert get_from("192.0.2.1") == 404


# --- Costs and races --------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_limit_costs_a_query_now_and_then(limit: Limit, alice: User) -> None:
    limit(**ALL)
    api = Api(alice)
    with CaptureQueriesContext(connection) as queries:
        for _ in range(61):
            assert api.get("/api/users/me").status_code == 200
            assert api.get(NOTHING).status_code == 404
    statements = [query["sql"] for query in queries.captured_queries]
    counting = [sql for sql in statements if "config_rate_limit" in sql]
    assert len(statements) == 61 + len(counting)  # nothing around them, neither BEGIN nor COMMIT
    assert len(counting) == 2 + 11  # a user's lease is 60, a stranger's is 6


@pytest.mark.django_db(transaction=True)
def test_drf_5181_concurrent_requests_do_not_pass_a_limit_together(limit: Limit) -> None:
    """https://github.com/encode/django-rest-framework/issues/5181: its throttles read, and write later."""
    limit(anon="10/min")

    def request(number: int) -> int:
        try:
            return call("POST", "/api/auth/refresh" if number % 2 else NOTHING).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(request, range(40)))
    assert sum(status != 429 for status in statuses) == 10
    assert RateLimit.objects.get().used <= 11
