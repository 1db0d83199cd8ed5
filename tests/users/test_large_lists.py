"""Lists of tables that are too large to count, sort or search while somebody waits."""

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from pytest_django import Settings

from config.admin import lists
from tests.factories import make_task, make_user
from tests.pages import open_page, signed_in
from users.admin import resources
from users.models import User

pytestmark = pytest.mark.thorough

TASKS = "/admin/tasks/task/"


@pytest.fixture
def staff(carol: User) -> Client:
    return signed_in(carol)


@pytest.fixture
def large(alice: User, bob: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve rows are many."""
    for name in "abcdef":
        make_task(alice, title=f"{name} of hers")
        make_task(bob, title=f"{name} of his")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tasks_task")
    monkeypatch.setattr(lists, "LARGE", 10)


def titles(staff: Client, query: str) -> list[str]:
    return [task.title for task in staff.get(f"{TASKS}?{query}").context["cl"].result_list]


def test_more_than_can_be_listed_are_estimated(staff: Client, large: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MAX_LISTED", 10)
    page = staff.get(TASKS)
    text = " ".join(page.content.decode().split())
    assert (page.context["cl"].result_count, page.context["cl"].paginator.total) == (10, "about 12")
    assert "about 12 tasks; narrow the list down to see more than the first 10" in text
    assert "Show all" not in text
    assert "10 tasks" not in " ".join(staff.get(f"{TASKS}?q=hers").content.decode().split())


def test_no_page_is_beyond_what_is_listed(staff: Client, large: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MAX_LISTED", 10)
    monkeypatch.setattr("users.admin.resources.ResourceAdmin.list_per_page", 5)
    assert [staff.get(f"{TASKS}?p={page}").status_code for page in (1, 2, 3)] == [200, 200, 302]


def test_all_are_selected_only_where_an_action_takes_them(
    staff: Client, large: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("users.admin.resources.ResourceAdmin.list_per_page", 5)
    assert b"Select all 12 tasks" in staff.get(TASKS).content
    settings.ADMIN_ACTION_ROWS = 11
    assert b"Select all 12" not in staff.get(TASKS).content


def test_a_large_list_is_sorted_and_parted_by_dates_for_one_owner_alone(staff: Client, large: None, bob: User) -> None:
    newest = ["f of his", "f of hers", "e of his"]
    assert titles(staff, "o=1")[:3] == newest
    assert titles(staff, f"o=1&user__id__exact={bob.pk}")[:2] == ["a of his", "b of his"]
    everybody, own = (staff.get(f"{TASKS}?{query}") for query in ("", f"user__id__exact={bob.pk}"))
    assert (b"?o=" in everybody.content, everybody.context["cl"].date_hierarchy) == (False, None)
    assert (b"o=1" in own.content, own.context["cl"].date_hierarchy) == (True, "created_at")


def test_text_is_searched_for_in_the_latest_rows_of_a_large_list(
    staff: Client, large: None, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "SEARCHED", 4)
    assert titles(staff, "q=hers") == ["f of hers", "e of hers"]
    assert "filter by an owner" in open_page(staff, f"{TASKS}?q=hers").messages
    assert len(titles(staff, f"q=hers&user__id__exact={alice.pk}")) == 6


# --- Search by what is no text ------------------------------------------------------------------------


@pytest.mark.parametrize("held", [["view_task"], ["view_task", "view_task_text"]])
def test_tasks_are_found_by_id_uid_and_owner(alice: User, bob: User, held: list[str]) -> None:
    member = make_user(is_staff=True)
    member.user_permissions.set(Permission.objects.filter(codename__in=held))
    client, task = signed_in(member), make_task(alice, title="One", uid="from-a-phone")
    make_task(bob, title="Two")
    for term in (task.pk, "from-a-phone", alice.email, alice.email.upper()):
        assert titles(client, f"q={term}") == ["One"], term
    for term in ("from-a", "0", "9" * 30, "nobody@example.com", f"{task.pk} "[::-1]):
        assert titles(client, f"q={term}") in ([], ["One"]), term
    assert titles(client, "q=One") == (["One"] if "view_task_text" in held else [])


@pytest.mark.parametrize("path", ["session", "user"])
def test_accounts_and_their_sessions_are_found_by_id_and_name(staff: Client, alice: User, path: str) -> None:
    issued = {"issuer": "https://login.example.com", "subject": "u-17"}
    external = User.objects.create(name="Outside", email="o@example.com", email_canonical=None, **issued)
    for user in (alice, external):
        user.sessions.create(created_at=user.created_at, last_used_at=user.created_at)
    for user, terms in ((alice, (alice.pk, alice.email)), (external, (external.pk, "u-17", "outside", "o@example"))):
        for term in terms:
            found = staff.get(f"/admin/users/{path}/?q={term}").context["cl"].result_list
            assert user.pk in {getattr(each, "user_id", each.pk) for each in found}, term
    session = alice.sessions.get()
    found = staff.get(f"/admin/users/session/?q={session.pk}").context["cl"].result_list
    assert [each.pk for each in found] == [session.pk]
