"""The admin that a resource has for a few lines: here of a second declaration over the table of tasks."""

import datetime as dt
from dataclasses import replace

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import include, path

from tasks import services
from tasks.models import Task
from tasks.resource import TASKS
from tests.audited import events, only
from tests.factories import head_of, make_task, make_user
from tests.pages import open_page, send, signed_in, submit
from users.admin.resources import ResourceAdmin
from users.admin.site import AdminSite
from users.audit import Action
from users.models import User

NOTES = replace(TASKS, name="note", plural="notes", text=("title", "description"))


class NoteAdmin(ResourceAdmin):
    resource = NOTES
    list_display = ("title", "user", "description", "priority", "due_date", "created_at")
    list_editable = ("due_date",)
    list_filter = ("priority", *ResourceAdmin.list_filter)
    search_fields = ("title",)
    fieldsets = ((None, {"fields": ("user", "title", "description", "priority")}),)


site = AdminSite()
for model, registered in admin.site._registry.items():
    site.register(model, NoteAdmin if model is Task else type(registered))
urlpatterns = [path("admin/second-factor/", include("users.admin.urls")), path("admin/", site.urls)]

LIST = "/admin/tasks/task/"

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


@pytest.fixture
def staff(carol: User) -> Client:
    return signed_in(carol)


@pytest.fixture
def viewer() -> Client:
    """Who may read no text."""
    user = make_user(is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_task"))
    return signed_in(user)


def test_its_rows_are_added_changed_deleted_and_restored(staff: Client, alice: User) -> None:
    submit(staff, f"{LIST}add/", user=str(alice.pk), title="New", description="a\r\nb")
    row = Task.objects.get()
    submit(staff, f"{LIST}{row.pk}/change/", title="Changed")
    chosen = {"_selected_action": str(row.pk), "index": "0"}
    assert (
        "Successfully deleted 1 task."
        in send(staff, LIST, {"action": "delete_selected", "post": "yes", **chosen}).messages
    )
    assert "Restored: 1 task." in send(staff, f"{LIST}?deleted=yes", {"action": "restore", **chosen}).messages
    row.refresh_from_db()
    assert (row.title, row.user, row.version, row.deleted_at, head_of(alice)) == ("Changed", alice, 4, None, 4)
    assert only(Action.STAFF_CHANGED).details == {"fields": {"title": None}}


@pytest.mark.parametrize(("meanwhile", "said"), [(dt.date(2026, 1, 2), "2026-01-02"), (None, "empty")])
def test_what_has_changed_since_its_list_was_shown_is_not_overwritten(
    staff: Client, alice: User, meanwhile: dt.date | None, said: str
) -> None:
    row = make_task(alice, due_date=dt.date(2026, 1, 1))
    fields = {**open_page(staff, LIST).fields, "_save": "Save"}
    services.update_task(alice, row.pk, {"due_date": meanwhile})
    assert send(staff, LIST, dict(fields)).errors == ""  # shown, and left
    page = send(staff, LIST, {**fields, "form-0-due_date": "2026-01-03"})
    assert f"Meanwhile it has become “{said}”; choose again." in page.errors
    row.refresh_from_db()
    assert (row.due_date, row.version) == (meanwhile, 2)


def test_a_page_of_its_list_is_one_event_that_names_its_rows(staff: Client, alice: User) -> None:
    rows = [make_task(alice), make_task(alice)]
    assert staff.get(LIST).status_code == 200
    details = {"page": "list", "notes": [row.pk for row in reversed(rows)], "users": [alice.pk]}
    assert only(Action.STAFF_READ).details == details
    staff.get(f"{LIST}{rows[0].pk}/change/")
    assert events(action=Action.STAFF_READ)[-1].details == {"page": "note"}


def test_its_text_is_for_those_with_the_permission_alone(viewer: Client, alice: User) -> None:
    row = make_task(alice, title="Secret one", description="Secret two")
    services.delete_task(alice, make_task(alice, title="Secret three").pk)
    for query in ("", "?deleted=yes", "?o=1", "?q=Secret", f"{row.pk}/change/"):
        page = viewer.get(f"{LIST}{query}")
        assert (page.status_code, b"Secret " in page.content) == (200, False), query
    assert f"Task {row.pk}" in viewer.get(LIST).content.decode()
    for lookup in ("title__startswith", "description__contains", "search_text__contains"):
        assert viewer.get(f"{LIST}?{lookup}=Secret").status_code == 400
    assert events(action=Action.STAFF_READ) == []


def test_a_resource_without_text_has_nothing_to_hide(
    viewer: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NoteAdmin, "resource", replace(NOTES, text=()))
    row = make_task(alice, title="Seen by all")
    for query in ("", f"{row.pk}/change/"):
        assert b"Seen by all" in viewer.get(f"{LIST}{query}").content
    assert events(action=Action.STAFF_READ) == []


def test_its_actions_go_by_owner(staff: Client, alice: User, bob: User) -> None:
    """So that two transactions lock feeds in one order."""
    rows = [make_task(user) for user in (alice, bob, alice)]
    for row in rows:
        services.delete_task(row.user, row.pk)
    send(staff, f"{LIST}?deleted=yes", {"action": "restore", "_selected_action": [str(row.pk) for row in rows]})
    ran = [event.object_id for event in events(action=Action.STAFF_RAN)]
    assert ran == [str(rows[number].pk) for number in (0, 2, 1)]
