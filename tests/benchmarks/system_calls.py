"""Counts the system calls of this thread, as strace does and without it: a forked child traces it (ptrace(2))."""

import ctypes
import os
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from signal import SIGTRAP

PTRACE_DETACH, PTRACE_SYSCALL, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 24, 0x4206, 0x4207
PTRACE_O_TRACESYSGOOD = 1  # stops at system calls have a bit of their own
SYSCALL_STOP = SIGTRAP | 0x80
WALL = 0x40000000  # wait for a thread, too
PR_SET_PTRACER, ANYBODY = 0x59616D61, ctypes.c_ulong(-1)


class NotPermittedError(Exception):
    """This system has no ptrace, or lets nobody use it."""


def count(call: Callable[[], object]) -> int:
    """Raises NotPermittedError."""
    return _between_stops(call) - _between_stops(lambda: None)


def _between_stops(call: Callable[[], object]) -> int:
    if sys.platform != "linux":
        raise NotPermittedError("system calls are counted on Linux")
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANYBODY, 0, 0, 0)  # where Yama restricts it to ancestors
    thread = threading.get_native_id()
    (told, tell), (ended, end) = os.pipe(), os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside other threads: the child only traces
        tracer = os.fork()
    if tracer == 0:
        os._exit(_trace(thread, ended, tell))
    try:
        if os.read(told, 8) != b"attached":
            raise NotPermittedError("ptrace is not permitted here")
        try:
            call()
        finally:
            os.write(end, b".")
        return int(os.read(told, 20))
    finally:
        os.waitpid(tracer, 0)
        for descriptor in (told, tell, ended, end):
            os.close(descriptor)


def _trace(thread: int, ended: int, tell: int) -> int:
    """In the child: count the calls of the thread until it has written to the pipe of which this is the other end."""
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_long, ctypes.c_long]
    if ptrace(PTRACE_SEIZE, thread, 0, PTRACE_O_TRACESYSGOOD) != 0 or ptrace(PTRACE_INTERRUPT, thread, 0, 0) != 0:
        os.write(tell, b"refused.")
        return 1
    os.waitpid(thread, WALL)
    os.write(tell, b"attached")
    os.set_blocking(ended, False)
    stops = signum = 0
    while True:
        ptrace(PTRACE_SYSCALL, thread, 0, signum)
        _, status = os.waitpid(thread, WALL)
        is_call = os.WIFSTOPPED(status) and os.WSTOPSIG(status) == SYSCALL_STOP
        stops += is_call
        signum = 0 if is_call or status >> 16 else os.WSTOPSIG(status)  # which the thread shall receive
        with suppress(BlockingIOError):
            os.read(ended, 1)
            ptrace(PTRACE_DETACH, thread, 0, 0)
            os.write(tell, b"%d" % (stops // 2))  # one at the entry and one at the exit
            return 0
