"""`make test` starts no program beside PostgreSQL: what does so carries the marker `process`."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

WAYS: dict[str, Callable[[], object]] = {
    "subprocess": lambda: subprocess.run([sys.executable, "--version"]),
    "posix_spawn": lambda: os.posix_spawn(sys.executable, [sys.executable, "--version"], {}),
    "system": lambda: os.system("true"),
}


@pytest.mark.parametrize("start", WAYS.values(), ids=WAYS)
def test_without_the_marker_a_test_starts_no_program(start: Callable[[], object]) -> None:
    with pytest.raises(pytest.fail.Exception, match="starts a program: it needs the marker process"):
        start()


@pytest.mark.process
def test_with_the_marker_it_may() -> None:
    assert subprocess.run([sys.executable, "--version"], capture_output=True).returncode == 0
