"""How the code is cut: sizes of packages, files and functions, private helpers used once, and what a request costs.

`python -m tests.benchmarks.house`. Counts, so that they can be compared from commit to commit.
"""

import ast
import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import django
from django.core.management import call_command

from tests.benchmarks.run import data_dir
from tests.server import ROOT

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


def costs() -> Iterator[str]:
    """What each route costs, on a new PostgreSQL."""
    os.environ |= {"DATA_DIR": str(data_dir()), "DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": ""}
    django.setup()
    call_command("migrate", verbosity=0)
    from config.database.isolation import all_users
    from tests.benchmarks.yardsticks import Counts, counted, counted_system_calls, routes
    from tests.factories import make_user

    yield f"{'':16}" + "".join(f"{name:>13}" for name in (*Counts._fields, "system_calls"))
    with all_users(), open(os.devnull, "w") as nowhere:
        for handler in logging.root.handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(nowhere)  # lines are written, which counts, and not shown
        user = make_user()
        for name, route in routes(user).items():
            counts = (*counted(user, route), counted_system_calls(user, route))
            yield f"{name:16}" + "".join(f"{count:13,}" for count in counts)


if __name__ == "__main__":
    sys.stdout.write("\n".join([*report(), *costs()]) + "\n")
