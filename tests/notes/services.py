"""Every write to notes."""

from collections.abc import Collection
from typing import Any

from config.database.transactions import retried_transaction
from tests.notes.models import Note
from users.models import User
from users.resources import writes


def create_note(user: User, **fields: Any) -> Note:
    return writes.insert(user, Note, fields)


@retried_transaction
def update_note(
    user: User, note_id: int, changes: dict[str, Any], *, expected_version: Collection[int] | None = None
) -> Note:
    return writes.change(writes.locked(user, Note, note_id, expected_version), changes)


@retried_transaction
def delete_note(user: User, note_id: int, *, expected_version: Collection[int] | None = None) -> None:
    writes.bury(user, Note, note_id, expected_version)


@retried_transaction
def restore_note(user: User, note_id: int) -> Note:
    return writes.revive(user, Note, note_id)
