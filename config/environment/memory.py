"""The memory of a process: how much it holds, and how glibc gives back what it needs no more."""

import ctypes
import resource
from contextlib import suppress
from pathlib import Path

GROWTH = 16 * 1024 * 1024  # bytes, from which on memory is given back
M_MMAP_THRESHOLD = -3  # of glibc's malloc.h


def return_large_blocks() -> None:
    """To the system, as soon as they are free. Once one of megabytes was freed, glibc would learn to keep such blocks
    in its heaps, where small ones that live on hold them."""
    with suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 128 * 1024)


def give_back(before: int) -> int:
    """Let glibc return free pages from amid its heaps; of itself it returns only those at their ends. It takes
    milliseconds, so only of a process that has grown since it held `before` bytes. Returns what the next call is to
    be given."""
    if resident() > before + GROWTH:
        with suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
        before = resident()
    return min(before, resident())


def resident() -> int:
    """Bytes of memory that this process holds; 0 where there is no /proc."""
    with suppress(FileNotFoundError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return 0
