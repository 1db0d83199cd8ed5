"""The version stands in one place, and the changelog tells what it brought."""

import os
import re
import subprocess
import sys

import pytest
import yaml

from config import VERSION
from tests.server import ROOT


@pytest.mark.process
@pytest.mark.parametrize("argument", ["version", "--version"])
def test_it_is_told_without_a_database_and_settings(argument: str) -> None:
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": "no address"}
    command = [sys.executable, "manage.py", argument]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == (f"Tickbase {VERSION}\n", "", 0)


def test_the_changelog_and_the_document_know_it() -> None:
    newest, *_ = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest == yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())["info"]["version"] == VERSION
