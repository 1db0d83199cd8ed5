"""The password hasher, with the parameters that OWASP recommends."""

import fcntl
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from django.contrib.auth.hashers import Argon2PasswordHasher

from config.environment.variables import HASHING_LOCK

Result = TypeVar("Result")

LOWEST = 19  # niceness


class OWASPArgon2PasswordHasher(Argon2PasswordHasher):
    """Argon2id with 19 MiB, two passes and one lane; Django's defaults are 100 MiB and eight lanes.

    Hashes with older parameters are replaced when their owners sign in. Until then, a refused sign-in to one of those
    accounts takes longer than any other, which cannot be avoided: the older parameters cost more.
    """

    memory_cost = 19 * 1024  # KiB
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        return _in_background(lambda: super(OWASPArgon2PasswordHasher, self).encode(password, salt))

    def verify(self, password: str, encoded: str) -> bool:
        return _in_background(lambda: super(OWASPArgon2PasswordHasher, self).verify(password, encoded))


def _in_background(hash_: Callable[[], Result]) -> Result:
    """Hash in a thread of the lowest priority, one at a time on this machine, so that sign-ins do not starve requests.

    Argon2 releases the GIL, so no other thread waits for this one. The thread does nothing else, as an unprivileged
    process cannot raise a priority again.
    """
    return _hasher().submit(_hash_in_turn, hash_).result()


@cache
def _hasher() -> ThreadPoolExecutor:
    def lower_priority() -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST)

    return ThreadPoolExecutor(1, thread_name_prefix="hasher", initializer=lower_priority)


def _hash_in_turn(hash_: Callable[[], Result]) -> Result:
    """Under the lock of a file that the workers of `serve` share; the system releases it when a worker is killed."""
    path = os.environ.get(HASHING_LOCK)
    if path is None:
        return hash_()
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        return hash_()
