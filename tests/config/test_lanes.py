"""The lane of a request, the timeout of a search, and what a list leaves to the garbage collector."""

import gc
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.http import QueryDict
from django.urls import resolve, reverse
from pytest_django import Settings
from rest_framework.views import APIView

from config.asgi import LANES, lane_of, networks_of
from config.database import session
from config.server import heads, responses
from config.server.bridge import Lane
from config.wsgi import application as tickbase
from tests.client import Api
from tests.config.test_bridge import scope
from tests.factories import make_task, make_tokens, make_user
from tests.problems import problem_of
from users.models import User

# --- Lanes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method, path, lane",
    [
        ("GET", "/healthz", Lane.URGENT),
        ("GET", "/readyz", Lane.COMMON),
        ("POST", "/api/auth/login", Lane.HASHING),
        ("OPTIONS", "/api/auth/login", Lane.COMMON),
        ("POST", "/api/auth/register", Lane.HASHING),
        ("POST", "/api/auth/reset-password", Lane.HASHING),
        ("POST", "/api/users/me/password", Lane.HASHING),
        ("DELETE", "/api/users/me", Lane.HASHING),
        ("PATCH", "/api/users/me", Lane.COMMON),
        ("GET", "/api/users/me/export", Lane.HEAVY),
        ("HEAD", "/api/users/me/export", Lane.HEAVY),
        ("HEAD", "/healthz", Lane.URGENT),
        ("POST", "/api/auth/refresh", Lane.COMMON),
        ("POST", "/api/me/tasks", Lane.COMMON),
        ("GET", "/admin/login/", Lane.COMMON),
        ("POST", "/admin/login/", Lane.HASHING),
        ("POST", "/admin/password_change/", Lane.HASHING),
        ("POST", "/admin/users/user/7/password/", Lane.HASHING),
        ("POST", "/admin/users/user/add/", Lane.HASHING),
        ("POST", "/admin/tasks/task/", Lane.COMMON),
    ],
)
def test_lanes(method: str, path: str, lane: Lane) -> None:
    assert lane_of(method, path) is lane


def test_views_name_their_lanes_and_every_one_has_an_address() -> None:
    """A view of a variable address would say it in vain."""
    found = {view for view in _subclasses(APIView) if vars(view).get("lanes")}
    views: Any = [resolve(path).func for _, path in LANES]
    assert found == {view.cls for view in views}
    assert [method for method, _ in LANES] == [method for view in views for method in view.cls.lanes]


def _subclasses(view: type) -> set[type]:
    return {view}.union(*(_subclasses(each) for each in view.__subclasses__()))


@pytest.mark.parametrize("user", ["me", "41", "users", "a b"])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "batch"), ("POST", "undo"), ("POST", "tags/rename"), ("DELETE", "trash")]
)
def test_what_may_concern_all_rows_is_heavy_for_whomever_it_is(user: str, method: str, path: str) -> None:
    assert lane_of(method, f"/api/{user}/{path}") is Lane.HEAVY


@pytest.mark.parametrize("user", ["me", "41"])
def test_only_that_is_heavy(user: str) -> None:
    assert lane_of("GET", f"/api/{user}/batch") is Lane.COMMON
    assert lane_of("POST", f"/api/{user}/tasks/batch") is Lane.COMMON


def test_a_search_is_heavy_wherever_it_stands() -> None:
    assert lane_of("GET", "/api/me/tasks", "limit=1&search=a") is Lane.HEAVY
    assert lane_of("GET", "/api/me/tasks", "limit=1") is Lane.COMMON
    assert lane_of("POST", "/api/auth/login", "search=a") is Lane.HASHING


@pytest.mark.parametrize("query", ["se%61rch=a", "limit=1&%73%65arch=a", "sear%63h=%25"])
def test_a_search_is_heavy_however_it_is_escaped(query: str) -> None:
    """Django decodes names, too: with one escaped letter, a caller ran two searches at once."""
    assert "search" in QueryDict(query)
    assert lane_of("GET", "/api/me/tasks", query) is Lane.HEAVY


@pytest.mark.parametrize("method", ["post", "Post"])
def test_a_lane_goes_by_the_method_that_django_sees(method: str) -> None:
    """It takes small letters for capitals: a sign-in by `post` was hashed by the threads that serve everybody."""
    environ, _ = heads.read(scope(method, b"/api/auth/login"))
    assert WSGIRequest(environ).method == environ["REQUEST_METHOD"] == "POST"
    assert lane_of(environ["REQUEST_METHOD"], environ["PATH_INFO"]) is Lane.HASHING


def test_what_the_admin_calls_its_pages_with_passwords(alice: User) -> None:
    names = [("admin:login", []), ("admin:password_change", []), ("admin:auth_user_password_change", [alice.pk])]
    assert {lane_of("POST", reverse(name, args=args)) for name, args in names} == {Lane.HASHING}


# --- Networks ---------------------------------------------------------------------------------------


def test_whoever_has_a_site_of_ipv6_has_no_share_for_each_of_its_networks(settings: Settings) -> None:
    settings.NETWORK_REQUESTS = 10
    one, other, elsewhere, old = (
        networks_of({"REMOTE_ADDR": address})
        for address in ("2001:db8:1:1::1", "2001:db8:1:2::1", "2001:db8:2:1::1", "192.0.2.1")
    )
    assert [list(each.values()) for each in (one, other, elsewhere, old)] == [[10, 50], [10, 50], [10, 50], [10]]
    assert one.keys() & other.keys() == {[*one][-1]}
    assert not one.keys() & elsewhere.keys()
    assert networks_of({}) == {"": 10}


# --- Searches ---------------------------------------------------------------------------------------


def test_a_search_that_takes_too_long_says_what_to_do(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    alice = make_user()
    for _ in range(20):
        make_task(alice, description="a" * 10_000)
    monkeypatch.setattr(session, "SEARCH_SECONDS", 0.001)
    settings.DATABASE_STATEMENT_TIMEOUT = 0
    slow = "/api/me/tasks?search=b" + "a" * 198
    problem = problem_of(Api(alice).get(slow), 422)
    assert (problem["code"], "add filters" in problem["detail"]) == ("search_too_slow", True)
    assert problem_of(Api(alice).get(f"{slow}&total=true&overdue=false"), 422)["code"] == "search_too_slow"
    assert Api(alice).get("/api/me/tasks?limit=1").status_code == 200
    monkeypatch.undo()
    assert Api(alice).get(slow).json() == []


# --- What is left behind ----------------------------------------------------------------------------


def _rows_in_memory(title: str) -> list[Any]:
    return [each for each in gc.get_objects() if type(each) is dict and each.get("title") == title]


def test_a_list_leaves_no_rows_to_the_garbage_collector(transactional_db: None) -> None:
    """They were kept in reference cycles of view, request and response until it ran: hundreds of megabytes."""
    user = make_user()
    make_task(user, title="Left behind")
    request = scope("GET", b"/api/me/tasks", host="localhost", authorization=f"Bearer {make_tokens(user).access}")
    environ, _ = heads.read(request)
    gc.collect()
    gc.disable()
    try:
        with responses.ResponseBuffer(responses.BufferUsage(), None) as buffer:
            assert responses.call(tickbase, environ, buffer).status == 200
        left = _rows_in_memory("Left behind")
    finally:
        gc.enable()
    assert left == []
