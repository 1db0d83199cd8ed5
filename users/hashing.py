"""A process of the lowest priority that hashes passwords: `python -I users/hashing.py` answers a line of JSON for each.

A thread of the service would do, as Argon2 gives up the GIL, but before and after it such a thread holds the GIL; with
other programs on the processors it may then wait for its turn, and the service with it (a priority inversion).

It imports neither Django nor Tickbase, so that it takes little memory, and ends when its stdin does.
"""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from argon2.low_level import Type, hash_secret

LOWEST = 19  # niceness


def answer(asked: dict[str, Any]) -> str | bool:
    """A hash of a password and a salt with these parameters, or whether a password has a hash."""
    secret = asked["password"].encode()
    if "salt" in asked:
        return hash_secret(secret, asked["salt"].encode(), type=Type.ID, **asked["parameters"]).decode()
    try:
        return PasswordHasher().verify(asked["hash"], secret)
    except (ValueError, VerificationError):  # of what is no hash, too
        return False


def step_back() -> None:
    """Leave the processors to all others. Linux weighs sessions against each other, and a niceness counts only within
    one (sched(7), autogroup), so this process gets a session of its own."""
    os.nice(LOWEST)
    with suppress(OSError):  # it leads one already, or this is no Linux
        os.setsid()
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(LOWEST))


def main() -> None:
    step_back()
    for line in sys.stdin:
        number, asked = json.loads(line)
        sys.stdout.write(f"{json.dumps([number, answer(asked)])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
