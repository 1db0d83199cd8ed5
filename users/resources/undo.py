"""Undo: an operation that puts back what another one has changed."""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any

from django.db.models import F, Q
from django.utils import timezone

from config.database.transactions import retried_transaction
from config.errors import Conflict, Gone, NotFound
from users.models import Change, Kind
from users.resources import feed, log, operations
from users.resources.log import Changed
from users.resources.models import OwnedModel
from users.resources.resource import registered
from users.tokens.callers import Actor

Key = tuple[str, int]  # the type and the id of an object
Rows = Mapping[Key, OwnedModel]
Conflicts = dict[Key, list[str]]  # by object, the members that differ

LOOK_BACK = 100  # operations read at once, in search of the last one
MAX_CONFLICTS = 100  # in one answer


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
    """Some members are not as the operation has left them."""

    code = "changed_since"
    title = "It has changed since"

    def __init__(self, conflicts: Mapping[Key, Collection[str]]) -> None:
        super().__init__("Something has changed since; undo that first, or change it by hand.")
        self.conflicts = conflicts

    @property
    def members(self) -> dict[str, Any]:
        some = islice(self.conflicts.items(), MAX_CONFLICTS)
        return {"changes": [{"type": name, "id": pk, "members": [*members]} for (name, pk), members in some]}


@retried_transaction
def undo(user: Actor, operation: int | None = None) -> list[OwnedModel]:
    """Put back what an operation has changed, by default the actor's last one that is not undone.

    The result is an operation, which can be undone in turn. Returns the rows that it has changed. Nothing is done
    unless every member is as the operation has left it. Raises NoSuchOperation, TooOldToUndo, NothingToUndo,
    ChangedSince and LimitReached.
    """
    locked, now = feed.lock(user), timezone.now()
    if operation is None:
        operation = last_operation(user, locked.floor)
    if operation <= locked.floor:
        raise TooOldToUndo("The log does not reach back so far.")
    entries = _entries_of(user, operation)
    rows = _locked_rows(user, entries)
    before = {key: row.values() for key, row in rows.items()}
    if conflicts := _put_back(rows, entries, now):
        raise ChangedSince(conflicts)
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


def _entries_of(user: Actor, operation: int) -> list[Change]:
    """The last one first."""
    entries = list(log.of_operation(user, operation).order_by("-version"))
    if not entries:
        raise NoSuchOperation("You have no operation with this number.")
    if any(entry.kind == Kind.ERASED for entry in entries):
        raise NothingToUndo("What was erased cannot be brought back.")
    return entries


def _locked_rows(user: Actor, entries: list[Change]) -> Rows:
    """What is erased or pruned is missing."""
    rows: dict[Key, OwnedModel] = {}
    for resource in registered():
        if pks := {entry.object_id for entry in entries if entry.type == resource.name}:
            stored = resource.model.objects.for_user(user).filter(pk__in=pks, erased_at=None)
            rows |= {(resource.name, row.pk): row for row in stored.select_for_update().order_by("pk")}
    return rows


def _put_back(rows: Rows, entries: list[Change], now: dt.datetime) -> Conflicts:
    """Set the values of before. Returns those that are not as the operation has left them."""
    conflicts: Conflicts = {}
    for entry in entries:
        key = entry.type, entry.object_id
        if key not in rows:
            conflicts[key] = ["id"]
            continue
        row, (before, after) = rows[key], _sides(rows[key], entry)
        if changed := [name for name, value in after.items() if getattr(row, name) != value]:
            conflicts.setdefault(key, []).extend(changed)
        for name, value in before.items():
            setattr(row, name, value)
        if entry.kind == Kind.CREATED:
            row.deleted_at = now
    return conflicts


def _sides(row: OwnedModel, entry: Change) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an entry's members were before and after, by column, as Python's values. A new row had none before.

    Who has deleted it since has changed it, too.
    """
    read = {field.attname: field.to_python for field in row._meta.concrete_fields}
    before = {name: read[name](old) for name, (old, _) in entry.diff.items()}
    after = {"deleted_at": None, **{name: read[name](new) for name, (_, new) in entry.diff.items()}}
    return ({}, {**row.blank(), **after}) if entry.kind == Kind.CREATED else (before, after)


def last_operation(user: Actor, floor: int) -> int:
    """The actor's last operation that is not undone, other than undoing. Raises NothingToUndo."""
    actor = log.actor_of(user)
    undone: set[int] = set()
    for operation, undoes in _operations(user, actor, floor):
        if operation in undone:
            continue
        if undoes is None:
            return operation
        undone.add(undoes)
    raise NothingToUndo("You have done nothing since you signed in that could be undone.")


def _operations(user: Actor, actor: str, floor: int) -> Iterator[tuple[int, int | None]]:
    """The actor's operations, and everybody's that undo one, with what they undo; the last one first."""
    lasts = Change.objects.for_user(user).filter(Q(actor=actor) | Q(undoes__isnull=False), version=F("operation"))
    page = lasts.filter(version__gt=floor).order_by("-version").values_list("version", "undoes")
    while found := list(page[:LOOK_BACK]):
        yield from found
        page = page.filter(version__lt=found[-1][0])
