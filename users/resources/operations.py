"""Operations on several rows: consecutive versions, a statement for each model."""

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from django.utils import timezone

from config.database import session
from config.database.queries import run_all
from config.database.transactions import retried_transaction
from config.errors import OperationTooLarge
from users.models import Feed, Kind
from users.resources import feed, log, statements, writes
from users.resources.log import RowChange
from users.resources.models import OwnedModel
from users.resources.querysets import OwnedQuerySet
from users.services import pruning
from users.tokens.callers import Actor

R = TypeVar("R", bound=OwnedModel)

MAX_ROWS = 100_000


def bury(user: Actor, model: type[R], pks: Collection[int]) -> list[R]:
    """Turn those of the rows that are visible into tombstones; returns them."""
    now = timezone.now()

    def buried(row: R) -> RowChange:
        row.deleted_at = now
        return RowChange(row, Kind.DELETED, {"deleted_at": (None, now)})

    return _change(user, model.objects.visible().filter(pk__in=pks), buried, now)


def revive(user: Actor, model: type[R], pks: Collection[int]) -> list[R]:
    """Restore those of the rows that are in the trash; returns them. Raises LimitReached."""
    trashed = model.objects.trashed().filter(pk__in=pks)
    return _change(user, trashed, lambda row: writes.revived(row, user), timezone.now())


def change(user: Actor, model: type[R], pks: Collection[int], changes: Callable[[R], Mapping[str, Any]]) -> list[R]:
    """Apply the changes that are computed from each of the visible rows; returns those that differ. Raises Invalid."""
    now = timezone.now()

    def changed(row: R) -> RowChange:
        diff = row.apply(changes(row), user, now)
        return RowChange(row, row.kind_of(diff), diff)

    return _change(user, model.objects.visible().filter(pk__in=pks), changed, now)


@retried_transaction
def erase(user: Actor, trashed: Sequence[OwnedQuerySet[Any]]) -> int | None:
    """Remove the content of rows in the trash for good, also from the log and from stored answers.

    What stays is the tombstone. Returns the operation, None if the trash is empty. Raises OperationTooLarge.
    """
    locked, now = feed.lock(user), timezone.now()
    changes: list[RowChange] = []
    for rows in trashed:
        # No text, and no more rows than are refused: a full trash would take gigabytes.
        found = rows.for_user(user).trashed().only("user_id", "version").select_for_update().order_by("pk")
        for row in found[: MAX_ROWS + 1 - len(changes)]:
            row.erase(now)
            changes.append(RowChange(row, Kind.ERASED, dict.fromkeys((*row.mutable, "erased_at"), (None, None))))
    operation = store(user, locked, changes, now)
    for model, rows_of_it in _by_model(changes).items():
        pks = [each.row.pk for each in rows_of_it]
        log.erase(user, model.type_name(), pks)
        pruning.forget_answers(user.pk, pks)
    return operation


@retried_transaction
def _change(user: Actor, rows: OwnedQuerySet[R], changed: Callable[[R], RowChange], now: dt.datetime) -> list[R]:
    locked = feed.lock(user)
    found = rows.for_user(user).select_for_update().order_by("pk")
    changes = [each for each in map(changed, found) if each.diff]
    store(user, locked, changes, now, commit=True)
    return [each.row for each in changes]  # type: ignore[misc]  # of this model


def store(
    user: Actor,
    locked: Feed,
    changes: Sequence[RowChange],
    now: dt.datetime,
    *,
    actor: str = "",
    undoes: int | None = None,
    commit: bool = False,
) -> int | None:
    """Store changed rows of any models as one operation, under the lock of their feed.

    They take consecutive versions, model by model; all is one message, with COMMIT if it shall `commit`. Returns the
    operation, None without a change. Raises LimitReached and OperationTooLarge.
    """
    if not changes:
        return None
    if len(changes) > MAX_ROWS:
        raise OperationTooLarge(f"At most {MAX_ROWS:,} rows change at once; choose fewer.")
    by_model = _by_model(changes)
    numbers, taking = feed.take_many(locked, len(changes), *_growth_of(by_model))
    versions, operation = iter(numbers), log.Operation(locked.head, undoes, now, actor or log.actor_of(user))
    writing = [taking]
    for model, those in by_model.items():
        numbered = [(each, next(versions)) for each in those]
        entries = log.append_each_params(user.pk, model.type_name(), numbered, operation)
        for (row, _, _), version in numbered:
            row.version, row.updated_at, row.operation = version, now, locked.head
        fields = dict.fromkeys(name for each in those for name in each.diff)
        rows = [each.row for each in those]
        writing.append(statements.of(model).update_each(user.pk, rows, (*fields, "version", "updated_at"), entries))
    with session.local({"statement_timeout": "0"}):
        run_all(writing, commit=commit)
    return locked.head


def _by_model(changes: Sequence[RowChange]) -> dict[type[OwnedModel], list[RowChange]]:
    by_model: dict[type[OwnedModel], list[RowChange]] = {}
    for each in changes:
        by_model.setdefault(type(each.row), []).append(each)
    return by_model


def _growth_of(by_model: Mapping[type[OwnedModel], Sequence[RowChange]]) -> tuple[feed.Growth, feed.Limit]:
    """Of the model with a limit; rows of others are not counted."""
    for model, changes in by_model.items():
        if model.limit_setting:
            moved = [each.diff["deleted_at"] for each in changes if "deleted_at" in each.diff]
            return feed.Growth(sum(-1 if after else 1 for _, after in moved), 0), writes.limit_of(model)
    return feed.UNCHANGED, feed.Limit()
