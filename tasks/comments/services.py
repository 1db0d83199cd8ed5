"""Every write to comments: one function and one transaction each."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tasks.comments.models import Comment
from users.resources import errors, writes
from users.tokens.callers import Actor

CommentNotFound = errors.not_found(Comment)
_REFERENCES = frozenset({"task_id", "task_uid"})


def create_comment(user: Actor, **fields: Any) -> Comment:
    """Store a new comment. Raises what `writes.insert` raises."""
    return writes.insert(user, Comment, fields)


def create_comments(user: Actor, rows: Sequence[Mapping[str, Any]]) -> list[Comment]:
    """Store new comments as one operation. Raises what `writes.insert_many` raises."""
    return writes.insert_many(user, Comment, rows)


def update_comment(
    user: Actor, comment_id: int, changes: Mapping[str, Any], *, expected_version: Collection[int] | None = None
) -> Comment:
    """Change some fields. If nothing differs, no version is taken.

    Raises CommentNotFound, StaleVersion unless the version is among the expected ones, and Invalid.
    """
    change = writes.change if _REFERENCES.isdisjoint(changes) else writes.change_family
    return change(user, Comment, comment_id, changes, expected_version)


def delete_comment(user: Actor, comment_id: int, *, expected_version: Collection[int] | None = None) -> Comment:
    """Turn a comment into a tombstone. Raises CommentNotFound, StaleVersion and StillReferred."""
    return writes.delete(user, Comment, comment_id, expected_version)


def delete_comments(user: Actor, comment_ids: Collection[int]) -> list[Comment]:
    """`delete_comment` those that are there, as one operation."""
    return writes.delete_many(user, Comment, comment_ids)


def restore_comment(user: Actor, comment_id: int, *, expected_version: Collection[int] | None = None) -> Comment:
    """Take a comment out of the trash.

    Raises CommentNotFound for all that is not in the trash, StaleVersion, LimitReached and InTrash.
    """
    return writes.restore(user, Comment, comment_id, expected_version)


def restore_comments(user: Actor, comment_ids: Collection[int]) -> list[Comment]:
    """`restore_comment` those that are tombstones, as one operation."""
    return writes.restore_many(user, Comment, comment_ids)
