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
        self._lock = threading.Lock()
        self._is_open = False
        self._is_tried = False
        self._retry_at = 0.0  # time.monotonic()

    def open(self) -> None:
        with self._lock:
            self._is_open = True
            self._retry_at = time.monotonic() + RETRY_SECONDS

    def close(self) -> None:
        self._is_open = False

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Guards one attempt to connect. Raises DatabaseAway while the breaker is open."""
        with self._lock:
            is_trial = self._is_open
            if is_trial and (self._is_tried or time.monotonic() < self._retry_at):
                raise DatabaseAway("the database was away a moment ago")
            self._is_tried |= is_trial
        try:
            yield
        except psycopg.OperationalError:
            self.open()
            raise
        else:
            self.close()
        finally:
            if is_trial:
                self._is_tried = False


breaker = CircuitBreaker()
