"""The one dispatch of the API's views: who has it, the order of its checks, and what it leaves behind."""

import gc
from collections.abc import Callable, Iterator

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, path
from rest_framework import request, serializers, views
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from config.http.views import APIView, Response
from tests.client import Api
from tests.factories import make_task
from tests.problems import problem_of
from users.models import Session, User

Limit = Callable[..., None]


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from patterns(pattern, route)
        else:
            yield route, pattern


def test_every_api_view_has_the_one_dispatch() -> None:
    served = {route: getattr(pattern.callback, "cls", None) for route, pattern in patterns(get_resolver())}
    ours = {route for route, view in served.items() if isinstance(view, type) and issubclass(view, views.APIView)}
    assert ours >= {route for route in served if route.startswith("api/")}
    assert ours >= {"healthz", "readyz"}
    for route in ours:
        assert issubclass(served[route], APIView), route  # type: ignore[arg-type]


# --- The order of the checks --------------------------------------------------------------------------

asked: list[str] = []


class Asked(BasePermission):
    def has_permission(self, request: Request, view: views.APIView) -> bool:
        asked.append("permission")
        return bool(request.user.pk)


class ProbeView(APIView):
    permission_classes = (Asked,)

    def get(self, request: Request) -> Response:
        asked.append("action")
        return Response()


urlpatterns = [path("api/probe", ProbeView.as_view())]


@pytest.mark.urls(__name__)
def test_what_is_past_a_limit_is_asked_nothing_else(limit: Limit, as_alice: Api) -> None:
    limit(user="1/min")
    asked.clear()
    assert [as_alice.get("/api/probe").status_code for _ in range(3)] == [200, 429, 429]
    assert asked == ["permission", "action"]


@pytest.mark.urls(__name__)
@pytest.mark.django_db
def test_what_is_not_permitted_does_nothing(limit: Limit) -> None:
    asked.clear()
    problem_of(Api().get("/api/probe"), 403)
    assert asked == ["permission"]


@pytest.mark.django_db
def test_who_is_nobody_uses_up_no_limit_of_passwords(limit: Limit) -> None:
    """A 401 comes before the view's own throttles, which would read the body."""
    limit(anon="9/min", login="1/min")
    answers = [Api().post("/api/users/me/password", {"email": "ada@example.com"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401] * 3
    assert {answer["RateLimit-Policy"] for answer in answers} == {'"anon";q=9;w=60'}


# --- What it leaves behind ----------------------------------------------------------------------------

KINDS = (views.APIView, request.Request, serializers.BaseSerializer)


def living() -> set[int]:
    return {id(each) for each in gc.get_objects() if issubclass(type(each), KINDS)}


@pytest.mark.parametrize("path", ["/api/me/tasks", "/api/users/me", "/api/users/me/sessions", "/api/me/tasks/0"])
def test_a_request_leaves_nothing_to_the_garbage_collector(alice: User, as_alice: Api, path: str) -> None:
    """Views, requests and serializers refer to each other, and would keep the rows and the body until it runs."""
    make_task(alice)

    def ask() -> None:
        as_alice.get(path)

    ask()  # what is made once
    gc.collect()
    gc.disable()
    try:
        before = living()
        ask()
        left = [each for each in gc.get_objects() if issubclass(type(each), KINDS) and id(each) not in before]
    finally:
        gc.enable()
    assert [vars(each) for each in left if vars(each)] == []


@pytest.mark.urls(__name__)
def test_a_view_that_reads_no_account_refuses_an_ended_session_all_the_same(as_alice: Api) -> None:
    assert as_alice.get("/api/probe").status_code == 200
    Session.objects.all().delete()
    asked.clear()
    assert problem_of(as_alice.get("/api/probe"), 401)["code"] == "invalid_token"
    assert asked == []
