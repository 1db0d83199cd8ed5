"""The counters that all processes share: in PostgreSQL, or in Redis when REDIS_URL is set.

A window begins with its first request. Each take is one atomic statement, never a read and then a write.
"""

import logging
import threading
import time
from itertools import count
from typing import NamedTuple, Protocol

from django.conf import settings
from django.db import connection
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.rates import Rate

logger = logging.getLogger(__name__)

SWEEP_EVERY = 1000  # takes of one process
SWEEP_ROWS = 1000
REDIS_SECONDS = 0.25  # for any one answer
RETRY_SECONDS = 5


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
                cursor.execute(self._SWEEP, [SWEEP_ROWS])
        return Taken(used, seconds_left)


class RedisCounters:
    """A number per key, which expires with its window."""

    # A script is atomic. Redis keeps a key for the last millisecond of its time, in which nothing is left of it.
    _TAKE = """
        local left = redis.call('PTTL', KEYS[1])
        if left > 0 then
            return {redis.call('INCRBY', KEYS[1], ARGV[1]), left}
        end
        redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
        return {tonumber(ARGV[1]), tonumber(ARGV[2])}
    """

    def __init__(self, url: str) -> None:
        # A connection that was closed while it was idle is replaced at once, any other error is told.
        redis = Redis.from_url(
            url,
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
            retry=Retry(NoBackoff(), 1),
        )
        self._take = redis.register_script(self._TAKE)

    def take(self, key: str, amount: int, rate: Rate) -> Taken:
        """Raises RedisError."""
        used, milliseconds = self._take(keys=[f"tickbase:rate:{key}"], args=[amount, rate.seconds * 1000])
        return Taken(int(used), int(milliseconds) / 1000)


class FallbackCounters:
    """Redis, or PostgreSQL while Redis is away; there a key's window begins anew."""

    def __init__(self, redis: Counters, postgres: Counters) -> None:
        self._redis = redis
        self._postgres = postgres
        self._lock = threading.Lock()
        self._is_away = False
        self._retry_at = 0.0  # time.monotonic()

    def take(self, key: str, amount: int, rate: Rate) -> Taken:
        if self._may_try():
            try:
                taken = self._redis.take(key, amount, rate)
            except RedisError as error:
                self._leave(error)
            else:
                self._return()
                return taken
        return self._postgres.take(key, amount, rate)

    def _may_try(self) -> bool:
        """While Redis is away, one request after the other tries it, and all others need not wait for that."""
        with self._lock:
            if not self._is_away:
                return True
            if time.monotonic() < self._retry_at:
                return False
            self._retry_at = time.monotonic() + RETRY_SECONDS
            return True

    def _leave(self, error: RedisError) -> None:
        with self._lock:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            is_news, self._is_away = not self._is_away, True
        if is_news:
            logger.error("Redis cannot count requests, PostgreSQL does so meanwhile: %s", error)

    def _return(self) -> None:
        with self._lock:
            is_news, self._is_away = self._is_away, False
        if is_news:
            logger.warning("Redis counts requests again.")


def shared_counters() -> Counters:
    """As the settings say."""
    if settings.REDIS_URL:
        return FallbackCounters(RedisCounters(settings.REDIS_URL), PostgresCounters())
    return PostgresCounters()
