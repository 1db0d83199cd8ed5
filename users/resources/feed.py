"""The change counter: one number per user, in commit order."""

from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeVar

from django.db import connection, transaction

from config.database.queries import Raw, Statement, run, run_all
from config.errors import LimitReached
from config.server import wakeups
from users.models import Feed
from users.services import AccountGone
from users.tokens.callers import Actor, Caller, standing_of

R = TypeVar("R")

# The account is locked first, as the sub-select is evaluated before the scan of the feed.
_ADVANCE = """
    UPDATE tasks_feed AS feed SET head = head + 1, live = live + %s, stored = stored + %s
    WHERE user_id = %s AND EXISTS (SELECT FROM {tables} WHERE {condition} FOR KEY SHARE OF account)
"""
_WITHIN = " AND live + %s <= %s AND stored + %s <= %s"

_OPEN = """
    INSERT INTO tasks_feed (user_id, head, floor, live, stored)
    SELECT account.id, base, base, 0, 0 FROM users_user AS account, users_epoch
    WHERE account.id = %s FOR KEY SHARE OF account
    ON CONFLICT (user_id) DO NOTHING RETURNING user_id
"""

_RESERVE = """
    INSERT INTO tasks_feed AS feed (user_id, head, floor, live, stored)
    SELECT account.id, base + amount, base, amount * %s, amount * %s
    FROM users_epoch, users_user AS account JOIN unnest(%s::bigint[], %s::bigint[]) AS asked (user_id, amount)
        ON account.id = user_id ORDER BY account.id FOR KEY SHARE OF account
    ON CONFLICT (user_id) DO UPDATE SET head = feed.head + EXCLUDED.head - EXCLUDED.floor,
        live = feed.live + EXCLUDED.live, stored = feed.stored + EXCLUDED.stored
    RETURNING user_id, head
"""

_TAKE_MANY = "UPDATE tasks_feed SET head = %s, live = %s, stored = %s WHERE user_id = %s"


class Growth(NamedTuple):
    """The increments of the number of visible rows, and of that of all rows, tombstones included."""

    live: int
    stored: int


UNCHANGED, CREATED = Growth(0, 0), Growth(1, 1)
UNLIMITED = 2**31 - 1


class NotAsAssumed(Exception):
    """A statement that assumes something of the account did nothing; perhaps as that does not hold."""


class TombstonesFull(Exception):
    """The limit of rows is reached by tombstones, not by visible rows."""


class Limit(NamedTuple):
    """The maximum of visible rows per account; including tombstones, twice as many."""

    most: int = UNLIMITED
    plural: str = "rows"

    def require_room(self, live: int, stored: int, growth: Growth) -> None:
        """For this growth of what there is. Raises LimitReached and TombstonesFull."""
        if growth.live > 0 and live + growth.live > self.most:
            raise LimitReached(
                f"You have {live} {self.plural}, and may have {self.most}; delete some first.", limit=self.most
            )
        if growth.stored > 0 and stored + growth.stored > 2 * self.most:
            raise TombstonesFull


def take(
    user: Actor,
    then: Statement[list[R]],
    growth: Growth = UNCHANGED,
    *,
    limit: Limit = Limit(),  # noqa: B008 (immutable)
    commit: bool = False,
    assuming: str = "",
) -> list[R]:
    """Increment the user's change counter in a CTE and run `then` with it, which finds it as `taken.head`.

    `then` comes after `WITH taken AS (…)`: a statement, or further CTEs.

    Without a standing, a feed, or room below the limit there is no number, and `then` must do nothing. The same where
    something is not so that the caller is `assuming` of the `account`: a condition in SQL, in place of a read of it.

    The feed is locked until the commit, so that the order of the numbers is the commit order. `then` must depend on
    `taken`, so that it locks its row after the feed. A rollback gives the number back. The account is locked before
    the feed, in the lock order of `delete_account`; the check of the foreign key would lock it only at the end, and
    deadlock.

    The statement's snapshot is older than its wait for the lock: `then` may insert, or update or read FOR UPDATE, which
    rereads a changed row but does not find one that came to match meanwhile.
    """
    sql, params = then.statement
    tables, condition, standing = standing_of(user)
    if assuming:
        condition = f"{condition} AND {assuming}"
    taking = [*growth, user.pk, *standing]
    if growth.live > 0:
        # What is restored is stored already, however many tombstones are left of a higher limit.
        most_stored = min(2 * limit.most, UNLIMITED) if growth.stored else UNLIMITED
        taking += [growth.live, limit.most, growth.stored, most_stored]
    statement = Raw(_taking(tables, condition, sql, is_limited=growth.live > 0), [*taking, *params])
    found = then.result(run(statement, commit=commit))
    if user.pk in wakeups.awaited:
        _wake(user.pk)
    return found


@lru_cache(maxsize=1024)
def _taking(tables: str, condition: str, then: str, *, is_limited: bool) -> str:
    advance = _ADVANCE.format(tables=tables, condition=condition) + (_WITHIN if is_limited else "")
    return f"WITH taken AS ({advance} RETURNING head){then}"


def advance(
    user: Actor,
    then: Statement[list[R]],
    growth: Growth = UNCHANGED,
    *,
    limit: Limit = Limit(),  # noqa: B008 (immutable)
    commit: bool = False,
    assuming: str = "",
) -> R:
    """`take`, for a `then` that returns one row for that of `taken`.

    Raises InvalidToken or EmailUnverified if the caller may not act any more, AccountGone without an account; beyond
    the limit, LimitReached or TombstonesFull; and NotAsAssumed.
    """
    while not (found := take(user, then, growth, limit=limit, commit=commit, assuming=assuming)):
        if not explain(user, growth, limit) and assuming:
            raise NotAsAssumed
    return found[0]


def explain(user: Actor, growth: Growth = UNCHANGED, limit: Limit = Limit()) -> bool:  # noqa: B008 (immutable)
    """Raise the reason why a statement did nothing, or remove it: the first write of an account makes its feed.
    Returns whether it has made that."""
    if isinstance(user, Caller):
        user.verify()
    if run(Raw(_OPEN, [user.pk])):
        return True
    feed = Feed.objects.filter(pk=user.pk).first()
    if feed is None:
        raise AccountGone("The account was deleted.")
    limit.require_room(feed.live, feed.stored, growth)
    return False


def reserve(amounts: dict[int, int], growth: Growth = UNCHANGED) -> dict[int, int]:
    """Increment the change counter of each of these users by an amount, each step with this `growth`, without a limit.

    Returns the values before. Locks as `advance` does. Raises AccountGone.
    """
    assert connection.in_atomic_block, "a feed number belongs to the transaction of its change"
    heads = dict(run(Raw(_RESERVE, [*growth, list(amounts), list(amounts.values())])))
    if heads.keys() != amounts.keys():
        raise AccountGone("An account was deleted.")
    for user_id in heads:
        if user_id in wakeups.awaited:
            _wake(user_id)
    return {user_id: head - amounts[user_id] for user_id, head in heads.items()}


def lock(user: Actor) -> Feed:
    """Lock the user's account and feed until the commit, for operations that read rows before they take numbers.

    Raises what `explain` raises.
    """
    feed, _ = lock_and_read(user)
    return feed


def lock_and_read(user: Actor, *reads: Statement[Any]) -> tuple[Feed, list[Any]]:
    """`lock`, and in the same message statements that run once it is locked, and so see what whoever waited sees."""
    assert connection.in_atomic_block, "the lock belongs to the transaction of its change"
    tables, condition, standing = standing_of(user)
    locking = Raw(_locking(tables, condition), [user.pk, *standing])
    while True:
        found, *rows = run_all([locking, *reads])
        if found:
            ((head, floor, live, stored),) = found
            return Feed(user_id=user.pk, head=head, floor=floor, live=live, stored=stored), rows
        explain(user)


@lru_cache(maxsize=16)
def _locking(tables: str, condition: str) -> str:
    acting = f"EXISTS (SELECT FROM {tables} WHERE {condition} FOR KEY SHARE OF account)"  # nosec B608
    return f"SELECT head, floor, live, stored FROM tasks_feed WHERE user_id = %s AND {acting} FOR UPDATE"  # nosec B608


def lock_existing(user_id: int) -> Feed | None:
    """Lock the feed alone, for what acts for nobody; None if the account was deleted."""
    return Feed.objects.select_for_update().filter(user_id=user_id).first()


def raise_floor(feed: Feed, version: int) -> None:
    """Entries up to this version may be gone from now on."""
    feed.floor = max(feed.floor, version)
    feed.save(update_fields=["floor"])


def take_many(feed: Feed, count: int, growth: Growth, limit: Limit) -> tuple[range, Raw]:
    """The next `count` versions of a locked feed, and the statement that takes them. Raises LimitReached and
    TombstonesFull."""
    limit.require_room(feed.live, feed.stored, growth)
    feed.head, feed.live, feed.stored = feed.head + count, feed.live + growth.live, feed.stored + growth.stored
    if feed.pk in wakeups.awaited:
        _wake(feed.pk)
    taking = Raw(_TAKE_MANY, [feed.head, feed.live, feed.stored, feed.pk])
    return range(feed.head - count + 1, feed.head + 1), taking


def _wake(user_id: int) -> None:
    """Tell who listens in this process, after the commit. Those in other workers poll."""
    transaction.on_commit(partial(wakeups.hint, user_id))


def version(user: Actor) -> Raw:
    """A statement that reads the change counter, its base before the first change; no row if the user may not act."""
    tables, condition, standing = standing_of(user)
    return Raw(_version(tables, condition), standing)


@lru_cache(maxsize=16)
def _version(tables: str, condition: str) -> str:
    joined = f"{tables} LEFT JOIN tasks_feed AS feed ON feed.user_id = account.id"
    head = "coalesce(feed.head, (SELECT base FROM users_epoch))"
    return f"SELECT {head} FROM {joined} WHERE {condition}"  # nosec B608: constants of ours


class Bounds(NamedTuple):
    """Where a user's log ends and begins, and in which epoch: up to the floor, entries may be gone."""

    head: int
    floor: int
    epoch: int


def bounds(user: Actor) -> Raw:
    """A statement that reads the Bounds, both at the base before the first change; no row if the user may not act."""
    tables, condition, standing = standing_of(user)
    return Raw(_bounds(tables, condition), standing)


@lru_cache(maxsize=16)
def _bounds(tables: str, condition: str) -> str:
    joined = f"users_epoch AS epoch, {tables} LEFT JOIN tasks_feed AS feed ON feed.user_id = account.id"
    columns = "coalesce(head, base), coalesce(floor, base), epoch.value"
    return f"SELECT {columns} FROM {joined} WHERE {condition}"  # nosec B608: constants of ours


def current_version(user: Actor) -> int:
    """The user's change counter. Raises what `Caller.verify` raises."""
    while not (found := run(version(user))):
        explain(user)
    return int(found[0][0])
