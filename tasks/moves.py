"""Moves: where a task or a project goes in the order that people choose."""

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import F

from config.database.transactions import retried_transaction
from config.errors import Invalid
from tasks import positions
from tasks.placed import Placed
from users.resources import errors, operations, references, statements
from users.resources.operations import Operation
from users.resources.querysets import comes_after
from users.resources.references import Family
from users.tokens.callers import Actor

R = TypeVar("R", bound=Placed)
Neighbour = tuple[str, int] | None  # its position and id; None is the end of the list


class UnknownSibling(Invalid):
    code = "unknown_sibling"


@retried_transaction
def move(user: Actor, model: type[R], pk: int, sent: Mapping[str, Any], expected: Collection[int] | None = None) -> R:
    """Move a row to another parent, another project, or another position: `after_id` or `before_id` a sibling, else to
    the end. All that is within it goes along, as one operation. Where it is there already, no version is taken.

    Raises RowNotFound, StaleVersion, an Invalid such as UnknownParent or UnknownSibling, Cycle, TooDeep, LimitReached
    and OperationTooLarge.
    """
    place = {name: value for name, value in sent.items() if name not in ("after_id", "before_id")}
    names = references.named(model, place)
    targets = references.reads(user, names)
    operation, (rows, *found) = operations.begin(user, statements.of(model).family(user.pk, pk), *targets)
    family = Family(operation.read(rows), pk)
    row: R = errors.checked(family.row, model, expected)
    operation.apply(row, references.resolved(model, place, names, found), names, family)
    _insert(operation, row, *_neighbours(row, sent))
    if operation.store() is None:
        transaction.set_rollback(True)
    return row


def _neighbours(row: Placed, sent: Mapping[str, Any]) -> tuple[Neighbour, Neighbour]:
    """The siblings between which the row goes. Raises UnknownSibling."""
    siblings = row.siblings().values_list("position", "pk")
    for member in ("after_id", "before_id"):
        if sent.get(member) is None:
            continue
        near = siblings.filter(pk=sent[member]).first()
        if near is None:
            raise UnknownSibling("It is not where you move this to; choose one that is.", pointer=f"/{member}")
        is_before = member == "before_id"
        beyond = siblings.filter(comes_after(near, F("position"), F("pk"), descending=is_before))
        return (beyond.last(), near) if is_before else (near, beyond.first())
    return siblings.last(), None


def _insert(operation: Operation, row: Placed, low: Neighbour, high: Neighbour) -> None:
    """Give the row a position between two siblings. If there is no room between them, all are arranged anew."""
    own = row.position, row.pk
    if (low is None or low < own) and (high is None or own < high):
        return
    newest = positions.newest(operation.now)
    if high is None and (low is None or low[0] < newest):
        row.position = newest
        return
    below, above = low and low[0], high and high[0]
    if below is None or above is None or below < above:  # else they are a tie
        position = positions.between(below, above)
        if len(position) <= positions.MAX_LENGTH:
            row.position = position
            return
    rows: list[Any] = operation.read(row.siblings().light("position").select_for_update())
    rows.insert([each.pk for each in rows].index(low[1]) + 1 if low else 0, row)
    for each, position in zip(rows, positions.spread(None, None, len(rows)), strict=True):
        each.position = position
