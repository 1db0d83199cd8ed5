"""The counters that all processes share: a PostgreSQL table with one row per key.

A window begins with its first request. Each take is one atomic statement, never a read and then a write. The clock is
the database's: those of processes and machines may differ.
"""

from collections.abc import Iterator, Mapping
from itertools import count
from typing import NamedTuple

from django.db import connection

from config.database.queries import Raw, run
from config.environment.rates import Rate

SWEEP_EVERY = 1000  # takes of one process
SWEEP_ROWS = 1000

# `used` stays near the limit, however often the refused come back. The statement's time is the same in
# all of its parts, so that a window which ends just now has ended for each of them.
_TAKE = """
    INSERT INTO config_rate_limit AS counter (key, used, resets_at)
    SELECT key, amount, statement_timestamp() + make_interval(secs => %s)
    FROM unnest(%s::uuid[], %s::int[]) AS taken (key, amount) ORDER BY key
    ON CONFLICT (key) DO UPDATE SET
        used = EXCLUDED.used
            + CASE WHEN counter.resets_at > statement_timestamp() THEN least(counter.used, %s) ELSE 0 END,
        resets_at =
            CASE WHEN counter.resets_at > statement_timestamp() THEN counter.resets_at ELSE EXCLUDED.resets_at END
    RETURNING replace(key::text, '-', ''), used, extract(epoch FROM resets_at - statement_timestamp())::float8
"""
# A row that is locked is in use, and would have to be waited for.
_SWEEP = """
    DELETE FROM config_rate_limit WHERE key IN (
        SELECT key FROM config_rate_limit WHERE resets_at <= statement_timestamp()
        ORDER BY resets_at LIMIT %s FOR UPDATE SKIP LOCKED
    )
"""

_takes = count(1)


class Taken(NamedTuple):
    """A window after a take."""

    used: int  # with what was asked for now; past the limit when less than that was left
    seconds_left: float

    def granted(self, asked: int, limit: int) -> int:
        return min(asked, max(0, asked - (self.used - limit)))


def take(key: str, amount: int, rate: Rate) -> Taken:
    """Count `amount` more in the window of a key (32 hexadecimal digits), or in a new one."""
    return take_each({key: amount}, rate)[key]


def take_each(amounts: Mapping[str, int], rate: Rate) -> dict[str, Taken]:
    """`take` of several keys, in their order, so that no two wait for each other."""
    found = run(Raw(_TAKE, [rate.seconds, [*amounts], [*amounts.values()], rate.limit]))
    taken = {key: Taken(used, seconds_left) for key, used, seconds_left in found}
    if next(_takes) % SWEEP_EVERY == 0:
        sweep()
    return taken


def sweep() -> int:
    """Forget some windows that have ended; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(_SWEEP, [SWEEP_ROWS])
        return int(cursor.rowcount)


def prune_windows() -> Iterator[int]:
    """Forget all windows that have ended, some at a time; yields how many."""
    while swept := sweep():
        yield swept
