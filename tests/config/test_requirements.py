"""requirements.txt and requirements-dev.txt name all that is needed: they are installed without looking for more."""

import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from itertools import product

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.server import ROOT

Machine = dict[str, str]  # the names that markers know (PEP 508)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FILES = {
    "requirements.txt": PROJECT["dependencies"],
    "requirements-dev.txt": [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]],
}
MACHINES = [("linux", "Linux", "x86_64"), ("linux", "Linux", "aarch64"), ("darwin", "Darwin", "arm64")]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def environments() -> Iterator[Machine]:
    for (platform, system, machine), python in product(MACHINES, PYTHONS):
        yield {
            **here(),
            **{"sys_platform": platform, "platform_system": system, "platform_machine": machine},
            **{"python_version": python, "python_full_version": f"{python}.0"},
        }


def here() -> Machine:
    return {name: str(value) for name, value in default_environment().items()}


def pinned(file: str, given: Machine) -> dict[str, Requirement]:
    lines = [line.strip() for line in (ROOT / file).read_text().splitlines()]
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(each.name): each for each in found if applies(each, given, "")}


def applies(requirement: Requirement, given: Machine, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({**given, "extra": extra})


def needed(lines: list[str], given: Machine) -> Iterator[Requirement]:
    """And what that needs, and so on, as far as it is installed here."""
    waiting = [(Requirement(line), "") for line in lines]
    met = set()
    while waiting:
        requirement, extra = waiting.pop()
        key = (str(requirement), extra)
        if key in met or not applies(requirement, given, extra):
            continue
        met.add(key)
        yield requirement
        try:
            more = [Requirement(line) for line in requires(requirement.name) or ()]
        except PackageNotFoundError:  # it is for another machine
            continue
        waiting += [(each, extra) for each in more for extra in ("", *requirement.extras)]


@pytest.mark.thorough
@pytest.mark.parametrize("file", FILES)
def test_all_that_is_needed_is_pinned(file: str) -> None:
    for given in environments():
        found = pinned(file, given)
        for requirement in needed(FILES[file], given):
            own = found.get(canonicalize_name(requirement.name))
            assert own is not None, f"{requirement} is missing for {given['sys_platform']}, {given['python_version']}"
            [exact] = own.specifier
            assert exact.operator == "==" and requirement.specifier.contains(exact.version, prereleases=True)


def test_development_has_the_versions_that_serve() -> None:
    given = here()
    ours, theirs = pinned("requirements.txt", given), pinned("requirements-dev.txt", given)
    assert {name: theirs[name].specifier for name in ours} == {name: each.specifier for name, each in ours.items()}
