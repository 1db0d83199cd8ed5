"""The change feed: one number per user, in commit order (design, section 2.3)."""

from django.db import connection

from tasks.models import Feed, Task
from tasks.querysets import TaskQuerySet
from users.models import User
from users.services import AccountGone

_ADVANCE = """
    INSERT INTO tasks_feed AS feed (user_id, head, floor)
    SELECT id, 1, 0 FROM users_user WHERE id = %s FOR KEY SHARE
    ON CONFLICT (user_id) DO UPDATE SET head = feed.head + 1
    RETURNING head
"""


def advance(user: User) -> int:
    """Take the user's next number, in one statement that also locks the feed until the commit.

    The lock is what makes the numbers' order the commit order: whoever holds number n + 1 began to
    wait before n was committed. Always taken before any task's lock. A rollback gives the number back.

    The account is locked before the feed, as a foreign key's check would do only at the commit: too late, since
    whoever deletes the account locks it first and then wants the feed. Raises AccountGone.
    """
    assert connection.in_atomic_block, "a feed number belongs to the transaction of its change"
    with connection.cursor() as cursor:
        cursor.execute(_ADVANCE, [user.pk])
        row = cursor.fetchone()
    if row is None:
        raise AccountGone("The account was deleted.")
    return int(row[0])


def head(user: User) -> int:
    """The user's last committed number; 0 before the first change."""
    return Feed.objects.filter(user=user).values_list("head", flat=True).first() or 0


def since(user: User, version: int) -> TaskQuerySet:
    """Tasks that changed after `version`, tombstones included, each as it is now, oldest change first."""
    return Task.objects.for_user(user).filter(version__gt=version).order_by("version")
