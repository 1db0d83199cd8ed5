"""The shared counters in Redis, and in PostgreSQL while Redis is away."""

import logging
import threading
import time

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.environment.rates import Rate
from config.http.limits.counters import Counters, Taken

logger = logging.getLogger(__name__)

REDIS_SECONDS = 0.25  # for any one answer
RETRY_SECONDS = 5


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
