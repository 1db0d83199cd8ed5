"""The change counter: one number per user, in commit order."""

from typing import NamedTuple, TypeVar

from django.db import connection

from config.database.queries import Raw, Statement, run
from config.errors import Gone, LimitReached
from users.models import Feed, User
from users.resources.models import OwnedModel
from users.services import AccountGone

R = TypeVar("R")
M = TypeVar("M", bound=OwnedModel)

# Beyond the limit the feed's row is locked nevertheless, and `taken` is empty.
_ADVANCE = """
    INSERT INTO tasks_feed AS feed (user_id, head, floor, live, stored)
    SELECT id, 1, 0, %s, %s FROM users_user WHERE id = %s FOR KEY SHARE
    ON CONFLICT (user_id) DO UPDATE
        SET head = feed.head + 1, live = feed.live + EXCLUDED.live, stored = feed.stored + EXCLUDED.stored
        WHERE EXCLUDED.live <= 0
            OR feed.live + EXCLUDED.live <= %s AND feed.stored + EXCLUDED.stored <= %s
    RETURNING head
"""

_RESERVE = """
    INSERT INTO tasks_feed AS feed (user_id, head, floor, live, stored)
    SELECT id, amount, 0, amount * %s, amount * %s FROM users_user JOIN unnest(%s::bigint[], %s::bigint[])
        AS asked (user_id, amount) ON id = user_id ORDER BY id FOR KEY SHARE OF users_user
    ON CONFLICT (user_id) DO UPDATE SET
        head = feed.head + EXCLUDED.head, live = feed.live + EXCLUDED.live, stored = feed.stored + EXCLUDED.stored
    RETURNING user_id, head
"""


class Growth(NamedTuple):
    """The increments of the number of visible rows, and of that of all rows, tombstones included."""

    live: int
    stored: int


UNCHANGED, CREATED, DELETED, RESTORED = Growth(0, 0), Growth(1, 1), Growth(-1, 0), Growth(1, 0)
UNLIMITED = 2**31 - 1


class Limit(NamedTuple):
    """The maximum of visible rows per account; including tombstones, twice as many."""

    most: int = UNLIMITED
    plural: str = "rows"


class TombstonesFull(Exception):
    """The limit of rows is reached by tombstones, not by visible rows."""


class CursorExpired(Gone):
    code = "cursor_expired"
    title = "The cursor is too old"


def advance(
    user: User,
    then: Statement[list[R]],
    growth: Growth = UNCHANGED,
    *,
    limit: Limit = Limit(),  # noqa: B008 (immutable)
    commit: bool = False,
) -> R:
    """Increment the user's change counter in a CTE and run `then` with it, which finds it as `taken.head`.

    The feed is locked until the commit, so that the order of the numbers is the commit order. `then` must depend on
    `taken`, so that it locks its row after the feed. A rollback gives the number back.

    The statement's snapshot is older than its wait for the lock: `then` may insert, or read FOR UPDATE, which rereads a
    changed row but does not find one that came to match meanwhile. It returns one row for the one of `taken`.

    The account is locked before the feed, in the lock order of `delete_account`; the check of the foreign key would
    lock it only at the commit, and deadlock. Raises AccountGone; and beyond the limit, LimitReached or TombstonesFull.
    """
    assert connection.in_atomic_block, "a feed number belongs to the transaction of its change"
    sql, params = then.statement
    taking = [*growth, user.pk, limit.most, min(2 * limit.most, UNLIMITED)]
    found = then.result(run(Raw(f"WITH taken AS ({_ADVANCE}) {sql}", [*taking, *params]), commit=commit))
    if not found:
        raise _refusal(user, growth, limit)
    return found[0]


def _refusal(user: User, growth: Growth, limit: Limit) -> Exception:
    feed = Feed.objects.filter(user=user).first()
    if feed is None or growth.live <= 0:
        return AccountGone("The account was deleted.")
    if feed.live + growth.live <= limit.most:
        return TombstonesFull()
    detail = f"You have {feed.live} {limit.plural}, and may have {limit.most}; delete some first."
    return LimitReached(detail, limit=limit.most)


def reserve(amounts: dict[int, int], growth: Growth = UNCHANGED) -> dict[int, int]:
    """Increment the change counter of each of these users by an amount, each step with this `growth`, without a limit.

    Returns the values before. Locks as `advance` does. Raises AccountGone.
    """
    assert connection.in_atomic_block, "a feed number belongs to the transaction of its change"
    heads = dict(run(Raw(_RESERVE, [*growth, list(amounts), list(amounts.values())])))
    if heads.keys() != amounts.keys():
        raise AccountGone("An account was deleted.")
    return {user_id: head - amounts[user_id] for user_id, head in heads.items()}


def lock(user: User) -> None:
    """Lock the user's feed until the commit, for operations that read rows before they `reserve` numbers."""
    Feed.objects.select_for_update().filter(user=user).first()


def current_version(user: User) -> int:
    """The user's change counter: as loaded with the user, or else read now; 0 before the first change."""
    try:
        return int(user.feed.head)
    except Feed.DoesNotExist:
        return 0


def since(user: User, model: type[M], version: int) -> list[M]:
    """The rows that changed after `version`, tombstones included, each as it is now, oldest change first.

    Raises CursorExpired for a version below the floor, since tombstones after it were pruned; at 0, the first sync
    needs none. The floor is read last, as pruning raises it in the transaction that deletes them.
    """
    changes = list(model.objects.for_user(user).changed_after(version))
    if version > 0 and Feed.objects.filter(user=user, floor__gt=version).exists():
        raise CursorExpired(f"Too much has been deleted since then; fetch all {model._meta.verbose_name_plural} anew.")
    return changes
