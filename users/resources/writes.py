"""The writes that services call, and the read of one row, which has the same errors.

Each write takes effect in one transaction, as one operation. Lock order: the account, its feed, then the rows;
`users.api.idempotency` has the whole.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

from django.contrib.postgres.expressions import ArraySubquery
from django.db import IntegrityError, connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from config.database.queries import Statement, run, run_all
from config.database.transactions import retried, retried_transaction
from config.errors import violated_constraint
from config.values import nfc
from users.models import Kind
from users.resources import errors, feed, log, operations, references, statements, tombstones
from users.resources.log import RowChange
from users.resources.models import OwnedModel, new_uid
from users.resources.operations import Operation
from users.resources.querysets import OwnedQuerySet, one_of
from users.resources.references import Family, Relatives
from users.services import pruning
from users.tokens.callers import Actor

R = TypeVar("R", bound=OwnedModel)
Sent = Mapping[str, Any] | Callable[..., Mapping[str, Any]]  # or computed from the row, and what was read beside it
Consequences = Callable[[Operation, Family[R], Mapping[str, Any]], None]

OPTIMISTIC_ATTEMPTS = 2  # of a change, before it takes the lock
CHUNK = 500  # rows with all their content that are in memory at once


# --- One row ----------------------------------------------------------------------------------------


def insert(user: Actor, model: type[R], sent: Mapping[str, Any], *, assuming: str = "") -> R:
    """Insert a row.

    One statement; a row that refers to others, or is counted, is inserted under the lock of its feed. Raises Invalid,
    UidTaken, which carries the existing row unless that one was deleted, LimitReached, AccountGone if the account is
    deleted meanwhile, and NotAsAssumed, as `feed.take` says.
    """
    uid = nfc(sent["uid"]) if sent.get("uid") else new_uid()
    rest = {name: value for name, value in sent.items() if name != "uid"}
    names = references.named(model, rest)
    inserted = _insert_locked if names or operations.counting(user, model) else _insert
    while True:
        try:
            return inserted(user, model, uid, rest, assuming)
        except feed.TombstonesFull:
            tombstones.make_room(user, model, operations.limit_of(model).most)
        except IntegrityError as error:
            if violated_constraint(error) == f"{model._meta.db_table}_uid":
                raise _uid_taken(user, model, uid) from error
            raise


@retried
def _insert(user: Actor, model: type[R], uid: str, sent: Mapping[str, Any], assuming: str) -> R:
    """One statement. Within a transaction, such as that of an Idempotency-Key, a savepoint saves it from a taken
    uid."""
    now = timezone.now()
    row = model.made_of(user_id=user.pk, uid=uid, created_at=now, updated_at=now)
    row.apply(references.resolved(model, sent, [], []), user, now)
    with nullcontext() if row.step is None and not connection.in_atomic_block else transaction.atomic():
        return _inserted(user, row, assuming)


@retried_transaction
def _insert_locked(user: Actor, model: type[R], uid: str, sent: Mapping[str, Any], assuming: str) -> R:
    names, counting = references.named(model, sent), operations.counting(user, model)
    targets = references.reads(user, names)
    operation, found = operations.begin(user, *targets, *([counting] if counting else []))
    if counting:
        operations.require_room(model, found[-1], feed.CREATED)
    now = operation.now
    row = model.made_of(user_id=user.pk, uid=uid, created_at=now, updated_at=now)
    operation.apply(row, references.resolved(model, sent, names, found[: len(targets)]), names)
    return _inserted(user, row, assuming, commit=True)


def _inserted(user: Actor, row: R, assuming: str, *, commit: bool = False) -> R:
    model, is_last = type(row), row.step is None
    entry = log.append_params(user, RowChange(row, Kind.CREATED, row.content()), row.created_at)
    growth = feed.CREATED if model.is_counted else feed.UNCHANGED
    inserting = statements.of(model).insert(row, entry)
    row.version, row.pk = feed.advance(
        user, inserting, growth, limit=operations.limit_of(model), commit=commit and is_last, assuming=assuming
    )
    if not is_last:
        run_all(model.effects(user.pk, [row], row.created_at), commit=commit)
    row._state.adding = False
    row.operation = row.version
    return row


@retried
def change(
    user: Actor,
    model: type[R],
    pk: int,
    sent: Sent,
    expected: Collection[int] | None = None,
    reads: Sequence[Statement[Any]] = (),
) -> R:
    """Change a row alone, by what concerns no other one; without any difference, no number is taken.

    What `reads` find in the message that reads the row is passed to `sent`, after the row.

    Optimistic: the row is read, and written only if its version is still the same, so that no transaction waits for
    Python. A race that is lost twice is decided by the lock; each loss leaves a number that no row has.

    Raises RowNotFound, Invalid, and StaleVersion unless the version is among the expected ones.
    """
    for _ in range(OPTIMISTIC_ATTEMPTS):
        lookup = statements.of(model).read(user, pk)
        found, *beside = _looked_up_beside(lookup, reads) if reads else [_looked_up(lookup)]
        row: R = errors.checked(found, model, expected)
        now = timezone.now()
        diff = row.apply(sent(row, *beside) if callable(sent) else sent, user, now)
        if not diff:
            return row
        row.updated_at = now
        entry = log.append_params(user, RowChange(row, row.kind_of(diff), diff), now)
        written = feed.take(user, statements.of(model).compare_and_set(row, (*diff, "updated_at"), entry))
        if written:
            ((row.version, _),) = written
            row.operation = row.version
            return row
    return change_family(user, model, pk, sent, expected, reads=reads)


@retried_transaction
def change_family(
    user: Actor,
    model: type[R],
    pk: int,
    sent: Sent,
    expected: Collection[int] | None = None,
    consequences: Consequences[R] | None = None,
    reads: Sequence[Statement[Any]] = (),
) -> R:
    """Change a row and others with it, under the lock of the feed, as one operation.

    `sent` may be computed as in `change`, if it names no other row. `consequences(operation, family, before)` changes
    relatives of the row, whose values were `before`; of new ancestors only the references were read. Raises what
    `change` raises, Cycle, TooDeep and LimitReached.
    """
    names = [] if callable(sent) else references.named(model, sent)
    targets = references.reads(user, names)
    of_model = statements.of(model)
    own = of_model.family(user.pk, pk), of_model.large(user.pk, pk)
    operation, (rows, large, *found) = operations.begin(user, *own, *targets, *reads)
    family = operation.read_family(model, pk, rows, large)
    row: R = errors.checked(family.row, model, expected)
    before = row.values()
    values = sent(row, *found) if callable(sent) else references.resolved(model, sent, names, found)
    operation.apply(row, values, names, family)
    if consequences is not None:
        consequences(operation, family, before)
    if operation.store() is None:
        transaction.set_rollback(True)
    return row


def show(
    user: Actor, model: type[OwnedModel], key: int | str, columns: tuple[str, ...], by: str = "id"
) -> tuple[Any, ...]:
    """A visible row, by its id or its uid, as a tuple of these columns, in one statement.

    Raises RowNotFound and what `Caller.verify` raises.
    """
    row: tuple[Any, ...] | None = _looked_up(statements.of(model).show(user, key, columns, by))
    if row is None:
        raise errors.no_such(model, by)
    return row


def _looked_up(lookup: statements.Lookup[R]) -> R | None:
    while not (found := run(lookup)):
        feed.explain(lookup.actor)
    return found[0]


def _looked_up_beside(lookup: statements.Lookup[Any], reads: Sequence[Statement[Any]]) -> list[Any]:
    """The row, or None, and what these statements find in the same message."""
    while True:
        rows, *found = run_all([lookup, *reads])
        if rows:
            return [rows[0], *found]
        feed.explain(lookup.actor)


@retried_transaction
def delete(
    user: Actor,
    model: type[R],
    pk: int,
    expected: Collection[int] | None = None,
    *,
    clearing: Collection[str] = (),
) -> R:
    """Turn a row into a tombstone, and with it what refers to it, but by the references named in `clearing`.

    Raises RowNotFound, StaleVersion, StillReferred and OperationTooLarge.
    """
    of_model, tree = statements.of(model), model.tree()
    if others := references.others(model):
        operation, ((rows, referred),) = operations.begin(user, of_model.referred_family(user.pk, pk, others))
    else:
        operation, (rows,) = operations.begin(user, of_model.family(user.pk, pk))
        referred = False
    family = Family(Relatives(model, operation.read(rows)), pk)
    row: R = errors.checked(family.row, model, expected)
    operation.delete([row, *family.below], clearing, whole=tree, alone=not referred)
    operation.store()
    return row


@retried_transaction
def restore(user: Actor, model: type[R], pk: int, expected: Collection[int] | None = None) -> R:
    """Take a tombstone out of the trash, and with it what went there along with it; uids were kept.

    Raises RowNotFound for all but tombstones that can be restored, StaleVersion, LimitReached and InTrash.
    """
    operation, (rows,) = operations.begin(user, statements.of(model).trashed(user.pk, pk))
    if not rows:
        raise errors.not_in_trash(model)
    row: R = operation.read(rows)[0]
    operation.restore([errors.checked(row, model, expected)])
    operation.store()
    return row


# --- Several rows -----------------------------------------------------------------------------------


def insert_many(user: Actor, model: type[R], sent: Sequence[Mapping[str, Any]]) -> list[R]:
    """Insert rows as one operation, in their order. All of them name the same rows, as `references.named_by` tells.

    Raises what `insert` raises, but an IntegrityError for a taken uid: then `insert` tells of which row.
    """
    while True:
        try:
            return _insert_each(user, model, sent)
        except feed.TombstonesFull:
            tombstones.make_room(user, model, operations.limit_of(model).most)


@retried_transaction
def _insert_each(user: Actor, model: type[R], sent: Sequence[Mapping[str, Any]]) -> list[R]:
    names = references.named(model, sent[0])
    operation, found = operations.begin(user, *references.reads(user, names))
    now, rows = operation.now, []
    for number, each in enumerate(sent):
        values = references.resolved(model, each, names, found)
        for name in names:
            name.children += number  # those before it, beside those that `resolved` has just found
        uid = nfc(each["uid"]) if each.get("uid") else new_uid()
        row = model.made_of(user_id=user.pk, uid=uid, created_at=now, updated_at=now)
        operation.apply(row, {**values, "uid": uid}, names)
        rows.append(row)
    operation.insert(rows)
    return rows


@retried_transaction
def delete_many(user: Actor, model: type[R], pks: Collection[int]) -> list[R]:
    """`delete` those of the rows that are visible, as one operation; returns them."""
    operation, _ = operations.begin(user)
    rows: list[R] = operation.read(_locked(user, model.objects.visible(), pks).light())
    operation.delete(rows)
    operation.store()
    return rows


@retried_transaction
def restore_many(user: Actor, model: type[R], pks: Collection[int]) -> list[R]:
    """`restore` those of the rows that are in the trash, as one operation; returns them."""
    operation, _ = operations.begin(user)
    rows: list[R] = operation.read(_locked(user, model.objects.trashed(), pks))
    operation.restore(rows)
    operation.store()
    return rows


@retried_transaction
def change_many(
    user: Actor,
    model: type[R],
    pks: Collection[int] | QuerySet[Any, Any],
    changes: Callable[[R], Mapping[str, Any]],
    consequences: Consequences[R] | None = None,
    *,
    naming: Mapping[str, Any] | None = None,
) -> list[R]:
    """Change those of the rows that are visible as one operation, and relatives as `change_family` does; a row after
    those that it is within. Returns those of the rows that differ.

    `changes` names no other row but those of `naming`, which all of them may refer to, and no parent. Raises Invalid,
    also such as UnknownProject, and OperationTooLarge.
    """
    if consequences is None and naming is None:
        return _change_each(user, model, pks, changes)
    names = references.named(model, naming or {})
    operation, found = operations.begin(user, *references.reads(user, names))
    references.resolved(model, naming or {}, names, found)  # raises, if one of them is unknown
    rows = operation.read(_locked(user, model.objects.visible(), pks))
    for family in sorted(operation.families(rows), key=lambda family: len(family.above)):
        row: Any = family.row
        before = row.values()
        operation.apply(row, changes(row), family=family)
        if consequences is not None:
            consequences(operation, family, before)
    operation.store()
    return [row for row in rows if row.operation is not None]


def _change_each(
    user: Actor,
    model: type[R],
    pks: Collection[int] | QuerySet[Any, Any],
    changes: Callable[[R], Mapping[str, Any]],
) -> list[R]:
    """Rows that concern no others: a chunk after the other, as with all their long texts they could take gigabytes."""
    locked, now, changed = feed.lock(user), timezone.now(), []
    before = locked.head
    found = [*_locked(user, model.objects.visible(), pks).values_list("pk", flat=True)]
    if len(found) > operations.MAX_ROWS:
        raise operations.too_large()
    for start in range(0, len(found), CHUNK):
        rows = list(_locked(user, model.objects.visible(), found[start : start + CHUNK]))
        diffs = [(row, row.apply(changes(row), user, now)) for row in rows]
        operations.store(user, locked, [RowChange(row, row.kind_of(diff), diff) for row, diff in diffs if diff], now)
        for row, diff in diffs:
            if diff:
                changed.append(row)
            for name in model.large:
                del row.__dict__[name]
    if len(found) > CHUNK:
        log.join(user, before)
        for row in changed:
            row.operation = locked.head
    return changed


def _locked(user: Actor, rows: OwnedQuerySet[R], pks: Collection[int] | QuerySet[Any, Any]) -> OwnedQuerySet[R]:
    chosen = one_of("pk", ArraySubquery(pks)) if isinstance(pks, QuerySet) else Q(pk__in=pks)
    return rows.for_user(user).filter(chosen).select_for_update().order_by("pk")


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
        for row in found[: operations.MAX_ROWS + 1 - len(changes)]:
            row.erase(now)
            changes.append(RowChange(row, Kind.ERASED, dict.fromkeys((*row.erasable(), "erased_at"), (None, None))))
    operation = operations.store(user, locked, changes, now)
    erased: dict[type[OwnedModel], list[int]] = {}
    for each in changes:
        erased.setdefault(type(each.row), []).append(each.row.pk)
    for model, pks in erased.items():
        log.erase(user, model.type_name(), pks)
        pruning.forget_answers(user.pk, pks)
    return operation


def _uid_taken(user: Actor, model: type[OwnedModel], uid: str) -> errors.UidTaken:
    name = model._meta.verbose_name
    existing = model.objects.for_user(user).visible().filter(uid=uid).first()
    if existing is None:
        return errors.UidTaken(f"The {name} with this uid was deleted; choose another uid.", pointer="/uid")
    return errors.UidTaken(f"You have a {name} with this uid already.", pointer="/uid", current=existing)
