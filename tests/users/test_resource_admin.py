"""The admin that a resource has for a few lines: here of a second declaration over the table of tasks."""

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
from tests.pages import send, signed_in, submit
from users.admin.resources import ResourceAdmin
from users.admin.site import AdminSite
from users.audit import Action
from users.models import User

NOTES = replace(TASKS, name="note", plural="notes", text=("title", "description"))


class NoteAdmin(ResourceAdmin):
    resource = NOTES
    list_display = ("title", "user", "description", "priority", "created_at")
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
