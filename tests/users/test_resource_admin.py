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
from tests.audited import events
from tests.factories import make_task, make_user
from tests.pages import open_page, send, signed_in
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


def test_a_resource_without_text_has_nothing_to_hide(
    viewer: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NoteAdmin, "resource", replace(NOTES, text=()))
    row = make_task(alice, title="Seen by all")
    for query in ("", f"{row.pk}/change/"):
        assert b"Seen by all" in viewer.get(f"{LIST}{query}").content
    assert events(action=Action.STAFF_READ) == []
