"""The README is true: its walk-through runs, and its tables name what the code has."""

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.conf import settings
from django.urls import get_resolver
from drf_spectacular.generators import SchemaGenerator

from config.errors import DomainError
from config.rest import problems
from tasks.api.filters import TaskListQuery
from tests.server import Server

README: Path = settings.BASE_DIR / "README.md"
BASE = "http://127.0.0.1:8000"
# Members that differ from run to run; they are compared by type, so that null stays null.
VOLATILE = {
    "id", "uid", "user_id", "request_id", "access", "refresh", "created_at", "updated_at", "completed_at",
}  # fmt: skip
SEPARATOR = "\x1e"


def section(heading: str) -> str:
    """The text below `## heading`."""
    [text] = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", README.read_text(), re.M | re.S)
    return str(text)


# --- The walk-through -------------------------------------------------------------------------------


class Step(NamedTuple):
    """A shell block, and the block right after it that shows what it prints."""

    shell: str
    language: str
    shown: str


def steps() -> list[Step]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", section("A walk-through with curl"), re.M | re.S)
    assert {language for language, _ in blocks} == {"bash", "json", "text"}
    found: list[Step] = []
    for language, text in blocks:
        if language == "bash":
            found.append(Step(text, "", ""))
        else:
            assert not found[-1].shown, "one shell block shows one output"
            found[-1] = found[-1]._replace(language=language, shown=text)
    return found


STEPS = steps()


@pytest.fixture(scope="module")
def printed(server: Server) -> list[str]:
    """What each step prints, all run in one shell; shorter than the steps if one of them fails."""
    script = "".join(f"{step.shell}printf '\\036'\n" for step in STEPS)
    assert script.count(f"BASE={BASE}\n") == 1
    script = "set -euo pipefail\n" + script.replace(BASE, server.base)
    done = subprocess.run(["bash", "-c", script], cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=120)
    outputs = done.stdout.replace("\r", "").replace(server.base, BASE).split(SEPARATOR)
    if done.returncode or done.stderr:
        step = STEPS[min(len(outputs), len(STEPS)) - 1].shell
        pytest.fail(f"exit status {done.returncode} in or after:\n{step}\n{outputs[-1]}{done.stderr}")
    return outputs[:-1]


def settled(value: Any) -> Any:
    """JSON with its volatile members replaced by the names of their types."""
    if isinstance(value, list):
        return [settled(item) for item in value]
    if isinstance(value, dict):
        return {name: type(member).__name__ if name in VOLATILE else settled(member) for name, member in value.items()}
    return value


@pytest.mark.parametrize("number", range(len(STEPS)), ids=lambda number: f"step{number + 1}")
def test_the_walk_through_prints_what_the_readme_shows(printed: list[str], number: int) -> None:
    step, output = STEPS[number], printed[number]
    if step.language == "json":
        assert settled(json.loads(output)) == settled(json.loads(step.shown))
    elif "…" in step.shown:
        assert re.fullmatch(re.escape(step.shown).replace("…", ".+"), output), output
    else:
        assert output == step.shown


# --- The tables -------------------------------------------------------------------------------------


def table(heading: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    rows = [line.strip("| ").split(" | ") for line in section(heading).splitlines() if line.startswith("| ")]
    return rows[1:]


def names_in(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


SECRET_READERS = {"secret", "env_secret"}
READERS = SECRET_READERS | {
    "env",
    "env_bool",
    "env_choice",
    "env_int",
    "env_list",
    "env_networks",
    "env_path",
    "env_rate",
}


def variables() -> Iterator[tuple[str, str | None]]:
    """Each variable that the settings read, with its default as one would write it, None if it is not constant."""
    for call in ast.walk(ast.parse((settings.BASE_DIR / "config/settings.py").read_text())):
        match call:
            case ast.Call(func=ast.Name(id=reader), args=[ast.Constant(value=str(name)), *rest]) if reader in READERS:
                yield name, constant(rest)
                if reader in SECRET_READERS:
                    yield f"{name}_FILE", None


def constant(arguments: list[ast.expr]) -> str | None:
    match arguments:
        case [ast.Constant(value=bool(default)), *_]:
            return str(default).lower()
        case [ast.Constant(value=default), *_]:
            return str(default)
    return None


def test_the_configuration_table_names_every_variable_once() -> None:
    documented = [name for row in table("Configuration") for name in names_in(row[0])]
    assert sorted(documented) == sorted({name for name, _ in variables()})


def test_the_configuration_table_shows_the_defaults() -> None:
    shown = {name: row[1] for row in table("Configuration") for name in names_in(row[0])}
    expected = {name: f"`{default}`" for name, default in variables() if default is not None}
    assert len(expected) >= 8
    assert {name: shown[name] for name in expected} == expected


def test_settings_read_the_environment_only_through_their_helpers() -> None:
    source = (settings.BASE_DIR / "config/settings.py").read_text()
    assert re.findall(r"\benviron\b|\bgetenv\b", source) == []


def test_the_routes_are_those_of_the_schema() -> None:
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    served = {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}
    documented = [name for row in table("The contract") for name in names_in(row[0])]
    assert sorted(documented) == sorted(served)


def test_the_parameters_of_the_list_are_all_there() -> None:
    text = section("The contract").partition("**Parameters of the list**")[2].partition("**Errors**")[0]
    named = names_in(" ".join(line.partition(":")[0] for line in text.splitlines()))
    assert sorted([*named, "cursor"]) == sorted(TaskListQuery().fields)


def domain_errors(base: type[DomainError] = DomainError) -> Iterator[type[DomainError]]:
    """Every kind that is raised: those at the ends of the family."""
    for kind in base.__subclasses__():
        if not kind.__module__.startswith("tests."):
            yield from [] if kind.__subclasses__() else [kind]
            yield from domain_errors(kind)


def test_the_error_codes_are_those_of_the_code() -> None:
    assert get_resolver().url_patterns  # loads every module that may define an error
    text = section("The contract").partition("**Errors**")[2]
    documented = {
        (int(status), code) for status, line in re.findall(r"^- (\d+) ([^:\n]+)", text, re.M) for code in names_in(line)
    }
    own = [kind for kind in vars(problems).values() if isinstance(kind, problems.Kind)]
    raised = {(kind.status, kind.code) for kind in [*own, *problems.KINDS.values()]}
    # With 400, the kind of a domain error is told in `errors`.
    raised |= {(kind.status, kind.code) for kind in domain_errors() if kind.status != 400}
    assert documented == raised


@pytest.mark.parametrize("path", re.findall(r"`([\w.]+/[\w./]*)`", section("How the tree is laid out")))
def test_the_tree_has_what_the_readme_names(path: str) -> None:
    assert (settings.BASE_DIR / path).exists()


def test_make_knows_every_target() -> None:
    makefile = (settings.BASE_DIR / "Makefile").read_text()
    for target in re.findall(r"\bmake (\w+)(?=`|\n| ARGS)", README.read_text()):
        assert re.search(rf"^{target}:", makefile, re.M), target
