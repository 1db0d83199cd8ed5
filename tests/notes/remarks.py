"""Every write to remarks."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tests.notes.models import Remark
from users.resources import writes
from users.tokens.callers import Actor


def create_remark(user: Actor, **fields: Any) -> Remark:
    return writes.insert(user, Remark, fields)


def create_remarks(user: Actor, rows: Sequence[Mapping[str, Any]]) -> list[Remark]:
    return writes.insert_many(user, Remark, rows)


def update_remark(
    user: Actor, remark_id: int, changes: dict[str, Any], *, expected_version: Collection[int] | None = None
) -> Remark:
    return writes.change_family(user, Remark, remark_id, changes, expected_version)


def delete_remark(user: Actor, remark_id: int, *, expected_version: Collection[int] | None = None) -> Remark:
    return writes.delete(user, Remark, remark_id, expected_version)


def delete_remarks(user: Actor, remark_ids: Collection[int]) -> list[Remark]:
    return writes.delete_many(user, Remark, remark_ids)


def restore_remark(user: Actor, remark_id: int, *, expected_version: Collection[int] | None = None) -> Remark:
    return writes.restore(user, Remark, remark_id, expected_version)


def restore_remarks(user: Actor, remark_ids: Collection[int]) -> list[Remark]:
    return writes.restore_many(user, Remark, remark_ids)
