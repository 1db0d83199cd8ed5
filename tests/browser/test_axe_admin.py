"""The admin for those who do not see it, or use no mouse."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessible import serious
from tests.browser.conftest import DESKTOP, PHONE, Account

PAGES = (
    "", "users/user/", "users/user/add/", "users/user/invite/", "users/user/{user}/change/",
    "users/user/{user}/password/", "users/user/{user}/history/", "users/user/{user}/export/",
    "users/user/{user}/delete/", "users/user/?q=nobody",
    "users/session/", "users/personaltoken/", "users/auditevent/", "users/auditevent/?account={user}",
    "auth/group/", "auth/group/add/", "password_change/", "second-factor/enrol/",
    "tasks/task/", "tasks/task/add/", "tasks/task/?deleted=yes", "tasks/task/{task}/change/",
    "tasks/task/{task}/history/", "tasks/task/{task}/history/2/undo/", "tasks/task/{task}/delete/",
    "projects/project/", "projects/project/add/", "projects/project/{project}/change/", "transfer/import/",
)  # fmt: skip


@pytest.fixture
def places(user: Account) -> dict[str, object]:
    project = user.api.post("/api/me/projects", json={"name": "Home", "color": "#3366cc"}).json()["id"]
    task = user.api.post("/api/me/tasks", json={"title": "Read", "tags": ["a"], "project_id": project}).json()["id"]
    user.api.patch(f"/api/me/tasks/{task}", json={"priority": "high"})
    return {"user": user.api.get("/api/users/me").json()["id"], "task": task, "project": project}


@pytest.mark.parametrize("looks", [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light")])
def test_no_page_has_a_serious_fault(admin: Page, places: dict[str, object]) -> None:
    found = {}
    for address in PAGES:
        admin.goto(f"/admin/{address.format(**places)}")
        if faults := serious(admin):
            found[address] = faults
    assert found == {}


def test_the_sign_in_has_no_serious_fault(page: Page) -> None:
    page.goto("/admin/")
    assert serious(page) == []


def test_the_first_stop_of_the_tab_key_leads_to_the_content(admin: Page) -> None:
    admin.keyboard.press("Tab")
    expect(admin.get_by_role("link", name="Skip to content")).to_be_focused()


def test_readers_hear_no_words_of_icons_and_what_each_select_is_for(admin: Page, places: dict[str, object]) -> None:
    admin.goto("/admin/tasks/task/")
    expect(admin.get_by_role("combobox", name=f"Status of task {places['task']}")).to_be_visible()
    heard = admin.locator("body").aria_snapshot()
    assert not any(icon in heard for icon in ("dock_to_right", "chevron_right", "unfold_more", "filter_list"))


def test_a_number_below_a_list_leads_to_its_page(admin: Page, user: Account) -> None:
    operations = [{"op": "create", "type": "task", "body": {"title": f"Task {n}"}} for n in range(100)]
    assert user.api.post("/api/me/batch", json={"operations": operations}).status_code == 200
    user.api.post("/api/me/tasks", json={"title": "One more"})
    admin.goto("/admin/tasks/task/")
    admin.locator("a", has_text="2").and_(admin.locator('[href="?p=2"]')).click()
    admin.wait_for_url("**/admin/tasks/task/?p=2")
