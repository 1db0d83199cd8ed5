"""The history page of every resource's rows, and who may see what of it."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.audited import events
from tests.factories import caller_of, head_of, make_user
from tests.pages import send, signed_in
from tests.resources.declared import example, label, make, named, rename, takes, text_of
from tests.resources.history import REASON, dids, entries, staff_with, undo_page
from users import services
from users.admin.history import MAX_SHOWN, PER_PAGE
from users.audit import Action
from users.models import Change, Session, User
from users.resources import writes
from users.resources.resource import Resource

pytestmark = pytest.mark.thorough


def test_the_history_tells_who_changed_what_newest_first(
    resource: Resource, rows: str, staff: Client, alice: User, carol: User
) -> None:
    row = make(resource, alice, **{**example(resource), label(resource): "First"})
    caller = caller_of(alice)
    Session.objects.update(user_agent="Tickbase for Android")
    resource.update(caller, row.pk, {label(resource): "Second"})
    send(staff, rows, {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"})
    found = entries(staff, f"{rows}{row.pk}/history/")
    field: Any = resource.model._meta.get_field(label(resource))
    assert [entry["did"] for entry in found] == ["Deleted", "Updated", "Created"]
    assert [entry["actor"] for entry in found] == [
        f"{carol.email} (staff)",
        "the owner, with Tickbase for Android",
        "a command",
    ]
    assert [entry["members"].get(field.verbose_name) for entry in found] == [None, ("First", "Second"), ("", "First")]
    assert all(entry["undo"] for entry in found)


def test_who_is_gone_is_still_told_apart(resource: Resource, rows: str, staff: Client, alice: User) -> None:
    row, caller, former = make(resource, alice), caller_of(alice), make_user(is_staff=True, is_superuser=True)
    resource.update(caller, row.pk, {label(resource): "Second"})
    send(signed_in(former), rows, {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"})
    Session.objects.all().delete()
    services.delete_account(former)
    Change.objects.filter(kind="created").update(actor="another version")
    actors = [entry["actor"] for entry in entries(staff, f"{rows}{row.pk}/history/")]
    assert actors == ["staff whose account is gone", "the owner, in a session that has ended", "another version"]


def test_the_device_is_for_those_who_see_sessions(resource: Resource, rows: str, alice: User) -> None:
    row, caller = make(resource, alice), caller_of(alice)
    Session.objects.update(user_agent="Tickbase for Android")
    resource.update(caller, row.pk, {label(resource): "Second"})
    view = f"view_{resource.model._meta.model_name}"
    actors = [
        entries(client, f"{rows}{row.pk}/history/")[0]["actor"]
        for client in (staff_with(view), staff_with(view, "view_session"))
    ]
    assert actors == ["the owner, in a session", "the owner, with Tickbase for Android"]


def test_the_history_has_pages(resource: Resource, rows: str, staff: Client, alice: User) -> None:
    row = make(resource, alice)
    for number in range(PER_PAGE):
        rename(resource, row, f"Name {number}")
        make(resource, alice)
    first = staff.get(f"{rows}{row.pk}/history/")
    older = staff.get(f"{rows}{row.pk}/history/{first.context['older']}")
    assert [len(page.context["entries"]) for page in (first, older)] == [PER_PAGE, 1]
    assert [entry.did for entry in older.context["entries"]] == ["Created"]
    assert (older.context["older"], "Newest" in older.content.decode()) == ("", True)


@pytest.mark.parametrize("start", ["0", "x", "-1", "9" * 40, "2", "%00", "²"])
def test_a_page_that_begins_nowhere_is_no_server_error(
    resource: Resource, rows: str, staff: Client, alice: User, start: str
) -> None:
    row, other = make(resource, alice, **named(resource, "Mine")), make(resource, alice, **named(resource, "Other"))
    page = staff.get(f"{rows}{row.pk}/history/?from={start}")
    assert (page.status_code, "Other" in page.content.decode(), other.version) == (200, False, 2)


def test_the_history_of_a_row_in_the_trash_is_linked_there(
    resource: Resource, rows: str, staff: Client, alice: User
) -> None:
    row = make(resource, alice)
    path = f"{rows}{row.pk}/history/"
    assert path not in staff.get(rows).content.decode()
    resource.delete(alice, row.pk)
    assert path in staff.get(f"{rows}?deleted=yes").content.decode()
    assert dids(staff, path) == ["Deleted", "Created"]


def test_of_an_erased_row_only_the_kinds_are_left(resource: Resource, rows: str, staff: Client, alice: User) -> None:
    row = make(resource, alice, **named(resource, "Secret"))
    resource.delete(alice, row.pk)
    writes.erase(alice, [resource.model.objects.all()])
    found = entries(staff, f"{rows}{row.pk}/history/")
    assert [(entry["did"], entry["members"], entry["undo"]) for entry in found] == [
        ("Erased", {}, False), ("Deleted", {}, False), ("Created", {}, False),
    ]  # fmt: skip
    assert staff.get(f"{rows}?deleted=yes").context["cl"].result_count == 0  # nothing to restore


def test_a_row_from_before_the_log_has_no_entries(resource: Resource, rows: str, staff: Client, alice: User) -> None:
    row = make(resource, alice)
    Change.objects.all().delete()
    page = staff.get(f"{rows}{row.pk}/history/")
    assert (page.context["entries"], "The log has no changes of it." in page.content.decode()) == ([], True)


def test_values_are_shown_as_text_and_cut_off(resource: Resource, rows: str, staff: Client, alice: User) -> None:
    row = make(resource, alice, **named(resource, "<b>Bold</b>"))
    long = [name for name in resource.text if takes(resource, name, "y" * (MAX_SHOWN + 1))]
    resource.update(alice, row.pk, dict.fromkeys(long, "y" * (MAX_SHOWN + 1)))
    page = staff.get(f"{rows}{row.pk}/history/").content.decode()
    assert ("&lt;b&gt;Bold&lt;/b&gt;" in page, "<b>Bold" in page, "y" * MAX_SHOWN in page) == (True, False, False)
    assert ("y" * (MAX_SHOWN - 1) + "…" in page) == bool(long)  # there may be none


@pytest.mark.parametrize("reads", [False, True])
def test_a_column_that_was_dropped_or_changed_since_is_shown_as_text(
    resource: Resource, rows: str, alice: User, reads: bool
) -> None:
    """To staff who may read text, as the column may have held some."""
    row, name = make(resource, alice), resource.model._meta.model_name
    entry = Change.objects.for_user(alice).filter(version=1)
    entry.update(diff={"gone": [None, "Secret"], "erased_at": ["x", {"y": 1}]}, kind="updated")
    client = staff_with(f"view_{name}", f"change_{name}", *([f"view_{resource.name}_text"] if reads else []))
    for path in (f"{rows}{row.pk}/history/", undo_page(rows, row, 1)):
        page = client.get(path)
        assert (page.status_code, "gone" in page.content.decode()) == (200, True)
        assert ("Secret" in page.content.decode()) is reads


def test_the_history_shows_what_the_audit_tells(resource: Resource, rows: str, staff: Client, alice: User) -> None:
    row = make(resource, alice)
    staff.get(f"{rows}{row.pk}/change/")
    page = staff.get(f"{rows}{row.pk}/history/").content.decode()
    assert page.count("Text read by staff") == 1  # that of before
    assert [event.details for event in events(action=Action.STAFF_READ)][-1] == {"page": "history"}


def test_the_history_takes_as_many_queries_for_20_entries_as_for_2(
    resource: Resource, rows: str, staff: Client, alice: User
) -> None:
    row, counts = make(resource, alice), []
    staff.get(f"{rows}{row.pk}/change/")  # so that the audit has something to tell
    for more in (1, 18):
        for number in range(more):
            resource.update(caller_of(alice), row.pk, {label(resource): f"Name {number} of {more}"})
        with CaptureQueriesContext(connection) as queries:
            shown = len(staff.get(f"{rows}{row.pk}/history/").context["entries"])
        counts.append((shown, len(queries)))
    assert counts == [(2, counts[0][1]), (20, counts[0][1])]


# --- Who may -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("permissions", "history", "reads", "undoes"),
    [
        ((), 403, False, False),
        (("view_{}_text",), 403, False, False),
        (("view_{}",), 200, False, False),
        (("view_{}", "view_{}_text"), 200, True, False),
        (("view_{}", "change_{}"), 200, False, True),
        (("change_{}", "view_{}_text"), 200, True, True),
    ],
    ids=["nothing", "text alone", "view", "view and text", "change", "change and text"],
)
def test_what_a_permission_shows(
    resource: Resource, rows: str, alice: User, permissions: tuple[str, ...], history: int, reads: bool, undoes: bool
) -> None:
    row = make(resource, alice, **named(resource, "Secret one"))
    rename(resource, row, "Secret two")
    names = (resource.name if each.endswith("_text") else resource.model._meta.model_name for each in permissions)
    client = staff_with(*(each.format(name) for each, name in zip(permissions, names, strict=True)))
    for path, status in [
        (f"{rows}{row.pk}/history/", history),
        (undo_page(rows, row, 2), 200 if undoes else 403),
        (f"{rows}0/history/", 302 if history == 200 else 403),
    ]:
        page = client.get(path)
        content = page.content.decode()
        assert (page.status_code, "Secret" in content) == (status, reads and page.status_code == 200), path
        assert label(resource).replace("_", " ") in content or status != 200
    assert client.get(f"{rows}{row.pk}/history/").content.decode().count("/undo/") == (2 if undoes else 0)
    assert bool(events(action=Action.STAFF_READ)) is reads
    answer = client.post(undo_page(rows, row, 2), {"reason": REASON})
    assert (answer.status_code, text_of(resource, row)) == ((302, "Secret one") if undoes else (403, "Secret two"))


def test_strangers_are_sent_to_sign_in(resource: Resource, rows: str, client: Client, alice: User) -> None:
    row = make(resource, alice)
    for path in (f"{rows}{row.pk}/history/", undo_page(rows, row, 1)):
        assert (client.get(path).status_code, client.post(path, {"reason": REASON}).status_code) == (302, 302)
        assert signed_in(alice).get(path).status_code == 302
    assert head_of(alice) == 1


def test_undo_needs_the_token_of_its_form(resource: Resource, rows: str, carol: User, alice: User) -> None:
    row, client = make(resource, alice), Client(enforce_csrf_checks=True)
    client.force_login(carol)
    assert client.post(undo_page(rows, row, 1), {"reason": REASON}).status_code == 403
    assert head_of(alice) == 1
