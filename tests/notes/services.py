"""Every write to notes."""

from collections.abc import Collection
from typing import Any

from tests.notes.models import Note
from users.resources import operations, writes
from users.tokens.callers import Actor


def create_note(user: Actor, **fields: Any) -> Note:
    return writes.insert(user, Note, fields)


def update_note(
    user: Actor, note_id: int, changes: dict[str, Any], *, expected_version: Collection[int] | None = None
) -> Note:
    return writes.change(user, Note, note_id, lambda note: changes, expected_version)


def delete_note(user: Actor, note_id: int, *, expected_version: Collection[int] | None = None) -> Note:
    return writes.bury(user, Note, note_id, expected_version)


def delete_notes(user: Actor, note_ids: Collection[int]) -> list[Note]:
    return operations.bury(user, Note, note_ids)


def restore_note(user: Actor, note_id: int, *, expected_version: Collection[int] | None = None) -> Note:
    return writes.revive(user, Note, note_id, expected_version)


def restore_notes(user: Actor, note_ids: Collection[int]) -> list[Note]:
    return operations.revive(user, Note, note_ids)
