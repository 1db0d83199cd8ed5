"""The benchmarks that no other test runs go through at a small size: their statements are those of today's tables."""

import re
import shutil
import subprocess
import sys

import pytest

from tests.server import ROOT

pytestmark = pytest.mark.process


def run(name: str, *arguments: str) -> str:
    command = [sys.executable, "-m", f"tests.benchmarks.{name}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_growth_measures_reads_searches_sizes_and_writes() -> None:
    out = run("growth", "--rows", "10000", "--repeats", "1")
    rows = [line.strip("| ").split(" | ") for line in out.splitlines() if line.startswith("|")]
    cells = {name: values for name, *values in rows}
    assert {"sort=title", "trash", "log.entries, 50 changes", "create", "nothing found", "users_change_pkey"} <= set(
        cells
    )
    for bytes_logged in (0, 2):  # of an insert, of a completion
        assert 0 < int(cells["all of these"][bytes_logged]) < int(cells["none"][bytes_logged])


def test_memory_reads_a_list_and_an_export_to_the_end() -> None:
    assert re.findall(r"(list|export) +of +(\d+) tasks", run("memory", "--requests", "0", "--tasks", "300")) == [
        ("list", "300"),
        ("export", "300"),
    ]


@pytest.mark.skipif(shutil.which("wrk") is None, reason="the load comes from wrk")
def test_memory_counts_mixed_requests() -> None:
    found = re.findall(r"(\d+) requests", run("memory", "--requests", "20", "--tasks"))
    assert len(found) == 10 and int(found[-1]) >= 20


def test_reminders_are_handed_over() -> None:
    out = run("reminders", "--count", "20", "--users", "5", "--seconds", "1")
    assert "20 of 20 handed over, 0 of them again, 0 early" in out
    assert re.findall(r"^lateness, s: p50 [\d.]+, p99 [\d.]+, most", out, re.M)


def test_streams_are_opened_and_woken() -> None:
    out = run("streams", "--streams", "20", "--idle", "0.5")
    assert re.findall(r"^(memory of each|CPU when idle|a GET beside them|wake-up)", out, re.M) == [
        "memory of each",
        "CPU when idle",
        "a GET beside them",
        "wake-up",
    ]
