"""Permits of rate limits: a process leases several at once from the shared counters, and spends them one by one.

A permit is taken before it is spent, so no limit is ever exceeded. But a process may hold permits while another one
refuses: at most `lease_of(rate) - 1` of a key in each other process. Limits below 100 lease single permits, and are
exact.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from config.environment.rates import Rate
from config.http.limits import counters

LEASES = 50  # in a window
MAX_WINDOWS = 10_000  # in the memory of a process; about 3 MB


class Decision(NamedTuple):
    is_granted: bool
    remaining: int  # of the window
    seconds_left: float


@dataclass(slots=True)
class _Window:
    """The window of a key as this process knows it. It never ends later than the shared one."""

    ends_at: float = 0.0  # time.monotonic()
    permits: int = 0  # leased by this process, and not spent
    unleased: int = 0  # left for any process, at the last lease
    is_leasing: bool = False

    def spend(self) -> Decision | None:
        """Decide without the shared counters: a permit is here, or there is none anywhere until the window ends."""
        seconds_left = self.ends_at - time.monotonic()
        if seconds_left <= 0 or (self.permits == 0 and self.unleased > 0):
            return None
        if self.permits == 0:
            return Decision(False, 0, seconds_left)
        self.permits -= 1
        return Decision(True, self.permits + self.unleased, seconds_left)

    def add(self, permits: int, unleased: int, ends_at: float) -> None:
        now = time.monotonic()
        if ends_at <= now:
            return  # the shared counters took longer to answer than the window lasts
        if self.ends_at <= now:
            self.permits, self.unleased = 0, unleased
        self.permits += permits
        self.unleased = min(self.unleased, unleased)  # answers overtake each other
        self.ends_at = max(self.ends_at, ends_at)


def lease_of(rate: Rate) -> int:
    """How many permits a process takes at once."""
    return max(1, rate.limit // LEASES)


class Limiter:
    """Thread-safe; holds no lock while it waits for the shared counters."""

    def __init__(self, *, max_windows: int = MAX_WINDOWS) -> None:
        self._max_windows = max_windows
        self._lock = threading.Lock()
        self._windows: OrderedDict[str, _Window] = OrderedDict()  # least recently used first

    def take(self, key: str, rate: Rate, before_lease: Callable[[], None] | None = None) -> Decision:
        """Count one request of this key. Raises what the counters raise, and `before_lease`, which is called first."""
        with self._lock:
            if (window := self._windows.get(key)) is None:
                window = self._windows[key] = _Window()
                if len(self._windows) > self._max_windows:
                    self._windows.popitem(last=False)  # its permits are lost, never doubled
            else:
                self._windows.move_to_end(key)
            if decision := window.spend():
                return decision
            # While another thread takes a lease, this one takes a single permit: nobody waits, and the process does
            # not hold two leases.
            takes_lease = not window.is_leasing
            window.is_leasing = True
        try:
            if before_lease:
                before_lease()
            return self._lease(window, key, rate, lease_of(rate) if takes_lease else 1)
        finally:
            if takes_lease:
                window.is_leasing = False

    def _lease(self, window: _Window, key: str, rate: Rate, amount: int) -> Decision:
        # The clock is read first, so that our window ends before the shared one: a permit that is left over must not
        # be spent in the next window.
        asked_at = time.monotonic()
        taken = counters.take(key, amount, rate)
        granted = taken.granted(amount, rate.limit)
        left, unleased = max(0, granted - 1), max(0, rate.limit - taken.used)
        with self._lock:
            window.add(left, unleased, asked_at + taken.seconds_left)
        return Decision(granted > 0, left + unleased, taken.seconds_left)


@cache
def limiter() -> Limiter:
    return Limiter()
