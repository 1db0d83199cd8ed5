"""Undo by staff, from the history page of every resource's rows."""

import re

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from tasks.models import Task
from tasks.resource import TASKS
from tests.audited import events, only
from tests.factories import head_of
from tests.notes.resource import NOTES
from tests.pages import open_page
from tests.resources.declared import installed, label, make, named, rename, text_of, words
from tests.resources.history import REASON, dids, entries, staff_with, undo_it, undo_page
from users.admin.history import MAX_REASON, PER_PAGE
from users.audit import Action
from users.models import Change, Feed, Kind, User
from users.resources import feed, operations, undo, writes
from users.resources.log import RowChange
from users.resources.models import OwnedModel
from users.resources.resource import Resource

pytestmark = pytest.mark.thorough


def test_staff_undoes_a_change_with_a_reason(
    resource: Resource, rows: str, staff: Client, alice: User, carol: User
) -> None:
    row = make(resource, alice, **named(resource, "Before"))
    rename(resource, row, "After")
    asked = staff.get(undo_page(rows, row, 2)).content.decode()
    assert re.search(r">After</span> →\s+Before", asked)
    page = undo_it(staff, rows, row, 2, f"  {REASON}  ")
    assert f"Undone: 1 {words(resource)}." in page.messages
    assert text_of(resource, row) == "Before"
    entry = Change.objects.get(version=3)
    assert (entry.kind, entry.undoes, entry.actor) == ("undone", 2, f"staff:{carol.pk}")
    event = only(Action.STAFF_UNDID)
    assert (event.actor_id, event.subject_id, event.object_id) == (carol.pk, alice.pk, str(row.pk))
    assert event.details == {"operation": 2, "reason": REASON, "changed": {resource.name: [row.pk]}}


def test_what_is_undone_has_no_button_until_it_is_redone(
    resource: Resource, rows: str, staff: Client, alice: User
) -> None:
    row = make(resource, alice)
    rename(resource, row, "After")
    history = f"{rows}{row.pk}/history/"
    undo_it(staff, rows, row, 2)
    found = [(entry["did"], entry["undo"]) for entry in entries(staff, history)]
    assert found == [("Undid operation 2", True), ("Updated", False), ("Created", True)]
    undo_it(staff, rows, row, 3)
    assert [entry["undo"] for entry in entries(staff, history)] == [True, False, True, True]
    assert f"Undone by staff: {REASON}" in staff.get(history).content.decode()


def test_undone_is_known_on_an_older_page(resource: Resource, rows: str, staff: Client, alice: User) -> None:
    row = make(resource, alice)
    rename(resource, row, "After")
    undo.undo(alice, 2)
    for number in range(PER_PAGE):
        rename(resource, row, f"Name {number}")
    older = entries(staff, f"{rows}{row.pk}/history/?from=3")
    assert [(entry["did"], entry["undo"]) for entry in older] == [
        ("Undid operation 2", True), ("Updated", False), ("Created", True),
    ]  # fmt: skip


def test_undoing_a_creation_and_a_deletion_moves_the_row(
    resource: Resource, rows: str, staff: Client, alice: User
) -> None:
    row = make(resource, alice)
    assert re.search(r"</a>\s+to the trash", staff.get(undo_page(rows, row, 1)).content.decode())
    undo_it(staff, rows, row, 1)
    row.refresh_from_db()
    assert row.deleted_at is not None
    assert re.search(r"</a>\s+back from the trash", staff.get(undo_page(rows, row, 2)).content.decode())
    undo_it(staff, rows, row, 2)
    row.refresh_from_db()
    assert row.deleted_at is None
    did = ["Undid operation 2, back from the trash", "Undid operation 1, to the trash", "Created"]
    assert dids(staff, f"{rows}{row.pk}/history/") == did


def test_undoing_takes_back_all_that_the_operation_did(
    resource: Resource, rows: str, staff: Client, alice: User
) -> None:
    both = [make(resource, alice, **named(resource, f"Name {number}")) for number in range(2)]
    resource.delete_many(alice, [row.pk for row in both])
    asked = staff.get(undo_page(rows, both[0], 4)).content.decode()
    assert ("Name 0" in asked, "Name 1" in asked) == (True, True)
    read = events(action=Action.STAFF_READ)[-1].details
    assert (read["page"], sorted(read[resource.plural])) == ("undo", [row.pk for row in both])
    assert f"Undone: 2 {words(resource, plural=True)}." in undo_it(staff, rows, both[0], 4).messages
    assert resource.model.objects.visible().count() == 2
    assert only(Action.STAFF_UNDID).details["changed"] == {resource.name: [row.pk for row in both]}


@pytest.mark.parametrize("reason", ["", "   ", "\u200b", "x" * (MAX_REASON + 1), "nul\0"])
def test_a_reason_is_required(resource: Resource, rows: str, staff: Client, alice: User, reason: str) -> None:
    row = make(resource, alice)
    page = undo_it(staff, rows, row, 1, reason)
    assert (page.errors != "", head_of(alice), events(action=Action.STAFF_UNDID)) == (True, 1, [])


def test_what_has_changed_since_is_named(resource: Resource, rows: str, staff: Client, alice: User) -> None:
    row = make(resource, alice)
    rename(resource, row, "After")
    rename(resource, row, "Secret")
    page = undo_it(staff, rows, row, 2)
    assert "Nothing was undone. Something has changed since" in page.messages
    assert f"It is about {resource.name} {row.pk} ({label(resource)})." in page.messages
    assert (head_of(alice), events(action=Action.STAFF_UNDID)) == (3, [])
    assert "Secret" not in page.messages


@pytest.mark.parametrize("operation", [2, 4, 10**30])
def test_an_operation_that_is_not_of_the_row_is_a_message(
    resource: Resource, rows: str, staff: Client, alice: User, operation: int
) -> None:
    row, other = make(resource, alice), make(resource, alice)
    assert other.version == 2
    for page in (open_page(staff, undo_page(rows, row, operation)), undo_it(staff, rows, row, operation)):
        assert "Nothing was undone. Its owner has no operation with this number that changed it." in page.messages
    assert head_of(alice) == 2


def test_what_the_log_has_forgotten_is_a_message(resource: Resource, rows: str, staff: Client, alice: User) -> None:
    row = make(resource, alice)
    rename(resource, row, "After")
    Feed.objects.update(floor=1)
    assert [entry["undo"] for entry in entries(staff, f"{rows}{row.pk}/history/")] == [True, False]
    Change.objects.filter(version=1).delete()
    assert dids(staff, f"{rows}{row.pk}/history/") == ["Updated"]
    assert "Nothing was undone. The log does not reach back so far." in undo_it(staff, rows, row, 1).messages


def test_what_was_erased_is_a_message(resource: Resource, rows: str, staff: Client, alice: User) -> None:
    row = make(resource, alice)
    resource.delete(alice, row.pk)
    writes.erase(alice, [resource.model.objects.all()])
    for operation in (1, 3):
        page = undo_it(staff, rows, row, operation)
        assert "Nothing was undone. What was erased cannot be brought back." in page.messages
    assert head_of(alice) == 3


def test_a_row_that_is_gone_is_a_message(resource: Resource, rows: str, staff: Client) -> None:
    for row_id in ("0", "x", "9" * 30, "%00"):
        for page in ("history", "history/1/undo"):
            assert "Perhaps it was deleted?" in open_page(staff, f"{rows}{row_id}/{page}/").messages


@pytest.mark.parametrize("may_change_tasks", [False, True])
def test_an_operation_upon_several_resources_needs_the_permission_of_each(alice: User, may_change_tasks: bool) -> None:
    """Of whose text, too, only that is shown which one may read."""
    rows, both = "/admin/notes/note/", ["view_note", "change_note", "view_note_text"]
    client = staff_with(*both, "change_task") if may_change_tasks else staff_with(*both)
    with installed(NOTES):
        task, note = make(TASKS, alice, title="Secret task"), make(NOTES, alice, title="Secret note")
        _delete_together(alice, task, note)
        asked = client.get(undo_page(rows, note, 4), follow=True).content.decode()
        shown = [text in asked for text in ("Secret note", f"Task {task.pk}", "Secret task")]
        page = undo_it(client, rows, note, 4)
        assert Task.objects.visible().count() == NOTES.model.objects.visible().count() == int(may_change_tasks)
    assert shown == [True, may_change_tasks, False]
    message = "Undone: 1 task and 1 note." if may_change_tasks else "It also changed tasks, which you may not change."
    assert message in page.messages
    assert {event.object_type for event in events(action=Action.STAFF_READ)} == {"notes.note"}


def _delete_together(user: User, *rows: OwnedModel) -> None:
    now, changes = timezone.now(), []
    for row in rows:
        row.deleted_at = now
        changes.append(RowChange(row, Kind.DELETED, {"deleted_at": (None, now)}))
    with transaction.atomic():
        operations.store(user, feed.lock(user), changes, now)
