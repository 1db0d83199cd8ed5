"""Every write to projects: one function and one transaction each."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from tasks import moves
from tasks.projects.models import Project
from users.resources import errors, writes
from users.tokens.callers import Actor

ProjectNotFound = errors.not_found(Project)
_OF_TREE = frozenset({"parent_id", "parent_uid"})


def create_project(user: Actor, **fields: Any) -> Project:
    """Store a new project. Raises Invalid (also UnknownParent and TooDeep), UidTaken, LimitReached and AccountGone."""
    return writes.insert(user, Project, fields)


def create_projects(user: Actor, rows: Sequence[Mapping[str, Any]]) -> list[Project]:
    """Store new projects as one operation, all within the same one. Raises what `writes.insert_many` raises."""
    return writes.insert_many(user, Project, rows)


def update_project(
    user: Actor, project_id: int, changes: Mapping[str, Any], *, expected_version: Collection[int] | None = None
) -> Project:
    """Change some fields. If nothing differs, no version is taken.

    Raises ProjectNotFound, StaleVersion unless the version is among the expected ones, Invalid (also UnknownParent,
    Cycle and TooDeep) and LimitReached.
    """
    change = writes.change if _OF_TREE.isdisjoint(changes) else writes.change_family
    return change(user, Project, project_id, changes, expected_version)


def move_project(
    user: Actor, project_id: int, place: Mapping[str, Any], *, expected_version: Collection[int] | None = None
) -> Project:
    """Move a project with those within it. Raises ProjectNotFound, StaleVersion and what `moves.move` raises."""
    return moves.move(user, Project, project_id, place, expected_version)


def archive_projects(user: Actor, project_ids: Collection[int], *, archived: bool) -> list[Project]:
    """Archive those that are there, or bring them back, as one operation; returns those that have changed."""
    return writes.change_many(user, Project, project_ids, lambda project: {"is_archived": archived})


def delete_project(
    user: Actor,
    project_id: int,
    *,
    tasks: Literal["trash", "inbox"] = "trash",
    expected_version: Collection[int] | None = None,
) -> Project:
    """Turn a project and those within it into tombstones; their tasks, too, or they go to the inbox.

    Raises ProjectNotFound, StaleVersion and OperationTooLarge.
    """
    clearing = ("project",) if tasks == "inbox" else ()
    return writes.delete(user, Project, project_id, expected_version, clearing=clearing)


def delete_projects(user: Actor, project_ids: Collection[int]) -> list[Project]:
    """`delete_project` those that are there, with their tasks, as one operation."""
    return writes.delete_many(user, Project, project_ids)


def restore_project(user: Actor, project_id: int, *, expected_version: Collection[int] | None = None) -> Project:
    """Take a project out of the trash, with all that went there along with it.

    Raises ProjectNotFound for all that is not in the trash, StaleVersion and LimitReached.
    """
    return writes.restore(user, Project, project_id, expected_version)


def restore_projects(user: Actor, project_ids: Collection[int]) -> list[Project]:
    """`restore_project` those that are tombstones, as one operation. Raises LimitReached."""
    return writes.restore_many(user, Project, project_ids)
