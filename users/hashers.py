"""The password hasher, with the parameters that OWASP recommends."""

import fcntl
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from django.contrib.auth.hashers import Argon2PasswordHasher

from config.values import HASHING_LOCK

Result = TypeVar("Result")

LOWEST = 19  # of priorities: `nice`


class OWASPArgon2PasswordHasher(Argon2PasswordHasher):
    """Argon2id with 19 MiB, two passes and one lane; Django's defaults are 100 MiB and eight lanes.

    Hashes of before are replaced when their owners sign in. Until then, a refused sign-in to one of those accounts
    takes longer than any other: what costs more than today's parameters cannot be made to cost less.
    """

    memory_cost = 19 * 1024  # KiB
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        return _in_background(lambda: super(OWASPArgon2PasswordHasher, self).encode(password, salt))

    def verify(self, password: str, encoded: str) -> bool:
        return _in_background(lambda: super(OWASPArgon2PasswordHasher, self).verify(password, encoded))


def _in_background(hash_: Callable[[], Result]) -> Result:
    """A burst of sign-ins leaves the processors to others: one hash at a time on this machine, at the lowest priority.

    Argon2 releases Python's lock, so nothing waits for a thread that is passed over. The thread does nothing else: an
    ordinary user may lower a priority and not raise it again.
    """
    return _hasher().submit(_hash_in_turn, hash_).result()


@cache
def _hasher() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="hasher", initializer=_lower_priority)


def _lower_priority() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST)


def _hash_in_turn(hash_: Callable[[], Result]) -> Result:
    """The workers of `serve` share a file that one at a time locks; the system unlocks it when one is killed."""
    path = os.environ.get(HASHING_LOCK)
    if path is None:
        return hash_()
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        return hash_()
