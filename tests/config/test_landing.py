"""`/`: a page for browsers, and for programs what was there before."""

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from config.http.middleware import CONTENT_SECURITY_POLICY
from tests.client import Api
from tests.problems import problem_of

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def page(**headers: str) -> Any:
    return Client().get("/", headers={"Accept": BROWSER, **headers})


@pytest.mark.django_db
def test_a_browser_is_shown_what_there_is() -> None:
    answer = page()
    text = answer.content.decode()
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert (answer["Content-Security-Policy"], answer["Vary"]) == (CONTENT_SECURITY_POLICY, "Accept")
    for address in ("/api/docs", "/api/schema", "/admin/", "/readyz"):
        assert f'href="{address}"' in text
        assert Client().get(address, headers={"Accept": BROWSER}).status_code in (200, 302)
    assert "The app" not in text


def test_it_leads_to_the_app(settings: Settings) -> None:
    settings.APP_URL = "https://app.example.com"
    assert '<a href="https://app.example.com">' in page().content.decode()


def test_in_production_it_does_not_tell_where_the_admin_was_moved_to(settings: Settings) -> None:
    settings.ADMIN_PATH, settings.PRODUCTION = "hidden/", True
    assert "hidden" not in page().content.decode()
    settings.ADMIN_PATH = "admin/"
    assert 'href="/admin/"' in page().content.decode()


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "application/problem+json"])
def test_programs_are_told_that_nothing_is_here(accept: str) -> None:
    answer = Api().get("/", accept=accept)
    problem = problem_of(answer, 404)
    assert (problem["code"], problem["detail"]) == ("not_found", "Nothing is here; /api/docs lists every address.")
    assert answer["Vary"] == "Accept"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_it_is_only_read(method: str) -> None:
    answer = getattr(Client(), method)("/", headers={"Accept": BROWSER})
    assert problem_of(answer, 404)["code"] == "not_found"
