"""Keeps the measured server on one core, and what measures it on another."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Cores(NamedTuple):
    """None where nothing is pinned."""

    server: int | None
    load: int | None  # also PostgreSQL's


UNPINNED = Cores(None, None)


def available() -> Cores:
    if not hasattr(os, "sched_getaffinity"):  # as on macOS
        return UNPINNED
    cores = sorted(os.sched_getaffinity(0))
    return Cores(cores[0], cores[1]) if len(cores) > 1 else UNPINNED


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """What is started within this stays on the core; so do its threads and children, which inherit it."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
