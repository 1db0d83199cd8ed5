"""The chain of middleware, and the one that runs Django's for browsers around the admin alone."""

import pytest
from django.core.checks import run_checks
from django.http import HttpRequest
from django.middleware.csrf import CsrfViewMiddleware
from django.test import Client
from pytest_django import Settings

from config.admin.middleware import AdminMiddleware
from config.http.middleware import MAX_HOSTS
from tests.pages import signed_in
from users.models import User

HOOKS = ("process_view", "process_exception", "process_template_response")


def test_six_are_enough(settings: Settings) -> None:
    assert len(settings.MIDDLEWARE) <= 6


@pytest.mark.parametrize("address", ["/api/me/tasks", "/healthz", "/nothing", "/admin", "/administrator"])
def test_only_the_admin_has_sessions(carol: User, address: str) -> None:
    staff = signed_in(carol)
    assert not hasattr(staff.get(address).wsgi_request, "session")
    assert staff.get("/admin/").wsgi_request.session["_auth_user_id"] == str(carol.pk)


def test_the_admin_has_what_the_silenced_checks_ask_for(settings: Settings) -> None:
    settings.MIDDLEWARE = [f"{each.__module__}.{each.__qualname__}" for each in AdminMiddleware.chain]
    found = {str(message.id) for message in run_checks(include_deployment_checks=True)}
    assert found.isdisjoint({"admin.E408", "admin.E409", "admin.E410", "security.W003"})


def test_no_hook_of_the_chain_is_lost() -> None:
    hooks = {(each, hook) for each in AdminMiddleware.chain for hook in HOOKS if hasattr(each, hook)}
    assert hooks == {(CsrfViewMiddleware, "process_view")}, "let AdminMiddleware call it, as it calls process_view"


@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "options", "head"])
def test_the_admin_without_its_slash(db: None, method: str) -> None:
    answer = getattr(Client(), method)("/admin?next=%20a&b", QUERY_STRING="next=%20a&b")
    assert (answer.status_code, answer["Location"]) == (301, "/admin/?next=%20a&b")


def test_known_hosts_are_checked_once_and_a_bounded_number_is_remembered(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    settings.ALLOWED_HOSTS = [".example.com"]
    client, get_host = Client(), HttpRequest.get_host
    checked: list[str] = []

    def note(request: HttpRequest) -> str:
        checked.append(request.META["HTTP_HOST"])
        return get_host(request)

    monkeypatch.setattr(HttpRequest, "get_host", note)
    for number in (0, 0, *range(1, MAX_HOSTS + 1), MAX_HOSTS):
        assert client.get("/healthz", headers={"Host": f"a{number}.example.com"}).status_code == 200
    assert checked == [f"a{number}.example.com" for number in (*range(MAX_HOSTS + 1), MAX_HOSTS)]


def test_hosts_that_are_not_allowed_are_refused_each_time(settings: Settings, db: None) -> None:
    settings.ALLOWED_HOSTS = [".example.com"]
    client = Client()
    for number in (*range(MAX_HOSTS + 10), 0):
        assert client.get("/healthz", headers={"Host": f"a{number}.example.com"}).status_code == 200
        assert client.get("/healthz", headers={"Host": "example.org"}).status_code == 400
    for malformed in ("", "a0.example.com:x", "a0.example.com/", "A0.example.com@example.org"):
        assert client.get("/healthz", headers={"Host": malformed}).status_code == 400
