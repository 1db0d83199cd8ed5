"""Undo: an operation that puts back what another one has changed."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from itertools import chain, islice
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import F, Q

from config.database.queries import Compiled, Param, run
from config.database.transactions import retried_transaction
from config.errors import Conflict, Gone, NotFound
from config.values import MAX_BIGINT, is_same
from users.models import Change, Kind
from users.resources import feed, log, operations, references, statements, violations
from users.resources.log import RowChange
from users.resources.models import OwnedModel
from users.resources.operations import Operation
from users.resources.resource import registered
from users.tokens.callers import Actor, Caller
from users.tokens.scopes import need

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
    if operation is None:
        operation = last_operation(user)
    models = [resource.model for resource in registered()]
    changed = [statements.of(model).changed_by(user.pk, operation) for model in models]
    undoing, (entries, *found) = operations.begin(user, log.Entries(user.pk, operation), *changed)
    _require_undoable(operation, undoing.floor, entries)
    _require_scopes(user, {entry.type for entry in entries})
    complete = [_complete(user, model, operation, entries, rows) for model, rows in zip(models, found, strict=True)]
    rows = {(row.type_name(), row.pk): row for row in undoing.read(chain(*complete))}
    if conflicts := _put_back(rows, entries, undoing.now):
        raise ChangedSince(conflicts)
    _recompute(undoing, rows.values())
    changes = undoing.changes(Kind.UNDONE)
    if not changes:
        raise NothingToUndo("It is as it was before that operation already.")
    for model in models:
        those = [entry for entry in entries if entry.type == model.type_name()]
        undoing.effects += model.effects_of_undo(user.pk, operation, those, undoing.now)
    if related := _related(changes):
        undoing.store(Kind.UNDONE, undoes=operation, commit=False)
        _require_order(user, related)
    else:
        undoing.store(Kind.UNDONE, undoes=operation)
    return [each.row for each in changes]


def _recompute(undoing: Operation, rows: Iterable[OwnedModel]) -> None:
    for row in rows:
        if row.deleted_at is None:  # tombstones follow when they are restored
            row.follow_zone(undoing.user)
        if not row.sources.isdisjoint(row.diff(undoing.before(row))):
            row.update_derived_fields(undoing.now)


def _complete(
    user: Actor, model: type[OwnedModel], operation: int, entries: Collection[log.Entry], rows: list[OwnedModel]
) -> list[OwnedModel]:
    """The rows of a model; where there are more than were read, all of them with the columns alone that the entries
    tell of, and those that depend on the time zone: with all their texts, they could take gigabytes."""
    if len(rows) <= statements.MOST_CHANGED:
        return rows
    known = {field.attname for field in model._meta.concrete_fields}
    names = {name for entry in entries if entry.type == model.type_name() for name in entry.diff} & known
    if not model.sources.isdisjoint(names):
        names |= {*model.mutable}
    columns = (*sorted(names), *model.zoned, *model.zoned.values())
    return run(statements.of(model).all_changed_by(user.pk, operation, columns))


def _related(changes: Collection[RowChange]) -> dict[type[OwnedModel], list[int]]:
    """By model, the rows of which references, or those to them, may not hold any more."""
    related: dict[type[OwnedModel], list[int]] = {}
    for row, _, diff in changes:
        model = type(row)
        concerns = "deleted_at" in diff and references.concerned(model)
        if concerns or not references.reference_names(model).isdisjoint(diff):
            related.setdefault(model, []).append(row.pk)
    return related


def _require_order(user: Actor, related: Mapping[type[OwnedModel], list[int]]) -> None:
    conflicts: Conflicts = {}
    for model, pks in related.items():
        conflicts |= violations.of_changed(user, model, pks)
    if conflicts:
        raise ChangedSince(conflicts)


def _require_scopes(user: Actor, types: Collection[str]) -> None:
    """Raises InsufficientScope for a token that may not write all that the operation has changed."""
    if isinstance(user, Caller):
        user.require_scopes(need(*(each.write_scope for each in registered() if each.name in types)))


def _require_undoable(operation: int, floor: int, entries: Collection[log.Entry]) -> None:
    if operation <= floor:
        raise TooOldToUndo("The log does not reach back so far.")
    if not entries:
        raise NoSuchOperation("You have no operation with this number.")
    if any(entry.kind == Kind.ERASED for entry in entries):
        raise NothingToUndo("What was erased cannot be brought back.")


def _put_back(rows: Rows, entries: Collection[log.Entry], now: dt.datetime) -> Conflicts:
    """Set the values of before. Returns those that are not as the operation has left them."""
    conflicts: Conflicts = {}
    for entry in entries:
        key = entry.type, entry.object_id
        if key not in rows:
            conflicts[key] = ["id"]
            continue
        row, parsed = rows[key], _parsed_diff(rows[key], entry)
        before, after = _before_and_after(row, entry.kind, parsed)
        if row.version == entry.version:
            after = {}  # nothing has changed since; others are compared
        changed = [name for name, value in after.items() if not is_same(getattr(row, name), value)]
        if changed := [*(entry.diff.keys() - parsed.keys()), *changed, *_overruled(row, before)]:
            conflicts.setdefault(key, []).extend(changed)
        for name, value in before.items():
            setattr(row, name, value)
        if entry.kind == Kind.CREATED:
            row.deleted_at = now
    return conflicts


def _parsed_diff(row: OwnedModel, entry: log.Entry) -> dict[str, tuple[Any, Any]]:
    """An entry's members by column, as Python's values; without those that a later version has no place for."""
    read = {field.attname: field.to_python for field in row._meta.concrete_fields}
    parsed = {}
    for name, (old, new) in entry.diff.items():
        with suppress(KeyError, TypeError, ValueError, ValidationError):
            to_python = read[name]  # of null also where a column takes none, as new rows have none before
            parsed[name] = (None if old is None else to_python(old)), (None if new is None else to_python(new))
    return parsed


def _before_and_after(
    row: OwnedModel, kind: str, parsed: Mapping[str, tuple[Any, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the columns were before an entry and after it. A new row had none before.

    Who has deleted it since has changed it, too.
    """
    before = {name: old for name, (old, _) in parsed.items()}
    after = {"deleted_at": None, **{name: new for name, (_, new) in parsed.items()}}
    return ({}, {**row.blank(), **after}) if kind == Kind.CREATED else (before, after)


def _overruled(row: OwnedModel, before: Mapping[str, Any]) -> list[str]:
    """The columns from which the row computes those that shall be put back, and of which the entry does not tell: they
    have been set since, or the time zone has changed."""
    if "deleted_at" in before:  # a tombstone is as it was, and follows the time zone when it is restored
        return []
    zoned = [source for name, source in row.zoned.items() if name in before and source not in before]
    return [source for source in zoned if getattr(row, source) is not None]


def last_operation(user: Actor) -> int:
    """The actor's last operation that is not undone, other than undoing. Raises NothingToUndo."""
    actor, undone, before = log.actor_of(user), set[int](), MAX_BIGINT
    while True:
        locked, (page,) = feed.lock_and_read(user, _LASTS.given(user=user.pk, actor=actor, before=before))
        for operation, undoes in page:
            if operation <= locked.floor:
                break
            if operation in undone:
                continue
            if undoes is None:
                return int(operation)
            undone.add(undoes)
        else:
            if page:
                before = page[-1][0]
                continue
        raise NothingToUndo("You have done nothing since you signed in that could be undone.")


# The actor's operations, and everybody's that undo one, with what they undo; the last one first.
_LASTS: Compiled[Any] = Compiled(
    lambda: (
        Change.objects.for_user(Param("user"))
        .filter(Q(actor=Param("actor")) | Q(undoes__isnull=False), version=F("operation"), version__lt=Param("before"))
        .order_by("-version")
        .values_list("version", "undoes")[:LOOK_BACK]
    )
)
