"""The table of `python -m tests.chaos` goes on, whatever becomes of one fault."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial

import pytest

from tests.chaos import __main__ as chaos
from tests.chaos import disk_full
from tests.chaos.outcome import Outcome
from tests.server import ROOT

MET = Outcome("a fault", "a goal", "a measurement", "a control", True)


def fail(error: Exception) -> Outcome:
    raise error


@pytest.mark.parametrize("error", [AssertionError("gone | away\nat length"), OSError("gone | away")])
def test_a_fault_that_fails_in_whatever_way_is_missed_and_the_next_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    faults: dict[str, Callable[[], Outcome]] = {"broken": partial(fail, error), "well": lambda: MET}
    monkeypatch.setattr(chaos, "FAULTS", faults)
    assert chaos.main([]) == 1
    broken, well = capsys.readouterr().out.splitlines()[2:]
    assert broken == f"| broken |  | {type(error).__name__}: gone / away |  | MISSED (0 s) |"
    assert well == "| a fault | a goal | a measurement | a control | met (0 s) |"


def test_a_fault_that_needs_root_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(disk_full, "CAN_MOUNT", False)
    assert chaos.main(["disk"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == ["| disk |  |  |  | skipped: needs root |"]


@pytest.mark.process
def test_the_program_needs_no_settings_and_names_what_there_is() -> None:
    asked = subprocess.run([sys.executable, "-m", "tests.chaos", "none"], cwd=ROOT, capture_output=True, text=True)
    assert (asked.returncode, asked.stderr.splitlines()) == (
        1,
        [f"unknown: none; there are: {', '.join(chaos.FAULTS)}"],
    )
