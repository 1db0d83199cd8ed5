"""The counters that all processes share: in PostgreSQL, or in Redis when REDIS_URL is set.

A window begins with its first request. Each take is one atomic statement, never a read and then a write.
"""

from collections.abc import Iterator
from itertools import count
from typing import NamedTuple, Protocol

from django.conf import settings
from django.db import connection

from config.environment.rates import Rate

SWEEP_EVERY = 1000  # takes of one process
SWEEP_ROWS = 1000


class Taken(NamedTuple):
    """A window after a take."""

    used: int  # with what was asked for now; past the limit when less than that was left
    seconds_left: float

    def granted(self, asked: int, limit: int) -> int:
        return min(asked, max(0, asked - (self.used - limit)))


class Counters(Protocol):
    def take(self, key: str, amount: int, rate: Rate) -> Taken:
        """Count `amount` more in the window of a key (32 hexadecimal digits), or in a new one."""


class PostgresCounters:
    """A row per key. By the database's clock: those of processes and machines may differ."""

    # `used` stays near the limit, however often the refused come back. The statement's time is the same in
    # all of its parts, so that a window which ends just now has ended for each of them.
    _TAKE = """
        INSERT INTO config_rate_limit AS counter (key, used, resets_at)
        VALUES (%(key)s, %(amount)s, statement_timestamp() + make_interval(secs => %(seconds)s))
        ON CONFLICT (key) DO UPDATE SET
            used = %(amount)s
                + CASE WHEN counter.resets_at > statement_timestamp() THEN least(counter.used, %(limit)s) ELSE 0 END,
            resets_at =
                CASE WHEN counter.resets_at > statement_timestamp() THEN counter.resets_at ELSE EXCLUDED.resets_at END
        RETURNING used, extract(epoch FROM resets_at - statement_timestamp())::float8
    """
    # A row that is locked is in use, and would have to be waited for.
    _SWEEP = """
        DELETE FROM config_rate_limit WHERE key IN (
            SELECT key FROM config_rate_limit WHERE resets_at <= statement_timestamp()
            ORDER BY resets_at LIMIT %s FOR UPDATE SKIP LOCKED
        )
    """

    def __init__(self) -> None:
        self._takes = count(1)

    def take(self, key: str, amount: int, rate: Rate) -> Taken:
        values: dict[str, str | int] = {"key": key, "amount": amount, "limit": rate.limit, "seconds": rate.seconds}
        with connection.cursor() as cursor:
            cursor.execute(self._TAKE, values)
            used, seconds_left = cursor.fetchone()
        if next(self._takes) % SWEEP_EVERY == 0:
            self.sweep()
        return Taken(used, seconds_left)

    def sweep(self) -> int:
        """Forget some windows that have ended; returns how many."""
        with connection.cursor() as cursor:
            cursor.execute(self._SWEEP, [SWEEP_ROWS])
            return int(cursor.rowcount)


def prune_windows() -> Iterator[int]:
    """Forget all windows that have ended, some at a time; yields how many."""
    counters = PostgresCounters()
    while swept := counters.sweep():
        yield swept


def shared_counters() -> Counters:
    """As the settings say."""
    if settings.REDIS_URL:
        from config.http.limits.redis_counters import (  # as in config.environment.rates: slow to import
            FallbackCounters,
            RedisCounters,
        )

        return FallbackCounters(RedisCounters(settings.REDIS_URL), PostgresCounters())
    return PostgresCounters()
