"""Moves: where a task or a project goes in the order that people choose."""

import datetime as dt
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import cache, partial
from typing import Any, TypeVar

from django.db import transaction
from django.utils import timezone

from config.database.pipeline import Rows
from config.database.queries import Raw, Statement
from config.database.transactions import retried_transaction
from config.errors import Invalid
from tasks import positions
from tasks.placed import Placed
from users.resources import errors, operations, references, statements, writes
from users.resources.operations import Operation
from users.tokens.callers import Actor

_SIBLINGS = ("after_id", "before_id")

R = TypeVar("R", bound=Placed)
Neighbour = tuple[str, int] | None  # its position and id; None is the end of the list


class UnknownSibling(Invalid):
    code = "unknown_sibling"


class _Crowded(Exception):
    """There is no room between two siblings."""


def move(user: Actor, model: type[R], pk: int, sent: Mapping[str, Any], expected: Collection[int] | None = None) -> R:
    """Move a row to another parent, another project, or another position: `after_id` or `before_id` a sibling, else to
    the end. All that is within it goes along, as one operation. Where it is there already, no version is taken.

    Raises RowNotFound, StaleVersion, an Invalid such as UnknownParent or UnknownSibling, Cycle, TooDeep, LimitReached
    and OperationTooLarge.
    """
    place = {name: value for name, value in sent.items() if name not in _SIBLINGS}
    member = next((name for name in _SIBLINGS if sent.get(name) is not None), None)
    if not place and member is not None:
        # The row alone changes, and any position is valid, however the siblings move meanwhile.
        beside = _beside(user, model, pk, member, sent[member])
        with suppress(_Crowded):
            return writes.change(user, model, pk, partial(_position_beside, member), expected, [beside])
    return _move_family(user, model, pk, place, member, sent, expected)


def _position_beside(member: str, row: Placed, beside: Rows) -> dict[str, str]:
    return {"position": _position(row, *_neighbours(row, member, beside), timezone.now())}


@retried_transaction
def _move_family(
    user: Actor,
    model: type[R],
    pk: int,
    place: Mapping[str, Any],
    member: str | None,
    sent: Mapping[str, Any],
    expected: Collection[int] | None,
) -> R:
    """Under the lock of the feed, which keeps the tree and the siblings as they are."""
    names = references.named(model, place)
    of_model = statements.of(model)
    own = of_model.family(user.pk, pk), of_model.large(user.pk, pk)
    reads: list[Statement[Any]] = [*own, *references.reads(user, names)]
    if member is not None:
        reads.append(_beside(user, model, pk, member, sent[member]))
    operation, (rows, large, *found) = operations.begin(user, *reads)
    beside = found.pop() if member is not None else []
    family = operation.read_family(model, pk, rows, large)
    row: R = errors.checked(family.row, model, expected)
    operation.apply(row, references.resolved(model, place, names, found), names, family)
    if member is None:
        _insert(operation, row, row.siblings().values_list("position", "pk").last(), None)
    else:
        _insert(operation, row, *_neighbours(row, member, beside))
    if operation.store() is None:
        transaction.set_rollback(True)
    return row


def _beside(user: Actor, model: type[Placed], pk: int, member: str, near: int) -> Raw:
    """A statement that reads a row, and its sibling beyond it: before it, or after it. Without the one that moves."""
    sql = _neighbour_sql(model, member == "before_id")
    branches = len(model.scope) + 1
    return Raw(sql, [*[user.pk, pk] * branches, user.pk, near])


@cache
def _neighbour_sql(model: type[Placed], is_before: bool) -> str:
    """By a branch for each kind of place, as IS NOT DISTINCT FROM is served by no index: the siblings within a row are
    those of its first column of `scope` that is not null."""
    table, (sign, direction) = model._meta.db_table, ("<", "DESC") if is_before else (">", "ASC")
    branches = []
    for place in range(len(model.scope) + 1):
        nulls, named = model.scope[:place], model.scope[place : place + 1]
        conditions = [
            *(f"near.{name} IS NULL AND row.{name} IS NULL" for name in nulls),
            *(f"near.{name} IS NOT NULL AND row.{name} = near.{name}" for name in named),
        ]
        branches.append(
            f"(SELECT row.position, row.id FROM {table} AS row WHERE {' AND '.join(conditions)}"  # nosec B608
            f" AND row.user_id = %s AND row.id <> %s AND row.deleted_at IS NULL"
            f" AND (row.position, row.id) {sign} (near.position, near.id)"
            f" ORDER BY row.position {direction}, row.id {direction} LIMIT 1)"
        )
    scope = ", ".join(f"near.{name}" for name in model.scope)
    return (
        f"SELECT near.position, near.id, beyond.position, beyond.id, {scope} FROM {table} AS near"  # nosec B608
        f" LEFT JOIN LATERAL ({' UNION ALL '.join(branches)}) AS beyond ON true"
        " WHERE near.user_id = %s AND near.id = %s AND near.deleted_at IS NULL"
    )


def _neighbours(row: Placed, member: str, beside: Rows) -> tuple[Neighbour, Neighbour]:
    """The siblings between which the row goes. Raises UnknownSibling."""
    place = tuple(getattr(row, name) for name in row.scope)
    if not beside or beside[0][1] == row.pk or beside[0][4:] != place:
        raise UnknownSibling("It is not where you move this to; choose one that is.", pointer=f"/{member}")
    near, beyond = beside[0][:2], beside[0][2:4] if beside[0][2] is not None else None
    return (beyond, near) if member == "before_id" else (near, beyond)


def _position(row: Placed, low: Neighbour, high: Neighbour, now: dt.datetime) -> str:
    """One between two siblings, that of the row itself if it is there. Raises _Crowded."""
    own = row.position, row.pk
    if (low is None or low < own) and (high is None or own < high):
        return row.position
    newest = positions.newest(now)
    if high is None and (low is None or low[0] < newest):
        return newest
    below, above = low and low[0], high and high[0]
    if below is None or above is None or below < above:  # else they are a tie
        position = positions.between(below, above)
        if len(position) <= positions.MAX_LENGTH:
            return position
    raise _Crowded


def _insert(operation: Operation, row: Placed, low: Neighbour, high: Neighbour) -> None:
    """Give the row a position between two siblings. If there is no room between them, all are arranged anew."""
    with suppress(_Crowded):
        row.position = _position(row, low, high, operation.now)
        return
    rows: list[Any] = operation.read(row.siblings().light("position").select_for_update())
    rows.insert([each.pk for each in rows].index(low[1]) + 1 if low else 0, row)
    for each, position in zip(rows, positions.spread(None, None, len(rows)), strict=True):
        each.position = position
