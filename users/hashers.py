"""The password hasher, with the parameters that OWASP recommends."""

import fcntl
import json
import os
import subprocess
import sys
from contextlib import suppress
from typing import Any, cast

from django.contrib.auth.hashers import Argon2PasswordHasher

from config.environment.variables import HASHING_LOCK
from users import hashing

PARAMETERS = ("time_cost", "memory_cost", "parallelism", "hash_len")
TRIES = 2  # it may have been killed since the last hash, perhaps as memory was short


class OWASPArgon2PasswordHasher(Argon2PasswordHasher):
    """Argon2id with 19 MiB, two passes and one lane; Django's defaults are 100 MiB and eight lanes.

    Hashes with older parameters are replaced when their owners sign in. Until then, a refused sign-in to one of those
    accounts takes longer than any other, which cannot be avoided: the older parameters cost more.
    """

    memory_cost = 19 * 1024  # KiB
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        parameters = {name: getattr(self.params(), name) for name in PARAMETERS}
        return f"{self.algorithm}{_answer({'password': password, 'salt': salt, 'parameters': parameters})}"

    def verify(self, password: str, encoded: str) -> bool:
        return _answer({"password": password, "hash": f"${encoded.partition('$')[2]}"}) is True


def _answer(asked: dict[str, Any]) -> str | bool:
    """In `serve`, one at a time on this machine and at the lowest priority, so that sign-ins do not starve requests.

    Its workers share the lock of a file, which the system releases when one of them is killed.
    """
    path = os.environ.get(HASHING_LOCK)
    if path is None:
        return hashing.answer(asked)
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        return _process.answer(asked)


class _Process:
    """Started when it is first needed, and again if it was killed. To be used by one thread at a time."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None
        self._number = 0  # of what is asked: the answer to something else must never count

    def answer(self, asked: dict[str, Any]) -> str | bool:
        for _ in range(TRIES):
            self._number += 1
            with suppress(BrokenPipeError, ValueError):
                number, answer = json.loads(self._exchange(json.dumps([self._number, asked])))
                if number == self._number:
                    return cast("str | bool", answer)
            self._end()
        raise OSError("the process that hashes passwords ends at once")

    def _exchange(self, line: str) -> str:
        """Empty if it has ended."""
        if self._child is None:
            # Without the environment, of which it needs nothing, and which has secrets.
            command = [sys.executable, "-I", hashing.__file__]
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}, text=True)
        assert self._child.stdin is not None and self._child.stdout is not None
        self._child.stdin.write(f"{line}\n")
        self._child.stdin.flush()
        answer: str = self._child.stdout.readline()
        return answer

    def _end(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None


_process = _Process()
