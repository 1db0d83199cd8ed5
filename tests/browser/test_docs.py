"""Swagger UI, as a developer tries the API with it."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Account


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
