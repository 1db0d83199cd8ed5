"""A circuit breaker around the database: while it is open, requests fail at once instead of waiting for a timeout."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

RETRY_SECONDS = 1.0


class DatabaseAway(psycopg.OperationalError):
    """The circuit breaker is open: a recent attempt failed, and this request made none."""


class CircuitBreaker:
    """Of one process. While it is open, one request at a time tries the database (half-open); all others fail."""

    def __init__(self) -> None:
        self._trial = threading.Lock()
        self._retry_at: float | None = None  # time.monotonic(); None while it is closed

    def open(self) -> None:
        self._retry_at = time.monotonic() + RETRY_SECONDS

    def close(self) -> None:
        self._retry_at = None

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Guards one attempt to connect. Raises DatabaseAway while the breaker is open."""
        retry_at = self._retry_at
        if retry_at is not None and (time.monotonic() < retry_at or not self._trial.acquire(blocking=False)):
            raise DatabaseAway("the database was away a moment ago")
        try:
            yield
        except psycopg.OperationalError:
            self.open()
            raise
        else:
            self.close()
        finally:
            if retry_at is not None:  # this was a trial
                self._trial.release()


breaker = CircuitBreaker()
