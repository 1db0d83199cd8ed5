"""How the code is cut: sizes of packages, files and functions, private helpers used once, and what a request enters.

`python -m tests.benchmarks.house`. Counts, so that they can be compared from commit to commit.
"""

import ast
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("config", "users", "tasks")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> list[Path]:
    """Without migrations, and without packages' empty ones."""
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(path for path in found if "migrations" not in path.parts and len(path.read_text().splitlines()) > 1)


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield node


def lengths(path: Path) -> list[int]:
    return [(node.end_lineno or 0) - node.lineno + 1 for node in functions(path)]


def helpers_used_once() -> int:
    """Private functions and methods whose name occurs once beside their definition."""
    text = "\n".join(path.read_text() for path in modules())
    words = Counter(re.findall(r"\w+", text))
    names = [node.name for path in modules() for node in functions(path)]
    private = [name for name in names if name.startswith("_") and not name.startswith("__")]
    defined = Counter(private)
    return sum(words[name] == 2 for name in private if defined[name] == 1)


def entered(call: Callable[[], Any]) -> tuple[set[str], set[str]]:
    """The project's files and functions that a call runs through, in this thread."""
    files: set[str] = set()
    names: set[str] = set()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        path = frame.f_code.co_filename
        if event == "call" and any(path.startswith(f"{ROOT / package}/") for package in PACKAGES):
            files.add(str(Path(path).relative_to(ROOT)))
            if "<" not in frame.f_code.co_name:  # lambdas and comprehensions
                names.add(f"{path}:{frame.f_code.co_qualname}")

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return files, names


def percentile(values: list[int], percent: int) -> int:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def report() -> Iterator[str]:
    for package in PACKAGES:
        own = [path for path in modules() if path.is_relative_to(ROOT / package)]
        yield f"{package}: {len(own)} modules, {sum(len(path.read_text().splitlines()) for path in own):,} lines"
    sizes = [len(path.read_text().splitlines()) for path in modules()]
    yield f"files: median {percentile(sizes, 50)} lines, 90th percentile {percentile(sizes, 90)}"
    bodies = [length for path in modules() for length in lengths(path)]
    yield f"functions: {len(bodies)}, median {percentile(bodies, 50)} lines, 90th percentile {percentile(bodies, 90)}"
    once = helpers_used_once()
    yield f"private helpers used once: {once}, {once * 100 / len(bodies):.0f} % of all functions"


if __name__ == "__main__":
    sys.stdout.write("\n".join(report()) + "\n")
