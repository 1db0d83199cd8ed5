"""Hashing a password leaves the processors to others: one at a time, by a process of the lowest priority."""

import fcntl
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from config.environment.variables import HASHING_LOCK
from users import hashers, hashing

pytestmark = pytest.mark.process

PASSWORD = "correct horse battery"


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """As `serve` makes it."""
    path = tmp_path / "lock"
    path.touch()
    monkeypatch.setenv(HASHING_LOCK, str(path))
    process = hashers._Process()
    monkeypatch.setattr(hashers, "_process", process)
    yield path
    process._end()


@pytest.fixture
def hasher(lock: Path) -> hashers.OWASPArgon2PasswordHasher:
    return hashers.OWASPArgon2PasswordHasher()


def waiters(path: Path) -> int:
    """Threads that wait for a lock on the file."""
    inode = f":{path.stat().st_ino} "
    return sum("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines())


def child() -> psutil.Process:
    (found,) = (each for each in psutil.Process().children() if hashing.__file__ in each.cmdline())
    return found


def test_a_hash_waits_while_another_worker_hashes(lock: Path, hasher: hashers.OWASPArgon2PasswordHasher) -> None:
    with ThreadPoolExecutor(1) as other, lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        hashed = other.submit(hasher.encode, PASSWORD, "a salt of it")
        while not waiters(lock):
            assert not hashed.done()
        fcntl.flock(held, fcntl.LOCK_UN)
        assert hasher.verify(PASSWORD, hashed.result())


def test_the_process_has_the_lowest_priority_and_no_secrets(hasher: hashers.OWASPArgon2PasswordHasher) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    hashed = hasher.encode(PASSWORD, "a salt of it")
    assert (child().nice(), os.getpriority(os.PRIO_PROCESS, 0)) == (hashing.LOWEST, before)
    if (group := Path(f"/proc/{child().pid}/autogroup")).exists():  # else a niceness counts everywhere
        assert group.read_text().endswith(f"nice {hashing.LOWEST}\n")
    assert child().environ() == {}
    assert PASSWORD not in " ".join(child().cmdline())
    assert hasher.verify(PASSWORD, hashed) and not hasher.verify(f"{PASSWORD}!", hashed)


def test_it_hashes_as_this_process_does(
    hasher: hashers.OWASPArgon2PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = hasher.encode("Grüße \U0001f600", "a salt of it")
    monkeypatch.delenv(HASHING_LOCK)
    assert hasher.encode("Grüße \U0001f600", "a salt of it") == hashed
    assert hasher.verify("Grüße \U0001f600", hashed)


@pytest.mark.parametrize("hashed", ["argon2$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$", "argon2$", "argon2", "argon2$ö"])
def test_what_is_no_hash_is_nobodys(hasher: hashers.OWASPArgon2PasswordHasher, hashed: str) -> None:
    assert not hasher.verify(PASSWORD, hashed)
    assert child().is_running()


def test_one_that_is_killed_is_started_again(hasher: hashers.OWASPArgon2PasswordHasher) -> None:
    hashed = hasher.encode(PASSWORD, "a salt of it")
    killed = child()
    killed.kill()
    assert hasher.verify(PASSWORD, hashed)
    assert child() != killed


def test_an_answer_to_something_else_does_not_count(
    hasher: hashers.OWASPArgon2PasswordHasher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = hasher.encode(PASSWORD, "a salt of it")
    hashers._process._end()
    late = tmp_path / "late.py"
    late.write_text("import sys\nfor line in sys.stdin: print('[1, true]', flush=True)\n")
    monkeypatch.setattr(hashing, "__file__", str(late))
    with pytest.raises(OSError, match="ends at once"):
        hasher.verify("another password", hashed)


def test_it_ends_with_its_worker(hasher: hashers.OWASPArgon2PasswordHasher) -> None:
    hasher.encode(PASSWORD, "a salt of it")
    process = hashers._process._child
    assert process is not None and process.stdin is not None and process.stdout is not None
    process.stdin.close()
    process.stdout.close()
    assert process.wait(30) == 0
    hashers._process._child = None
