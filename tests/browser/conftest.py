"""A real browser (Debian's Chromium, driven by Playwright) in front of the real service, and a member of the staff."""

import os
import shutil
from collections.abc import Iterator
from typing import NamedTuple
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.factories import PASSWORD
from tests.server import Server

PROGRAM = shutil.which("chromium")
Looks = tuple[tuple[int, int], str]
DESKTOP, PHONE = (1280, 900), (390, 844)
PATIENCE = 60_000  # milliseconds: a busy machine takes fifteen seconds to let Swagger UI draw a hundred operations

expect.set_options(timeout=PATIENCE)


class Account(NamedTuple):
    email: str
    api: httpx.Client


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "browser":
            item.add_marker(pytest.mark.browser)


# Playwright runs an event loop in this thread, where Django would refuse to ask its database: not beyond the module.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if PROGRAM is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("needs Debian's package chromium")
    with sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture
def looks() -> Looks:
    """The window's size and its colours; tests that have others say so."""
    return DESKTOP, "light"


@pytest.fixture
def page(chromium: Browser, server: Server, looks: Looks) -> Iterator[Page]:
    """Everything that it asks for is asked of the service, and nothing that it runs fails."""
    (width, height), scheme = looks
    faults: list[str] = []
    context = chromium.new_context(
        base_url=server.base,
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.on("request", lambda request: _note(faults, request.url, request.url.startswith((f"{server.base}/", "data:"))))
    page.on("response", lambda answer: _note(faults, f"{answer.status} {answer.url}", answer.status < 400))
    page.on("console", lambda line: _note(faults, line.text, line.type not in ("error", "warning")))
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    context.close()
    assert faults == []


def _note(faults: list[str], what: str, is_fine: bool) -> None:
    if not is_fine:
        faults.append(what)


@pytest.fixture(scope="module")
def staff(server: Server) -> str:
    """The address of a superuser, who has no second factor yet."""
    return make_staff(server)


def make_staff(server: Server) -> str:
    email = f"staff-{uuid4().hex}@example.com"
    server.environment["DJANGO_SUPERUSER_PASSWORD"] = PASSWORD
    server.manage("createsuperuser", "--no-input", "--email", email)
    return email


@pytest.fixture
def user(server: Server) -> Iterator[Account]:
    """Somebody who uses the API, in one session."""
    email = f"ada-{uuid4().hex}@example.com"
    with httpx.Client(base_url=server.base, timeout=10) as api:
        made = api.post("/api/auth/register", json={"email": email, "password": PASSWORD, "name": "Ada"})
        api.headers["Authorization"] = f"Bearer {made.json()['access']}"
        yield Account(email, api)


@pytest.fixture
def admin(page: Page, staff: str) -> Page:
    """Signed in, on the dashboard."""
    sign_in(page, staff)
    page.wait_for_url("**/admin/")
    return page


def sign_in(page: Page, email: str) -> None:
    page.goto("/admin/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
