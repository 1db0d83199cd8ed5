"""Reads the README and the pages below docs/: their sections, tables, and the commands with what they print."""

import re
from pathlib import Path
from typing import NamedTuple

from tests.server import ROOT

README = ROOT / "README.md"
GUIDE = sorted(path for path in (ROOT / "docs" / "guide").glob("*.md") if path.name != "README.md")
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.M | re.S)


class Step(NamedTuple):
    """A shell block, and the block right after it that shows what it prints."""

    shell: str
    language: str
    shown: str


def section(heading: str, page: Path = README) -> str:
    """The text below `## heading` or `### heading`, to the next of its kind."""
    [text] = re.findall(rf"^##+ {re.escape(heading)}\n(.*?)(?=^##+ |\Z)", page.read_text(), re.M | re.S)
    return str(text)


def table(heading: str, page: Path = README) -> list[list[str]]:
    """The cells of a section's first table, without its head."""
    rows = [line.strip("| ").split(" | ") for line in section(heading, page).splitlines() if line.startswith("| ")]
    return rows[1:]


def names_in(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def blocks(text: str, language: str) -> list[str]:
    return [block for found, block in BLOCK.findall(text) if found == language]


def steps(text: str) -> list[Step]:
    """Of `bash` blocks; those in `sh` are for operators."""
    found: list[Step] = []
    for language, block in BLOCK.findall(text):
        if language == "bash":
            found.append(Step(block, "", ""))
        elif language in ("json", "text"):
            assert not found[-1].shown, "one shell block shows one output"
            found[-1] = found[-1]._replace(language=language, shown=block)
    return found
