"""Spends the shared counters from leases: a process takes some permits at once, and asks again when they are gone.

A permit is taken before it is spent, so no limit is ever exceeded. The price is that a process may still hold
permits when another one has to refuse: at most `lease_of(rate) - 1` of a key in each other process. Limits below
100 lease single permits, and are exact.
"""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from config.environment.rates import Rate
from config.http.limits.counters import Counters, shared_counters

LEASES = 50  # per window
MAX_WINDOWS = 10_000  # keys that a process remembers; about 3 MB


class Decision(NamedTuple):
    """Whether a request may pass, and what is left of its window."""

    is_granted: bool
    remaining: int
    seconds_left: float


@dataclass(slots=True)
class _Window:
    """What this process knows of a key. `ends_at` is never later than the shared window's end."""

    ends_at: float = 0.0  # time.monotonic()
    permits: int = 0  # leased and not spent
    unleased: int = 0  # nobody's, when we asked last
    is_asking: bool = False

    @property
    def remaining(self) -> int:
        return self.permits + self.unleased


def lease_of(rate: Rate) -> int:
    """How many permits a process takes at once."""
    return max(1, rate.limit // LEASES)


class Limiter:
    """Thread-safe. Its lock is never held while the counters are asked."""

    def __init__(self, counters: Counters, *, max_windows: int = MAX_WINDOWS) -> None:
        self._counters = counters
        self._max_windows = max_windows
        self._lock = threading.Lock()
        self._windows: OrderedDict[str, _Window] = OrderedDict()  # the least recently used first

    def take(self, key: str, rate: Rate) -> Decision:
        """Count one request of this key. Raises what the counters raise."""
        with self._lock:
            window = self._window(key)
            if decision := _spend(window):
                return decision
            # Whoever comes while another thread asks for the lease takes just its own permit: nobody waits,
            # and the process does not hold two leases.
            takes_lease = not window.is_asking
            window.is_asking = True
        try:
            return self._ask(window, key, rate, lease_of(rate) if takes_lease else 1)
        finally:
            if takes_lease:
                window.is_asking = False

    def _window(self, key: str) -> _Window:
        window = self._windows.setdefault(key, _Window())
        self._windows.move_to_end(key)
        if len(self._windows) > self._max_windows:
            self._windows.popitem(last=False)  # its permits are lost, never doubled
        return window

    def _ask(self, window: _Window, key: str, rate: Rate, amount: int) -> Decision:
        # Measured before, so that our window ends before the shared one: a permit that is left over must
        # not be spent in the next window.
        asked_at = time.monotonic()
        taken = self._counters.take(key, amount, rate)
        granted = taken.granted(amount, rate.limit)
        unleased = max(0, rate.limit - taken.used)
        with self._lock:
            _keep(window, max(0, granted - 1), unleased, asked_at + taken.seconds_left)
        return Decision(granted > 0, max(0, granted - 1) + unleased, taken.seconds_left)


def _spend(window: _Window) -> Decision | None:
    """Decide without asking: a permit is here, or is known not to be anywhere until the window ends."""
    seconds_left = window.ends_at - time.monotonic()
    if seconds_left <= 0 or (window.permits == 0 and window.unleased > 0):
        return None
    if window.permits == 0:
        return Decision(False, 0, seconds_left)
    window.permits -= 1
    return Decision(True, window.remaining, seconds_left)


def _keep(window: _Window, permits: int, unleased: int, ends_at: float) -> None:
    now = time.monotonic()
    if ends_at <= now:
        return  # the answer took longer than the window
    if window.ends_at <= now:
        window.permits, window.unleased = 0, unleased
    window.permits += permits
    window.unleased = min(window.unleased, unleased)  # answers overtake each other
    window.ends_at = max(window.ends_at, ends_at)


@cache
def limiter() -> Limiter:
    """The one of this process."""
    return Limiter(shared_counters())
