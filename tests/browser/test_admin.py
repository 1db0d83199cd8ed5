"""What staff does in the admin, and what an API client then sees."""

import base64
import time

import httpx
import pytest
from django_otp.oath import hotp
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESKTOP, PHONE, Account, make_staff, sign_in
from tests.factories import PASSWORD
from tests.server import Server

USERS, TASKS = "/admin/users/user/", "/admin/tasks/task/"


def open_from_menu(admin: Page, address: str) -> None:
    admin.locator(f'#nav-sidebar a[href="{address}"]').click()


def new_task(user: Account, **fields: object) -> str:
    """Its address."""
    answer = user.api.post("/api/me/tasks", json={"title": "A task", **fields})
    assert answer.status_code == 201
    return str(answer.url.join(answer.headers["Location"]))


def find(admin: Page, address: str, text: str) -> None:
    open_from_menu(admin, address)
    box = admin.locator("#changelist-search input[type=text], #changelist-search input[type=search]").first
    box.fill(text)
    box.press("Enter")
    expect(admin.locator("#result_list tbody")).to_have_count(1)


def run_action(admin: Page, name: str) -> None:
    admin.locator("#result_list .action-select").first.check()
    admin.get_by_label("Select action to run").select_option(label=name)
    admin.get_by_role("button", name="Run").click()


def code(secret: str, step: int) -> str:
    """What an authenticator app shows in that step (RFC 6238, section 4.2)."""
    return f"{hotp(base64.b32decode(secret.replace(' ', '')), step):06}"


def test_staff_signs_in_with_the_second_factor_and_ends_a_session(page: Page, server: Server, user: Account) -> None:
    staff = make_staff(server)
    sign_in(page, staff)
    page.locator("#nav-sidebar").get_by_text(staff).first.click()
    page.get_by_role("link", name="Second factor").click()
    secret = page.locator("#secret").inner_text()
    step = int(time.time()) // 30
    page.locator("#id_code").fill(code(secret, step))
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator("#recovery-codes li")).to_have_count(10)
    page.context.clear_cookies()
    sign_in(page, staff)
    page.locator("#id_code").fill(code(secret, step + 1))  # no code serves twice
    page.get_by_role("button", name="Continue").click()
    assert user.api.get("/api/users/me").status_code == 200
    find(page, USERS, user.email)
    page.get_by_role("link", name=user.email).click()
    page.get_by_role("button", name="End session").click()
    expect(page.get_by_text("The session has ended, and with it its tokens.")).to_be_visible()
    expect(page.get_by_role("button", name="End session")).to_have_count(0)
    assert user.api.get("/api/users/me").status_code == 401


def test_enter_in_a_field_saves_and_ends_no_session(admin: Page, user: Account) -> None:
    find(admin, USERS, user.email)
    admin.get_by_role("link", name=user.email).click()
    admin.get_by_label("Name").fill("Ada Lovelace")
    admin.get_by_label("Name").press("Enter")
    expect(admin.get_by_text("was changed successfully")).to_be_visible()
    assert user.api.get("/api/users/me").json()["name"] == "Ada Lovelace"


def test_staff_completes_a_task_and_a_client_sees_it(admin: Page, user: Account) -> None:
    task = new_task(user, title="Quarterly report")
    find(admin, TASKS, "quarterly REPORT")
    run_action(admin, "Complete")
    expect(admin.get_by_text("Completed: 1 task.")).to_be_visible()
    seen = user.api.get(task).json()
    assert (seen["completed"], seen["version"]) == (True, 2)
    user.api.delete(task)


def test_staff_changes_a_status_in_the_list(admin: Page, user: Account) -> None:
    task = new_task(user, title="Unusual errand")
    find(admin, TASKS, "unusual errand")
    admin.locator("#result_list select").first.select_option("in_progress")
    admin.get_by_role("button", name="Save").click()
    expect(admin.get_by_text("1 task was changed successfully.")).to_be_visible()
    assert user.api.get(task).json()["status"] == "in_progress"


def test_staff_restores_what_was_deleted(admin: Page, user: Account) -> None:
    task = new_task(user, title="Thrown away by mistake")
    assert user.api.delete(task).status_code == 204
    admin.goto("/admin/tasks/task/?deleted=yes&q=mistake")
    run_action(admin, "Restore")
    expect(admin.get_by_text("Restored: 1 task.")).to_be_visible()
    assert user.api.get(task).json()["title"] == "Thrown away by mistake"


def test_staff_undoes_what_a_client_did(admin: Page, user: Account) -> None:
    task = new_task(user, title="As it was meant")
    user.api.patch(task, json={"title": "As it was not"})
    admin.goto(f"{TASKS}{task.rpartition('/')[2]}/change/")
    admin.get_by_role("link", name="History").last.click()
    expect(admin.get_by_text("title: As it was meant → As it was not")).to_be_visible()
    admin.get_by_role("link", name="Undo").first.click()
    expect(admin.get_by_text("title: As it was not → As it was meant")).to_be_visible()
    admin.get_by_label("Reason").fill("The owner asked for it")
    admin.get_by_role("button", name="Undo").click()
    expect(admin.get_by_text("Undone: 1 task.")).to_be_visible()
    expect(admin.get_by_text("Undone by staff: The owner asked for it")).to_be_visible()
    assert user.api.get(task).json()["title"] == "As it was meant"
    user.api.delete(task)
    admin.goto("/admin/tasks/task/?deleted=yes&q=meant")
    admin.get_by_role("link", name="History").last.click()
    expect(admin.get_by_role("cell", name="Deleted")).to_be_visible()


def test_staff_deletes_all_of_a_long_list(admin: Page, server: Server) -> None:
    """More rows than Django takes fields of a form."""
    server.manage("seed_demo", "--users", "1", "--tasks", "1200")
    made = httpx.post(f"{server.base}/api/auth/login", json={"email": "demo1@example.com", "password": PASSWORD}).json()
    admin.goto(f"{TASKS}?user__id__exact={made['user']['id']}")
    admin.locator("#action-toggle").check()
    admin.get_by_role("link", name="Select all 1200 tasks").click()
    admin.get_by_label("Select action to run").select_option(label="Delete selected tasks")
    admin.get_by_role("button", name="Run").click()
    expect(admin.get_by_text("and 1,100 more")).to_be_visible()
    admin.get_by_role("button", name="Yes, I’m sure").click(timeout=60_000)  # until the next page is there
    expect(admin.get_by_text("Successfully deleted 1200 tasks.")).to_be_visible()
    own = {"Authorization": f"Bearer {made['access']}"}
    assert httpx.get(f"{server.base}/api/me/tasks", headers=own).json() == []


def test_a_filter_narrows_the_list(admin: Page, user: Account) -> None:
    new_task(user, title="Tagged", tags=["rare-tag"])
    new_task(user, title="Plain")
    admin.goto("/admin/tasks/task/")
    admin.locator("a", has_text="Filters").click()
    admin.locator("#filter-form [name=tag], [name=tag]").first.fill("rare-tag")
    admin.get_by_role("button", name="Apply").click()
    expect(admin.locator("#result_list tbody")).to_have_count(1)
    expect(admin.locator("#result_list")).to_contain_text("Tagged")


def test_an_owner_is_found_while_typing(admin: Page, user: Account) -> None:
    admin.goto("/admin/tasks/task/add/")
    admin.locator(".select2-selection").first.click()
    admin.locator(".select2-search__field").fill(user.email)
    admin.get_by_role("option", name=user.email).click()
    admin.get_by_label("Title").fill("From the admin")
    admin.get_by_role("button", name="Save", exact=True).click()
    expect(admin.get_by_text("was added successfully")).to_be_visible()
    assert [task["title"] for task in user.api.get("/api/me/tasks").json()] == ["From the admin"]


def test_the_dashboard_draws_and_tells_its_figures(admin: Page, user: Account) -> None:
    new_task(user)
    drawn = "() => [...document.querySelectorAll('canvas.chart')].filter((each) => Chart.getChart(each)).length"
    assert admin.evaluate(drawn) == admin.locator("canvas.chart").count() >= 1
    admin.locator("figure", has_text="Sign-ups per day").get_by_text("As a table").click()
    expect(admin.locator("figure", has_text="Sign-ups per day").get_by_role("table")).to_be_visible()
    admin.get_by_role("link", name="Open tasks").first.click()
    expect(admin.locator("#changelist")).to_be_visible()


def test_the_sidebar_stays_as_it_was_left(admin: Page) -> None:
    sidebar = admin.locator("#nav-sidebar")
    expect(sidebar).to_be_visible()
    admin.get_by_text("dock_to_right").first.click()
    expect(sidebar).to_be_hidden()
    admin.reload()
    expect(sidebar).to_be_hidden()


@pytest.mark.parametrize("looks", [(size, scheme) for size in (DESKTOP, PHONE) for scheme in ("light", "dark")])
def test_every_page_fits_its_window_and_its_colours(
    admin: Page, user: Account, looks: tuple[tuple[int, int], str]
) -> None:
    task = new_task(
        user, title="A title as long as people make them when nobody tells them to stop " * 2, tags=["x" * 50]
    )
    parent = user.api.post("/api/me/projects", json={"name": "Home " * 20}).json()["id"]
    project = user.api.post(
        "/api/me/projects", json={"name": "W" * 120, "parent_id": parent, "color": "#3366cc", "extra": {"a": "x" * 300}}
    ).json()
    changes = {
        "description": "x" * 300,
        "title": "Longer " * 25,
        "project_id": project["id"],
        "extra": {"a": "x" * 300},
    }
    user.api.patch(task, json=changes)
    user.api.delete(new_task(user, title="Gone"))
    number, own = task.rpartition("/")[2], user.api.get("/api/users/me").json()["id"]
    for address in (
        "", "users/user/", "users/user/add/", f"users/user/{own}/change/", f"users/user/{own}/password/",
        "tasks/task/", "tasks/task/add/", f"tasks/task/{number}/change/", f"tasks/task/{number}/delete/",
        f"tasks/task/{number}/history/", f"tasks/task/{number}/history/4/undo/", "tasks/task/?deleted=yes",
        "projects/project/", f"projects/project/?user__id__exact={own}", "projects/project/add/",
        f"projects/project/{project['id']}/change/", f"projects/project/{project['id']}/delete/",
        f"tasks/task/?project={project['id']}", "password_change/", "users/auditevent/", "users/session/",
        "auth/group/add/", "second-factor/enrol/",
    ):  # fmt: skip
        admin.goto(f"/admin/{address}")
        assert admin.evaluate("document.documentElement.scrollWidth") <= looks[0][0], address
        assert admin.evaluate("document.documentElement.classList.contains('dark')") is (looks[1] == "dark")


@pytest.mark.parametrize("looks", [(PHONE, "light")])
def test_a_phone_has_the_menu(admin: Page, server: Server) -> None:
    expect(admin.locator("#nav-sidebar")).to_be_hidden()
    admin.locator("span", has_text="dock_to_right").last.click()
    open_from_menu(admin, TASKS)
    admin.wait_for_url(f"{server.base}{TASKS}")
