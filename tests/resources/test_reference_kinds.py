"""What becomes of rows whose target goes to the trash: they go along, are cleared, or hold it back."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from config.errors import Invalid
from tasks.projects import services as projects
from tests.factories import head_of, make_project
from tests.notes import remarks, services
from tests.notes.models import Note, Remark
from tests.notes.resource import NOTES, REMARKS
from tests.problems import stored
from tests.resources.declared import installed
from users.models import Change, User
from users.resources.errors import InTrash, StillReferred
from users.resources.pruning import cut_log, empty_trash, prune_tombstones
from users.resources.undo import ChangedSince, undo


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    with installed(NOTES), installed(REMARKS):
        yield


def operation_of(user: User) -> list[tuple[str, int, str]]:
    """The entries of the last operation."""
    entries = Change.objects.filter(user=user, operation=head_of(user)).order_by("version")
    return [(entry.type, entry.object_id, entry.kind) for entry in entries]


def is_gone(*rows: Any) -> list[bool]:
    return [type(row).objects.get(pk=row.pk).deleted_at is not None for row in rows]


def test_deletion_cascades_to_the_third_level_as_one_operation(alice: User) -> None:
    project = make_project(alice)
    note = services.create_note(alice, title="A", project_id=project.pk)
    remark = remarks.create_remark(alice, note_id=note.pk)
    deleted = projects.delete_project(alice, project.pk)
    assert operation_of(alice) == [
        ("project", project.pk, "deleted"),
        ("note", note.pk, "deleted"),
        ("remark", remark.pk, "deleted"),
    ]
    projects.restore_project(alice, project.pk)
    assert is_gone(project, note, remark) == [False] * 3
    undo(alice, head_of(alice))
    assert is_gone(project, note, remark) == [True] * 3
    undo(alice, deleted.operation)
    assert is_gone(project, note, remark) == [False] * 3
    assert Note.objects.get().project_id == project.pk


def test_a_reference_is_cleared_and_the_row_stays(alice: User) -> None:
    project, note = make_project(alice), services.create_note(alice, title="A")
    remark = remarks.create_remark(alice, note_id=note.pk, project_id=project.pk)
    deleted = projects.delete_project(alice, project.pk)
    assert operation_of(alice) == [("project", project.pk, "deleted"), ("remark", remark.pk, "updated")]
    assert (is_gone(remark), Remark.objects.get().project_id) == ([False], None)
    undo(alice, deleted.operation)
    assert Remark.objects.get().project_id == project.pk


def test_what_is_referred_to_stays(alice: User) -> None:
    note, source = (services.create_note(alice, title=title) for title in "AB")
    remark = remarks.create_remark(alice, note_id=note.pk, source_id=source.pk)
    before = stored()
    with pytest.raises(StillReferred, match="1 remarks refer to it") as refused:
        services.delete_note(alice, source.pk)
    assert (refused.value.status, refused.value.code) == (409, "still_referred")
    with pytest.raises(StillReferred):
        services.delete_notes(alice, [note.pk, source.pk][1:])
    assert stored() == before
    remarks.delete_remark(alice, remark.pk)
    services.delete_note(alice, source.pk)
    restored = remarks.restore_remark(alice, remark.pk)
    assert restored.source_id is None


def test_what_requires_a_row_in_the_trash_waits_for_it(alice: User) -> None:
    note = services.create_note(alice, title="A")
    remark = remarks.create_remark(alice, note_id=note.pk)
    services.delete_note(alice, note.pk)
    before = stored()
    with pytest.raises(InTrash):
        remarks.restore_remark(alice, remark.pk)
    assert stored() == before
    services.restore_note(alice, note.pk)
    assert is_gone(note, remark) == [False, False]


def test_what_is_required_cannot_be_null(alice: User) -> None:
    note = services.create_note(alice, title="A")
    remark = remarks.create_remark(alice, note_id=note.pk)
    with pytest.raises(Invalid, match="A remark has a note"):
        remarks.create_remark(alice)
    with pytest.raises(Invalid, match="A remark has a note"):
        remarks.update_remark(alice, remark.pk, {"note_id": None})
    assert Remark.objects.get().note_id == note.pk


def test_an_undo_that_would_leave_a_reference_to_the_trash_is_refused(alice: User) -> None:
    note = services.create_note(alice, title="A")
    remark = remarks.create_remark(alice, note_id=note.pk)
    before = stored()
    with pytest.raises(ChangedSince) as refused:
        undo(alice, note.operation)
    assert refused.value.conflicts == {("remark", remark.pk): ["note_id"]}
    assert stored() == before


def test_what_requires_a_removed_tombstone_is_removed_and_other_references_become_null(alice: User) -> None:
    project = make_project(alice)
    note = services.create_note(alice, title="A", project_id=project.pk)
    remark = remarks.create_remark(alice, note_id=note.pk)
    kept = services.create_note(alice, title="B", project_id=project.pk)
    projects.delete_project(alice, project.pk)
    for model in (type(project), Note):
        sum(empty_trash(model, timezone.now()))
    sum(cut_log(timezone.now()))
    assert sum(prune_tombstones(type(project))) == 1
    assert Note.objects.get(pk=kept.pk).project_id is None
    assert sum(prune_tombstones(Note)) >= 2
    assert not Remark.objects.filter(pk=remark.pk).exists()
