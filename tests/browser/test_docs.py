"""Swagger UI, as a developer tries the API with it."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.accessible import CONTRAST, violations
from tests.browser.conftest import DESKTOP, PHONE, Account
from tests.factories import PASSWORD


def test_the_docs_authorize_and_create_a_task(page: Page, user: Account) -> None:
    page.goto("/api/docs")
    page.get_by_role("button", name="Authorize").first.click()
    token = user.api.headers["Authorization"].removeprefix("Bearer ")
    page.locator(".auth-container input").first.fill(token)
    page.locator(".auth-btn-wrapper").get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").first.click()
    operation = page.locator("#operations-tasks-createTask")
    operation.locator(".opblock-summary-control").first.click()
    operation.get_by_placeholder("user_id").fill("me")
    operation.locator("textarea.body-param__text").fill('{"title": "Tried in the docs"}')
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("201")
    assert [task["title"] for task in user.api.get("/api/me/tasks").json()] == ["Tried in the docs"]


by_looks = pytest.mark.parametrize(
    "looks", [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light"), (PHONE, "dark")], ids=str
)


def opened(page: Page, name: str = "tasks-createTask") -> Locator:
    page.goto("/api/docs")
    operation = page.locator(f"#operations-{name}")
    operation.locator(".opblock-summary-control").first.click()
    expect(operation.locator(".responses-table").first).to_be_visible()
    return operation


def signed_in(page: Page, user: Account) -> None:
    form = page.locator("#sign-in")
    form.get_by_label("E-mail").fill(user.email)
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("status")).to_contain_text(f"Signed in as {user.email}")


def executed(operation: Locator) -> Locator:
    """The status of the answer to what the page fills in for `me`."""
    operation.get_by_placeholder("user_id").fill("me")
    operation.get_by_role("button", name="Execute").click()
    return operation.locator(".live-responses-table tbody .response-col_status").first


@by_looks
@pytest.mark.node
def test_all_of_the_docs_has_contrast(page: Page, user: Account) -> None:
    """Also what is told once a request was sent. The names of its fields are Swagger UI's own."""
    operation = opened(page, "tasks-listTasks")
    signed_in(page, user)
    expect(executed(operation)).to_contain_text("200")
    operation.get_by_role("tab", name="Schema").first.click()
    assert violations(page, CONTRAST) == []
    page.get_by_role("button", name="Authorize").first.click()
    expect(page.locator(".dialog-ux")).to_be_visible()
    assert violations(page, CONTRAST) == []


@by_looks
@pytest.mark.node
def test_the_landing_page_can_be_read_by_everybody(page: Page) -> None:
    page.goto("/")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("link", name="Documentation").click()
    expect(page.locator(".info .title")).to_contain_text("Tickbase")


@by_looks
def test_nothing_of_the_docs_is_wider_than_the_window(page: Page) -> None:
    opened(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("looks", [(DESKTOP, "dark")], ids=str)
def test_the_docs_follow_the_colours_of_the_system(page: Page) -> None:
    page.goto("/api/docs")
    expect(page.locator("html")).to_have_class("dark-mode")
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).not_to_have_class("dark-mode")


def test_who_signs_in_on_the_page_tries_requests_as_themselves(page: Page, user: Account) -> None:
    operation = opened(page, "tasks-listTasks")
    signed_in(page, user)
    expect(executed(operation)).to_contain_text("200")
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("status")).to_have_text("Signed out.")
    expect(page.locator("#sign-in")).to_be_visible()
    assert len(user.api.get("/api/users/me/sessions").json()) == 1


def test_the_page_trades_the_token_before_it_expires(page: Page, user: Account) -> None:
    page.clock.install()
    operation = opened(page, "tasks-listTasks")
    signed_in(page, user)
    with page.expect_response("**/api/auth/refresh") as traded:
        page.clock.run_for(10 * 60_000)
    access = traded.value.json()["access"]
    with page.expect_request(re.compile("/api/me/tasks")) as asked:
        expect(executed(operation)).to_contain_text("200")
    assert asked.value.headers["authorization"] == f"Bearer {access}"
