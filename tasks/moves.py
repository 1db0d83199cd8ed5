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


class UnknownSibling(Invalid):
    code = "unknown_sibling"


@retried_transaction
def move(user: Actor, model: type[R], pk: int, sent: Mapping[str, Any], expected: Collection[int] | None = None) -> R:
    """Move a row to another parent, another project, or another position: `after_id` or `before_id` a sibling, else to
    the end. All that is within it goes along, as one operation.

    Raises RowNotFound, StaleVersion, an Invalid such as UnknownParent or UnknownSibling, Cycle, TooDeep and
    LimitReached.
    """
    place = {name: value for name, value in sent.items() if name not in ("after_id", "before_id")}
    names = references.named(model, place)
    targets = references.reads(user, names)
    operation, (rows, *found) = operations.begin(user, statements.of(model).family(user.pk, pk), *targets)
    family = Family(operation.read(rows), pk)
    row: R = errors.checked(family.row, model, expected)
    values = references.resolved(model, place, names, found)
    operation.apply(row, {**values, "position": positions.newest(operation.now)}, names, family)
    for member in ("after_id", "before_id"):
        if sent.get(member) is not None:
            _insert(operation, row, member, sent[member])
    if operation.store() is None:
        transaction.set_rollback(True)
    return row


def _insert(operation: Operation, row: Placed, member: str, pk: int) -> None:
    """Give the row a position beside a sibling. Siblings between which there is no room are arranged anew."""
    siblings: Any = row.siblings()
    near = siblings.filter(pk=pk).values_list("position", "pk").first()
    if near is None:
        raise UnknownSibling("It is not where you move this to; choose one that is.", pointer=f"/{member}")
    is_before = member == "before_id"
    beyond = siblings.filter(comes_after(near, F("position"), F("pk"), descending=is_before))
    ordered = beyond.order_by("-position", "-pk") if is_before else beyond
    next_to = ordered.values_list("position", flat=True).first()
    low, high = (next_to, near[0]) if is_before else (near[0], next_to)
    if low is None or high is None or low < high:
        position = positions.between(low, high)
        if len(position) <= positions.MAX_LENGTH:
            row.position = position
            return
    rows: list[Any] = operation.read(siblings.light("position").select_for_update())
    rows.insert([each.pk for each in rows].index(pk) + (not is_before), row)
    for each, position in zip(rows, positions.spread(None, None, len(rows)), strict=True):
        each.position = position
