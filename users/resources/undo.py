"""Undo: an operation that puts back what another one has changed."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.utils import timezone

from config.database.transactions import retried_transaction
from config.errors import Conflict, Gone, NotFound
from users.models import Change, Kind
from users.resources import feed, log, operations
from users.resources.log import Changed
from users.resources.models import OwnedModel
from users.resources.resource import registered
from users.tokens.callers import Actor

Rows = dict[tuple[str, int], OwnedModel]  # by type and id

LOOK_BACK = 1000  # entries read at once, in search of the last operation


class NoSuchOperation(NotFound):
    code = "operation_not_found"
    title = "No such operation"


class NothingToUndo(Conflict):
    code = "nothing_to_undo"
    title = "There is nothing to undo"


class TooOldToUndo(Gone):
    code = "operation_expired"
    title = "The operation is too old"


class ChangedSince(Conflict):
    """`changes` names the objects and their members that are not as the operation has left them."""

    code = "changed_since"
    title = "It has changed since"

    def __init__(self, changes: list[dict[str, Any]]) -> None:
        super().__init__("Something has changed since; undo that first, or change it by hand.")
        self.changes = changes


@retried_transaction
def undo(user: Actor, operation: int | None = None) -> list[OwnedModel]:
    """Put back what an operation has changed, by default the actor's last one that is not undone.

    The result is an operation, which can be undone in turn. Returns the rows that it has changed. Nothing is done
    unless every member is as the operation has left it. Raises NoSuchOperation, TooOldToUndo, NothingToUndo,
    ChangedSince and LimitReached.
    """
    locked, now = feed.lock(user), timezone.now()
    if operation is None:
        operation = last_operation(user)
    entries = _entries_of(user, operation, locked.floor)
    rows = _locked_rows(user, entries)
    before = {key: row.values() for key, row in rows.items()}
    _put_back(rows, entries, now)
    changes = []
    for key, row in rows.items():
        row.follow_zone(user)
        row.update_derived_fields(now)
        if diff := row.diff(before[key]):
            changes.append(Changed(row, Kind.UNDONE, diff))
    if not changes:
        raise NothingToUndo("It is as it was before that operation already.")
    operations.store(user, locked, changes, now, undoes=operation)
    return [each.row for each in changes]


def _entries_of(user: Actor, operation: int, floor: int) -> list[Change]:
    """The entries of an operation, the last one first: those from its number down to that of another operation."""
    own = Change.objects.for_user(user)
    before = own.filter(version__lt=operation).exclude(operation=operation).order_by("-version").values("version")[:1]
    first = before[0]["version"] if before else 0
    entries = list(own.filter(version__gt=first, version__lte=operation, operation=operation).order_by("-version"))
    if not entries and operation <= floor:
        raise TooOldToUndo("The log does not reach back so far.")
    if not entries:
        raise NoSuchOperation("You have no operation with this number.")
    if any(entry.kind == Kind.ERASED for entry in entries):
        raise NothingToUndo("What was erased cannot be brought back.")
    return entries


def _locked_rows(user: Actor, entries: list[Change]) -> Rows:
    """What is erased or pruned is missing."""
    rows: Rows = {}
    for resource in registered():
        pks = {entry.object_id for entry in entries if entry.type == resource.name}
        stored = resource.model.objects.for_user(user).filter(pk__in=pks, erased_at=None)
        rows |= {(resource.name, row.pk): row for row in stored.select_for_update().order_by("pk")}
    return rows


def _put_back(rows: Rows, entries: list[Change], now: dt.datetime) -> None:
    """Set the values of before. Raises ChangedSince."""
    conflicts: dict[tuple[str, int], list[str]] = {}
    for entry in entries:
        key = entry.type, entry.object_id
        if key not in rows:
            conflicts[key] = ["id"]
            continue
        row, (before, after) = rows[key], _sides(rows[key], entry)
        if changed := [name for name, value in after.items() if getattr(row, name) != value]:
            conflicts[key] = [*conflicts.get(key, []), *changed]
        for name, value in before.items():
            setattr(row, name, value)
        if entry.kind == Kind.CREATED:
            row.deleted_at = now
    if conflicts:
        raise ChangedSince([{"type": type_, "id": pk, "members": names} for (type_, pk), names in conflicts.items()])


def _sides(row: OwnedModel, entry: Change) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an entry's members were before and after, by column, as Python's values. A new row had none before."""
    read = {field.attname: field.to_python for field in row._meta.concrete_fields}
    after = {name: read[name](new) for name, (_, new) in entry.diff.items()}
    if entry.kind == Kind.CREATED:
        return {}, {**row.blank(), "deleted_at": None, **after}
    return {name: read[name](old) for name, (old, _) in entry.diff.items()}, after


def last_operation(user: Actor) -> int:
    """The actor's last operation that is not undone, other than undoing. Raises NothingToUndo."""
    actor = log.actor_of(user)
    undone: set[int] = set()
    for operation, by, undoes in _operations(user):
        if operation in undone:
            continue
        if undoes is not None:
            undone.add(undoes)
        elif by == actor:
            return operation
    raise NothingToUndo("You have done nothing since you signed in that could be undone.")


def _operations(user: Actor) -> Iterator[tuple[int, str, int | None]]:
    """Operations with their actor and what they undo, the last one first."""
    before = None
    while True:
        entries = Change.objects.for_user(user)
        if before is not None:
            entries = entries.filter(version__lt=before)
        page = list(entries.order_by("-version").values_list("version", "operation", "actor", "undoes")[:LOOK_BACK])
        if not page:
            return
        yield from (row[1:] for row in page if row[0] == row[1])
        before = page[-1][0]
