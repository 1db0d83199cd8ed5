"""The tables and lists of the README and of docs/ name what the code has."""

import ast
import re
from collections.abc import Iterator

from django.conf import settings
from django.urls import get_resolver
from drf_spectacular.generators import SchemaGenerator

from config.errors import DomainError
from config.http import problems
from tasks.filters import TaskListQuery
from tests.documents import PAGES, names_in, section, table
from tests.server import ROOT

API, LIST, ERRORS = (ROOT / "docs" / "guide" / f"{name}.md" for name in ("README", "list", "errors"))

SECRET_READERS = {"secret", "env_secret"}
READERS = SECRET_READERS | {
    "env",
    "env_bool",
    "env_choice",
    "env_headers",
    "env_int",
    "env_list",
    "env_networks",
    "env_origins",
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
    documented = [name for row in table("The contract", API) for name in names_in(row[0])]
    assert sorted(documented) == sorted(served)


def test_the_parameters_of_the_list_are_all_there() -> None:
    lines = [line for line in section("Parameters", LIST).splitlines() if line.startswith("- ")]
    named = names_in(" ".join(line.partition(":")[0] for line in lines))
    assert sorted([*named, "cursor"]) == sorted(TaskListQuery().fields)


def domain_errors(base: type[DomainError] = DomainError) -> Iterator[type[DomainError]]:
    """Every kind that is raised: those at the ends of the family."""
    for kind in base.__subclasses__():
        if not kind.__module__.startswith("tests."):
            yield from [] if kind.__subclasses__() else [kind]
            yield from domain_errors(kind)


def test_the_error_codes_are_those_of_the_code() -> None:
    assert get_resolver().url_patterns  # loads every module that may define an error
    text = section("Codes", ERRORS)
    documented = {
        (int(status), code) for status, line in re.findall(r"^- (\d+) ([^:\n]+)", text, re.M) for code in names_in(line)
    }
    own = [kind for kind in vars(problems).values() if isinstance(kind, problems.Kind)]
    raised = {(kind.status, kind.code) for kind in [*own, *problems.KINDS.values()]}
    # With 400, the kind of a domain error is told in `errors`.
    raised |= {(kind.status, kind.code) for kind in domain_errors() if kind.status != 400}
    assert documented == raised


def test_make_knows_every_target() -> None:
    makefile = (settings.BASE_DIR / "Makefile").read_text()
    named = {target for page in PAGES for target in re.findall(r"\bmake ([\w-]+)(?=`|\n| ARGS)", page.read_text())}
    assert {"run", "test", "test-all"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.M), target
