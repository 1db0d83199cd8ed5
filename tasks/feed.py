"""The change feed: one number per user, in commit order (design, section 2.3)."""

from typing import TypeVar

from django.db import connection

from config.database.compiled import Asked, Raw, run
from config.errors import Gone
from tasks.models import Feed, Task
from users.models import User
from users.services import AccountGone

R = TypeVar("R")

_ADVANCE = """
    INSERT INTO tasks_feed AS feed (user_id, head, floor)
    SELECT id, 1, 0 FROM users_user WHERE id = %s FOR KEY SHARE
    ON CONFLICT (user_id) DO UPDATE SET head = feed.head + 1
    RETURNING head
"""

_RESERVE = """
    INSERT INTO tasks_feed AS feed (user_id, head, floor)
    SELECT id, amount, 0 FROM users_user JOIN unnest(%s::bigint[], %s::bigint[]) AS asked (user_id, amount)
        ON id = user_id ORDER BY id FOR KEY SHARE OF users_user
    ON CONFLICT (user_id) DO UPDATE SET head = feed.head + EXCLUDED.head
    RETURNING user_id, head
"""


class CursorExpired(Gone):
    code = "cursor_expired"
    title = "The cursor is too old"


def advance(user: User, then: Asked[list[R]], *, is_last: bool = False) -> R:
    """Take the user's next number, and do one thing with it in the same statement, which finds it as `taken.head`.

    The feed is locked until the commit, which makes the numbers' order the commit order: whoever holds number n + 1
    began to wait before n was committed. Whatever `then` locks depends on `taken`, and so is locked later. A rollback
    gives the number back.

    The statement sees what was committed before it began to wait: `then` may insert, or read FOR UPDATE, which brings
    a row up to date; a row that came to match meanwhile is not found. It returns one row for the one of `taken`.

    The account is locked before the feed, as a foreign key's check would do only at the commit: too late, since
    whoever deletes the account locks it first and then wants the feed. Raises AccountGone.
    """
    assert connection.in_atomic_block, "a feed number belongs to the transaction of its change"
    sql, params = then.statement
    found = then.result(run(Raw(f"WITH taken AS ({_ADVANCE}) {sql}", [user.pk, *params]), is_last=is_last))
    if not found:
        raise AccountGone("The account was deleted.")
    return found[0]


def reserve(amounts: dict[int, int]) -> dict[int, int]:
    """Take so many numbers for each of these users, as `advance` takes one; returns the last ones taken before."""
    assert connection.in_atomic_block, "a feed number belongs to the transaction of its change"
    heads = dict(run(Raw(_RESERVE, [list(amounts), list(amounts.values())])))
    if heads.keys() != amounts.keys():
        raise AccountGone("An account was deleted.")
    return {user_id: head - amounts[user_id] for user_id, head in heads.items()}


def lock(user: User) -> None:
    """Keep other writers out until the commit; for whoever has to read before it is known how many numbers it takes."""
    Feed.objects.select_for_update().filter(user=user).first()


def known_head(user: User) -> int:
    """The user's last committed number: when the user was loaded, or now if that was without the feed; 0 before the
    first change."""
    try:
        return int(user.feed.head)
    except Feed.DoesNotExist:
        return 0


def since(user: User, version: int) -> list[Task]:
    """Tasks that changed after `version`, tombstones included, each as it is now, oldest change first.

    Raises CursorExpired for a version below the floor: of what was deleted since then, not all is known any more. The
    floor is read last, as pruning raises it with what it removes. Whoever begins, at 0, has nothing to delete.
    """
    changes = list(Task.objects.for_user(user).filter(version__gt=version).order_by("version"))
    if 0 < version < _floor(user):
        raise CursorExpired("Too much has been deleted since then; fetch all tasks anew.")
    return changes


def _floor(user: User) -> int:
    return Feed.objects.filter(user=user).values_list("floor", flat=True).first() or 0
