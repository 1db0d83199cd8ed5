"""What the admin shows where it cannot show one of its pages: to people, without the database."""

from contextlib import ExitStack

import pytest
from django.contrib.admin import ModelAdmin
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.factories import make_user
from tests.pages import signed_in
from users.models import User


def shown(client: Client, address: str, status: int, **form: str) -> str:
    answer = client.post(address, form) if form else client.get(address)
    text = answer.content.decode()
    assert (answer.status_code, answer["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert f'<a href="{reverse("admin:index")}">' in text and "config/refusal.css" in text
    return text


def test_a_page_that_is_not_there(carol: User) -> None:
    assert "Nothing is here" in shown(signed_in(carol), "/admin/nothing/", 404)


def test_a_page_that_the_role_may_not_see(alice: User) -> None:
    member = make_user(is_staff=True)
    assert "You may not do this" in shown(signed_in(member), "/admin/users/user/", 403)


def test_a_form_without_its_secret(carol: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(carol)
    assert "This form is out of date" in shown(client, "/admin/tasks/task/add/", 403, title="A task")


@pytest.mark.parametrize(("error", "status"), [(ZeroDivisionError(), 500), (OperationalError(), 503)])
def test_a_failure_asks_nothing_of_the_database(
    carol: User, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    client = signed_in(carol)
    with ExitStack() as stack:
        queries = CaptureQueriesContext(connection)

        def fail(*arguments: object) -> None:
            stack.enter_context(queries)
            raise error

        monkeypatch.setattr(ModelAdmin, "get_queryset", fail)
        client.raise_request_exception = False
        assert "Something went wrong" in shown(client, "/admin/tasks/task/", status)
        assert len(queries) == 0
