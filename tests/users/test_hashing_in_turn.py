"""Hashing a password leaves the processors to others: one at a time on a machine, at the lowest priority."""

import fcntl
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.environment.variables import HASHING_LOCK
from users import hashers


def waiters(path: Path) -> int:
    """Threads that wait for a lock on the file."""
    inode = f":{path.stat().st_ino} "
    return sum("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines())


def test_a_hash_waits_while_another_worker_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    path.touch()
    monkeypatch.setenv(HASHING_LOCK, str(path))
    hasher = hashers.OWASPArgon2PasswordHasher()
    with ThreadPoolExecutor(1) as other, path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        hashed = other.submit(hasher.encode, "correct horse battery", "a salt of it")
        while not waiters(path):
            assert not hashed.done()
        fcntl.flock(held, fcntl.LOCK_UN)
        assert hasher.verify("correct horse battery", hashed.result())


def test_hashes_have_the_lowest_priority_and_nothing_else_has() -> None:
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = priority()
    assert hashers._in_background(priority) == hashers.LOWEST
    assert priority() == before
