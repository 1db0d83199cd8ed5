"""Writes of resources, the only ones, and the read of one row, which has the same errors.

Each write takes effect in one transaction, with one number of the change counter; `change` may need several attempts.
Lock order: the account, its feed, then the row; `users.api.idempotency` has the whole.
"""

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from functools import cache
from typing import Any, TypeVar

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from config.database.queries import run
from config.database.transactions import retried, retried_transaction
from config.errors import Conflict, NotFound, PreconditionFailed, violated_constraint
from config.values import nfc
from users.models import Kind
from users.resources import feed, log, statements, tombstones
from users.resources.models import OwnedModel, new_uid
from users.tokens.callers import Actor

R = TypeVar("R", bound=OwnedModel)

OPTIMISTIC_ATTEMPTS = 2  # of a change, before it takes the lock


class UidTaken(Conflict):
    code = "uid_taken"
    title = "The uid is taken"


class StaleVersion(PreconditionFailed):
    """A failed If-Match; carries the current row."""


class RowNotFound(NotFound):
    """The base of each resource's own error; `not_found` makes them."""


@cache
def not_found(model: type[OwnedModel]) -> type[RowNotFound]:
    """The error class of a model, with its code and title: `task_not_found`, No such task."""
    name = str(model._meta.verbose_name)
    code = f"{name.replace(' ', '_')}_not_found"
    members = {"code": code, "title": f"No such {name}", "__module__": model.__module__}
    return type(f"{model.__name__}NotFound", (RowNotFound,), members)


def no_such(model: type[OwnedModel], by: str = "id") -> RowNotFound:
    """One error for another user's row and for one that does not exist."""
    return not_found(model)(f"You have no {model._meta.verbose_name} with this {by}.")


def not_in_trash(model: type[OwnedModel]) -> RowNotFound:
    return not_found(model)(f"There is no {model._meta.verbose_name} with this id in your trash.")


def insert(user: Actor, model: type[R], sent: Mapping[str, Any]) -> R:
    """Insert a row. Not within a transaction of the caller's, which a taken uid would abort.

    Raises Invalid, UidTaken, which carries the existing row unless that one was deleted, LimitReached, and AccountGone
    if the account is deleted meanwhile.
    """
    uid = nfc(sent["uid"]) if sent.get("uid") else new_uid()
    rest = {name: value for name, value in sent.items() if name != "uid"}
    while True:
        try:
            return _insert(user, model, uid, rest)
        except feed.TombstonesFull:
            tombstones.make_room(user, model, limit_of(model).most)
        except IntegrityError as error:
            if violated_constraint(error) == f"{model._meta.db_table}_uid":
                raise _uid_taken(user, model, uid) from error
            raise


@retried
def _insert(user: Actor, model: type[R], uid: str, sent: Mapping[str, Any]) -> R:
    """One statement. Within a transaction, such as that of an Idempotency-Key, a savepoint saves it from a taken
    uid."""
    now = timezone.now()
    row = model.made_of(user_id=user.pk, uid=uid, created_at=now, updated_at=now)
    row.apply(sent, user, now)
    entry = log.append_params(user, log.RowChange(row, Kind.CREATED, row.content()), now)
    with transaction.atomic() if connection.in_atomic_block else nullcontext():
        row.version, row.pk = feed.advance(
            user, statements.of(model).insert(row, entry), _grown(model, feed.CREATED), limit=limit_of(model)
        )
    row._state.adding = False
    row.operation = row.version
    return row


@retried
def change(
    user: Actor,
    model: type[R],
    pk: int,
    changes: Callable[[R], Mapping[str, Any]],
    expected: Collection[int] | None = None,
) -> R:
    """Apply the changes that are computed from the row; without any difference, no number is taken.

    Optimistic: the row is read, and written only if its version is still the same, so that no transaction waits for
    Python. A race that is lost twice is decided by the lock; each loss leaves a number that no row has.

    Raises RowNotFound, Invalid, and StaleVersion unless the version is among the expected ones.
    """
    for _ in range(OPTIMISTIC_ATTEMPTS):
        row: R = checked(_looked_up(statements.of(model).read(user, pk)), model, expected)
        now = timezone.now()
        diff = row.apply(changes(row), user, now)
        if not diff:
            return row
        row.updated_at = now
        entry = log.append_params(user, log.RowChange(row, row.kind_of(diff), diff), now)
        written = feed.take(user, statements.of(model).compare_and_set(row, (*diff, "updated_at"), entry))
        if written:
            ((row.version, _),) = written
            row.operation = row.version
            return row
    return _change_locked(user, model, pk, changes, expected)


def _change_locked(
    user: Actor,
    model: type[R],
    pk: int,
    changes: Callable[[R], Mapping[str, Any]],
    expected: Collection[int] | None,
) -> R:
    with transaction.atomic():
        row = locked(user, model, pk, expected)
        now = timezone.now()
        diff = row.apply(changes(row), user, now)
        if diff:
            return _store(user, row, log.RowChange(row, row.kind_of(diff), diff), now)
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
        raise no_such(model, by)
    return row


def _looked_up(lookup: statements.Lookup[R]) -> R | None:
    while not (found := run(lookup)):
        feed.explain(lookup.actor)
    return found[0]


def locked(
    user: Actor,
    model: type[R],
    pk: int,
    expected: Collection[int] | None = None,
    growth: feed.Growth = feed.UNCHANGED,
) -> R:
    """Take the next number, then read the row FOR UPDATE; it is to be stored with that number as its version.

    The feed's lock excludes other services, the row's lock excludes writes that bypass them. Raises RowNotFound, and
    StaleVersion unless the version is among the expected ones.
    """
    assert connection.in_atomic_block, "the lock belongs to the transaction of its change"
    taken: tuple[int, R | None] = feed.advance(user, statements.of(model).lock(user.pk, pk), growth)
    version, found = taken
    row = checked(found, model, expected)
    row.next_version = version
    return row


def checked(row: R | None, model: type[R], expected: Collection[int] | None) -> R:
    if row is None:
        raise no_such(model)
    if expected is not None and row.version not in expected:
        raise StaleVersion(
            f"The {model._meta.verbose_name} is at version {row.version} now; merge your change into `current` and try "
            "again.",
            current=row,
        )
    return row


@retried_transaction
def bury(user: Actor, model: type[R], pk: int, expected: Collection[int] | None = None) -> R:
    """Turn the row into a tombstone. Raises RowNotFound and StaleVersion."""
    row = locked(user, model, pk, expected, _grown(model, feed.DELETED))
    now = timezone.now()
    row.deleted_at = now
    return _store(user, row, log.RowChange(row, Kind.DELETED, {"deleted_at": (None, now)}), now)


@retried_transaction
def revive(user: Actor, model: type[R], pk: int, expected: Collection[int] | None = None) -> R:
    """Restore a tombstone; its uid was kept.

    Raises RowNotFound for all but tombstones that can be restored, StaleVersion and LimitReached.
    """
    trashed = statements.of(model).lock_trashed(user.pk, pk)
    taken: tuple[int, R | None] = feed.advance(user, trashed, _grown(model, feed.RESTORED), limit=limit_of(model))
    version, found = taken
    if found is None:
        raise not_in_trash(model)
    row = checked(found, model, expected)
    row.next_version = version
    return _store(user, row, revived(row, user), timezone.now())


def revived(row: OwnedModel, user: Actor) -> log.RowChange:
    """The change that takes a tombstone out of the trash."""
    before = row.values()
    row.deleted_at = None
    row.follow_zone(user)
    return log.RowChange(row, Kind.RESTORED, row.diff(before))


def _store(user: Actor, row: R, changed: log.RowChange, now: dt.datetime) -> R:
    entry = log.append_params(user, changed, now)
    row.version, row.updated_at = row.next_version, now
    run(statements.of(type(row)).update(row, (*changed.diff, "version", "updated_at"), entry), commit=True)
    row.operation = row.version
    return row


def limit_of(model: type[OwnedModel]) -> feed.Limit:
    most = model.limit_setting and getattr(settings, model.limit_setting)
    return feed.Limit(most, str(model._meta.verbose_name_plural)) if most else feed.Limit()


def _grown(model: type[OwnedModel], growth: feed.Growth) -> feed.Growth:
    """The growth of models with a limit; rows of others are not counted."""
    return growth if model.limit_setting else feed.UNCHANGED


def _uid_taken(user: Actor, model: type[OwnedModel], uid: str) -> UidTaken:
    name = model._meta.verbose_name
    existing = model.objects.for_user(user).visible().filter(uid=uid).first()
    if existing is None:
        return UidTaken(f"The {name} with this uid was deleted; choose another uid.", pointer="/uid")
    return UidTaken(f"You have a {name} with this uid already.", pointer="/uid", current=existing)
