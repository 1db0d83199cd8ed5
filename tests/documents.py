"""Reads the README and the pages below docs/: their sections, tables, and the commands with what they print."""

import re
from pathlib import Path
from typing import NamedTuple

from tests.server import ROOT

README = ROOT / "README.md"
GUIDE = sorted(path for path in (ROOT / "docs" / "guide").glob("*.md") if path.name != "README.md")
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.M | re.S)
SHOWN = ("json", "text")


class Step(NamedTuple):
    """A block of code, and the block right after it that shows what it prints."""

    code: str
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


def steps(text: str, language: str = "bash") -> list[Step]:
    """Shell commands are `bash`; those in `sh` are for operators."""
    found: list[Step] = []
    previous = ""
    for kind, block in BLOCK.findall(text):
        if kind == language:
            found.append(Step(block, "", ""))
        elif kind in SHOWN:
            assert previous not in SHOWN, "one block of code shows one output"
            if previous == language:
                found[-1] = found[-1]._replace(language=kind, shown=block)
        previous = kind
    return found
