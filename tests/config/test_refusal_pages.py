"""What the admin shows where it cannot show one of its pages: to people, without the database."""

from contextlib import ExitStack
from typing import Any

import pytest
from django.contrib.admin import ModelAdmin
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from config.errors import Overloaded
from config.http.middleware import REFUSAL_KEY
from config.values import MAX_SEARCH
from tests.factories import make_user
from tests.pages import signed_in
from users.models import User


def shown(client: Client, address: str, status: int, **form: str) -> str:
    return page_of(client.post(address, form) if form else client.get(address), status)


def page_of(answer: Any, status: int) -> str:
    text = answer.content.decode()
    assert (answer.status_code, answer["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert f'<a href="{reverse("admin:index")}">' in text and "config/refusal.css" in text
    return str(text)


def test_a_page_that_is_not_there(carol: User) -> None:
    assert "Nothing is here" in shown(signed_in(carol), "/admin/nothing/", 404)


def test_a_page_that_the_role_may_not_see(alice: User) -> None:
    member = make_user(is_staff=True)
    assert "You may not do this" in shown(signed_in(member), "/admin/users/user/", 403)


def test_a_form_without_its_secret(carol: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(carol)
    assert "This form is out of date" in shown(client, "/admin/tasks/task/add/", 403, title="A task")


@pytest.mark.parametrize(
    ("error", "status", "heading"),
    [
        (ZeroDivisionError(), 500, "Something went wrong"),
        (OperationalError(), 503, "The database is unavailable"),
        (SuspiciousOperation(), 400, "The request is not valid"),
        (BadRequest(), 400, "The request is not valid"),
        (RequestDataTooBig(), 413, "The body is too large"),
        (TooManyFieldsSent(), 413, "The body is too large"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_failure_asks_nothing_of_the_database(
    carol: User, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, heading: str
) -> None:
    client = signed_in(carol)
    with ExitStack() as stack:
        queries = CaptureQueriesContext(connection)

        def fail(*arguments: object) -> None:
            stack.enter_context(queries)
            raise error

        monkeypatch.setattr(ModelAdmin, "get_queryset", fail)
        client.raise_request_exception = False
        assert heading in shown(client, "/admin/tasks/task/", status)
        assert len(queries) == 0


# --- Before any page of the admin ---------------------------------------------------------------------

URLENCODED = "application/x-www-form-urlencoded"


@pytest.fixture
def browser(carol: User) -> Client:
    """Its forms are read before any page is called."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(carol)
    client.get("/admin/password_change/")
    return client


def test_a_form_that_is_too_large(browser: Client) -> None:
    form = "title=" + "a" * (1 << 20)
    assert "larger than 1 MiB" in page_of(browser.post("/admin/", form, content_type=URLENCODED), 413)


def test_a_form_with_too_many_fields(browser: Client) -> None:
    answer = browser.post("/admin/", "a=&" * 10_000, content_type=URLENCODED)
    assert "choose fewer rows" in page_of(answer, 413)


def test_a_form_that_cannot_be_read(browser: Client) -> None:
    answer = browser.post("/admin/", b"x", content_type="multipart/form-data; boundary=")
    assert "cannot be understood" in page_of(answer, 400)


def test_a_host_that_is_not_served(db: None) -> None:
    assert "ALLOWED_HOSTS" in page_of(Client().get("/admin/", headers={"Host": "evil.example"}), 400)


def test_a_refusal_of_the_server(db: None) -> None:
    """A `<` of ours, as all that is told, becomes no tag."""
    environ: Any = {REFUSAL_KEY: Overloaded("Too many <requests>.")}
    answer = Client().get("/admin/", **environ)
    assert "Too many &lt;requests&gt;." in page_of(answer, 503)
    assert answer["Retry-After"] == "2"


@pytest.mark.parametrize("address", ["/admin/logout/", "/admin/second-factor/leave/"])
def test_a_button_that_was_not_pressed(carol: User, address: str) -> None:
    answer = signed_in(carol).get(address)
    assert "use the buttons" in page_of(answer, 405)
    assert "POST" in answer["Allow"]


@pytest.mark.parametrize(
    "parameter", ["q", "created_at__year", "user__id__exact", "tag", "o", "p", "_changelist_filters", "x"]
)
def test_an_address_that_is_too_long(carol: User, parameter: str) -> None:
    """Before anything is split, normalised or looked up; each character is nine here, and eighteen when it is
    normalised."""
    client = signed_in(carol)
    with CaptureQueriesContext(connection) as queries:
        answer = client.get("/admin/tasks/task/", {parameter: "\ufdfa" * 1000})
    assert "The address is too long" in page_of(answer, 414)
    assert len(queries) == 0


@pytest.mark.parametrize(
    "path",
    [
        "/admin/tasks/task/",
        "/admin/users/user/",
        "/admin/users/session/",
        "/admin/users/auditevent/",
        "/admin/auth/group/",
    ],
)
def test_a_search_that_is_too_long_finds_nothing_and_says_why(carol: User, path: str) -> None:
    client = signed_in(carol)
    page = client.get(path, {"q": "a" * (MAX_SEARCH + 1)})
    assert list(page.context["cl"].result_list) == []
    assert f"Search for at most {MAX_SEARCH} characters." in page.content.decode()
    assert "Search for at most" not in client.get(path, {"q": "a" * MAX_SEARCH}).content.decode()


def test_a_long_search_of_the_autocomplete_finds_nothing(carol: User) -> None:
    asked = {"app_label": "tasks", "model_name": "task", "field_name": "user"}
    client = signed_in(carol)
    found = [client.get("/admin/autocomplete/", {**asked, "term": term}).json() for term in ("carol", "c" * 201)]
    assert [len(each["results"]) for each in found] == [1, 0]
