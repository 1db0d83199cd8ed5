"""Plain HTTP in production, and what browsers are told about our pages."""

import re
from collections.abc import Iterator
from importlib import reload

import pytest
from django.test import Client
from django.urls import clear_url_caches, set_urlconf
from pytest_django import Settings

import config.urls
from config.http.middleware import CONTENT_SECURITY_POLICY
from tests.client import Api
from tests.factories import PASSWORD
from tests.pages import signed_in
from tests.problems import problem_of, send, stored
from tests.tree import PRODUCTION, Tree
from users.models import User


@pytest.fixture
def production(settings: Settings) -> None:
    settings.REQUIRE_HTTPS = True
    settings.TRUSTED_PROXIES = 1
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_HSTS_SECONDS = 3600


@pytest.mark.usefixtures("production")
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("address", ["/api/me/tasks", "/api/auth/login", "/api/docs", "/api/schema", "/", "/healthz/"])
def test_plain_http_is_refused_and_not_redirected(alice: User, method: str, address: str) -> None:
    before = stored()
    answer = send(Api(alice), method, address, {"title": "a"})
    assert answer.status_code == 403
    assert "Location" not in answer
    assert method == "HEAD" or problem_of(answer, 403)["code"] == "https_required"
    assert stored()[0] == before[0]


@pytest.mark.usefixtures("production")
def test_https_is_what_the_proxy_says(as_alice: Api) -> None:
    answer = as_alice.get("/api/me/tasks", x_forwarded_proto="https")
    assert (answer.status_code, answer["Strict-Transport-Security"]) == (200, "max-age=3600")
    assert as_alice.get("/api/me/tasks", x_forwarded_proto="http").status_code == 403


@pytest.mark.usefixtures("production")
def test_without_a_proxy_the_refusal_tells_the_operator_what_to_set(settings: Settings) -> None:
    assert "TRUSTED_PROXIES" not in Api().get("/api/me/tasks").json()["detail"]
    settings.TRUSTED_PROXIES = 0
    assert "TRUSTED_PROXIES" in Api().get("/api/me/tasks").json()["detail"]


@pytest.mark.usefixtures("production", "db")
@pytest.mark.parametrize("address", ["/healthz", "/readyz"])
def test_load_balancers_may_ask_over_plain_http(address: str) -> None:
    assert Api().get(address).status_code == 200


@pytest.mark.usefixtures("production", "db")
def test_only_pages_of_the_admin_are_redirected() -> None:
    answer = Client().get("/admin/login/?next=/admin/")
    assert (answer.status_code, answer["Location"]) == (301, "https://testserver/admin/login/?next=/admin/")
    answer = Client().post("/admin/login/", {"username": "a", "password": "b"})
    assert (answer.status_code, "HTTPS is required" in answer.content.decode()) == (403, True)


def test_https_is_asked_for_in_production_unless_its_network_is_private(tree: Tree) -> None:
    names = ("REQUIRE_HTTPS", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_HSTS_SECONDS")
    assert list(tree.load(*names, **PRODUCTION).values()) == [True, True, True, 31_536_000]
    assert list(tree.load(*names, **PRODUCTION, HSTS_SECONDS="0").values()) == [True, True, True, 0]
    assert list(tree.load(*names, **PRODUCTION, REQUIRE_HTTPS="false").values()) == [False, False, False, 0]
    assert list(tree.load(*names).values()) == [False, False, False, 0]


def test_cookies_are_bound_to_the_host_where_https_is_asked_for(tree: Tree) -> None:
    names = ("SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME")
    bound, plain = ["__Host-sessionid", "__Host-csrftoken"], [None, None]  # of which Django has its own
    assert list(tree.load(*names, **PRODUCTION).values()) == bound
    assert list(tree.load(*names, **PRODUCTION, REQUIRE_HTTPS="false").values()) == plain
    assert list(tree.load(*names).values()) == plain


@pytest.mark.usefixtures("production")
def test_browsers_take_the_cookies_of_the_admin(settings: Settings, carol: User) -> None:
    """With this prefix they want Secure and Path=/, and no Domain."""
    settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    client = Client(headers={"Host": "testserver", "X-Forwarded-Proto": "https"}, enforce_csrf_checks=True)
    client.get("/admin/login/")
    token = client.cookies["__Host-csrftoken"].value
    typed = {"username": carol.email, "password": PASSWORD, "csrfmiddlewaretoken": token}
    client.post("/admin/login/", typed, headers={"Origin": "https://testserver"})
    assert client.get("/admin/").status_code == 200
    for cookie in (client.cookies["__Host-csrftoken"], client.cookies["__Host-sessionid"]):
        assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", "")


# --- Pages ------------------------------------------------------------------------------------------

PAGES = ["/api/docs", "/admin/", "/admin/login/", "/admin/users/user/add/", "/admin/tasks/task/add/", "/admin/nothing/"]


@pytest.mark.parametrize("address", PAGES)
def test_a_page_runs_only_files_of_ours(carol: User, address: str) -> None:
    answer = signed_in(carol).get(address, follow=True)
    assert answer["Content-Type"].startswith("text/html")
    assert answer["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    text = answer.content.decode()
    # The policy would stop it, and the page would miss it.
    assert re.findall(r"<style| style=| on[a-z]+=|<script(?![^>]* src=)", text) == []


@pytest.mark.parametrize("host", ["testserver", "evil.example"])
@pytest.mark.parametrize(
    "address", [*PAGES, "/api/me/tasks", "/healthz", "/nothing", "/admin", "/static/config/admin.css"]
)
def test_every_answer_is_kept_from_frames_and_guesses(carol: User, address: str, host: str) -> None:
    answer = signed_in(carol).get(address, headers={"Host": host})
    b"".join(answer)  # closes a file
    assert (answer["X-Content-Type-Options"], answer["X-Frame-Options"]) == ("nosniff", "DENY")
    assert answer["Referrer-Policy"] == "same-origin"


@pytest.mark.django_db
def test_an_api_answer_is_no_page(as_alice: Api) -> None:
    assert "Content-Security-Policy" not in as_alice.get("/api/me/tasks")


def test_the_docs_page_has_its_script_in_a_file() -> None:
    page = Client().get("/api/docs").content.decode()
    assert '<script src="/api/docs?script=' in page
    answer = Client().get("/api/docs?script=")
    assert answer["Content-Type"].startswith("application/javascript")
    assert "SwaggerUIBundle({" in answer.content.decode()


# --- Where the admin is -----------------------------------------------------------------------------


@pytest.fixture
def urls_anew(settings: Settings) -> Iterator[None]:
    yield
    settings.ADMIN_PATH = "admin/"
    _load_urls()


def _load_urls() -> None:
    reload(config.urls)
    clear_url_caches()
    set_urlconf(None)


@pytest.mark.usefixtures("urls_anew")
def test_the_admin_can_be_elsewhere(settings: Settings, carol: User) -> None:
    settings.ADMIN_PATH = "back/office/"
    _load_urls()
    assert signed_in(carol).get("/back/office/users/user/").status_code == 200
    assert signed_in(carol).get("/back/office/nothing/")["Content-Type"].startswith("text/html")
    assert problem_of(signed_in(carol).get("/admin/"), 404)["code"] == "not_found"


@pytest.mark.usefixtures("urls_anew")
def test_the_admin_can_be_off(settings: Settings, carol: User) -> None:
    settings.ADMIN_PATH = ""
    _load_urls()
    assert problem_of(signed_in(carol).get("/admin/"), 404)["code"] == "not_found"
    assert problem_of(signed_in(carol).get("/"), 404)["code"] == "not_found"


@pytest.mark.parametrize(
    ("given", "path"),
    [("", "admin/"), ("staff", "staff/"), ("/back/office/", "back/office/"), ("off", "")],
)
def test_the_path_of_the_admin_is_a_setting(tree: Tree, given: str, path: str) -> None:
    assert tree.load("ADMIN_PATH", ADMIN_PATH=given) == {"ADMIN_PATH": path}
