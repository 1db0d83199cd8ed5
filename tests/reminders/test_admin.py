"""Reminders in the admin: when they fire and what became of them, read-only and without text."""

import pytest
from django.contrib.auth.models import Permission

from tasks.reminders.models import Reminder
from tests.factories import make_task, make_user
from tests.pages import signed_in
from tests.reminders import DUE, HALF_AN_HOUR
from users.models import User

LIST = "/admin/reminders/reminder/"


@pytest.fixture
def support(db: None) -> User:
    """Who may see when something is reminded of, and no text."""
    user = make_user("support", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_reminder"))
    return user


def test_the_list_and_the_page_of_one(support: User, alice: User) -> None:
    task = make_task(alice, title="A secret title", due_at=DUE, reminders=HALF_AN_HOUR)
    row = Reminder.objects.get()
    staff = signed_in(support)
    for path in (LIST, f"{LIST}?state=waits", f"{LIST}{row.pk}/change/"):
        page = staff.get(path)
        assert page.status_code == 200
        text = page.content.decode()
        assert "2026-12-01 08:30" in text and str(task.pk) in text and "A secret title" not in text
    for state in ("sent", "missed"):
        assert "08:30" not in staff.get(f"{LIST}?state={state}").content.decode()


def test_nothing_can_be_changed(carol: User, alice: User) -> None:
    make_task(alice, due_at=DUE, reminders=HALF_AN_HOUR)
    row, staff = Reminder.objects.get(), signed_in(carol)
    for path in (f"{LIST}add/", f"{LIST}{row.pk}/delete/"):
        assert staff.post(path, {"post": "yes"}).status_code == 403
    assert staff.post(f"{LIST}{row.pk}/change/", {"uid": "x"}).status_code == 403
    assert Reminder.objects.get().uid == row.uid


def test_others_of_the_staff_do_not_see_it(alice: User) -> None:
    assert signed_in(make_user("staff", is_staff=True)).get(LIST).status_code == 403
