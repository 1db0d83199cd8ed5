"""Every write to notes."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tests.notes.models import Note
from users.resources import writes
from users.tokens.callers import Actor


def create_note(user: Actor, **fields: Any) -> Note:
    return writes.insert(user, Note, fields)


def create_notes(user: Actor, rows: Sequence[Mapping[str, Any]]) -> list[Note]:
    return writes.insert_many(user, Note, rows)


def update_note(
    user: Actor, note_id: int, changes: dict[str, Any], *, expected_version: Collection[int] | None = None
) -> Note:
    return writes.change_family(user, Note, note_id, changes, expected_version)


def delete_note(user: Actor, note_id: int, *, expected_version: Collection[int] | None = None) -> Note:
    return writes.delete(user, Note, note_id, expected_version)


def delete_notes(user: Actor, note_ids: Collection[int]) -> list[Note]:
    return writes.delete_many(user, Note, note_ids)


def restore_note(user: Actor, note_id: int, *, expected_version: Collection[int] | None = None) -> Note:
    return writes.restore(user, Note, note_id, expected_version)


def restore_notes(user: Actor, note_ids: Collection[int]) -> list[Note]:
    return writes.restore_many(user, Note, note_ids)
