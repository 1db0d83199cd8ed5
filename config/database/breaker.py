"""Remembers that the database is away, so that not every request waits in vain to find out."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

RETRY_SECONDS = 1.0


class DatabaseAway(psycopg.OperationalError):
    """Nobody has reached the database a moment ago; this request has not tried."""


class Outage:
    """Of one process. While it lasts, one request at a time tries the database, and all others are refused."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_on = False
        self._is_tried = False
        self._retry_at = 0.0  # time.monotonic()

    def begin(self) -> None:
        with self._lock:
            self._is_on = True
            self._retry_at = time.monotonic() + RETRY_SECONDS

    def end(self) -> None:
        self._is_on = False

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Around whatever reaches the database or fails. Raises DatabaseAway in place of another attempt."""
        is_trial = self._claim()
        try:
            yield
        except psycopg.OperationalError:
            self.begin()
            raise
        else:
            self.end()
        finally:
            if is_trial:
                self._is_tried = False

    def _claim(self) -> bool:
        with self._lock:
            if not self._is_on:
                return False
            if self._is_tried or time.monotonic() < self._retry_at:
                raise DatabaseAway("the database was away a moment ago")
            self._is_tried = True
            return True


outage = Outage()
