"""Runs a Dockerfile's very steps without an engine, in a folder that stands for the image's file system."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

NOBODY = "10001"


class Step(NamedTuple):
    keyword: str
    rest: str


class Stage:
    """What `FROM` begins. Only what is below `/app` and `/opt` is its own; all else is this machine's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workdir = root
        self.environment: dict[str, str] = {}
        self.user: str | None = None
        self.commands: dict[str, list[str]] = {}  # CMD and HEALTHCHECK

    def place(self, path: str, *, relative_to: Path | None = None) -> Path:
        return self.root / path.lstrip("/") if path.startswith("/") else (relative_to or self.workdir) / path

    def inside(self, text: str) -> str:
        return re.sub(r"(?<![\w/])/(app|opt)\b", lambda found: f"{self.root}{found[0]}", text)

    def command(self, words: list[str]) -> list[str]:
        """As the image's user, where this machine lets us become it; who may read what root may, such as a Python
        below its home, and write nothing of it."""
        found = shutil.which(words[0], path=self.environment["PATH"]) or words[0]
        reads = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        as_user = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", *reads]
        return [*(as_user if self.user and os.geteuid() == 0 else []), found, *words[1:]]


def steps(text: str) -> list[Step]:
    joined = re.sub(r"\\\n", " ", text)
    lines = [line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [Step(*line.split(None, 1)) for line in lines]


def build(tree: Path, folder: Path) -> Stage:
    """The last stage."""
    context = _context(tree, folder / "context")
    stages: dict[str, Stage] = {}
    for keyword, rest in steps((tree / "Dockerfile").read_text()):
        if keyword == "FROM":
            name = rest.partition(" AS ")[2] or "last"
            stage = stages[name] = Stage(folder / name)
            stage.root.mkdir()
        elif keyword == "COPY":
            _copy(rest.split(), stage, context, stages)
        else:
            _run(Step(keyword, rest), stage)
    return stage


def _context(tree: Path, context: Path) -> Path:
    """What `.dockerignore` lets through; ours names that."""
    for line in (tree / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            source, target = tree / line[1:], context / line[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
    return context


def _copy(words: list[str], stage: Stage, context: Path, stages: dict[str, Stage]) -> None:
    origin = context
    if words[0].startswith("--from="):
        origin = stages[words.pop(0).removeprefix("--from=")].root
    source, target = origin / words[0].lstrip("/"), stage.place(words[1])
    if source.is_dir():
        link = shutil.copy2 if origin == context else os.link  # a virtual environment has thousands of files
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, copy_function=link)
    elif words[1].endswith("/") or target.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    else:
        shutil.copy(source, target)


def _run(step: Step, stage: Stage) -> None:
    match step.keyword:
        case "WORKDIR":
            stage.workdir = stage.place(step.rest)
            stage.workdir.mkdir(parents=True, exist_ok=True)
        case "ENV":
            known = {"PATH": os.environ["PATH"], **stage.environment}
            given = dict(word.split("=", 1) for word in shlex.split(stage.inside(step.rest)))
            stage.environment = known | {name: value.replace("$PATH", known["PATH"]) for name, value in given.items()}
        case "USER":
            stage.user = step.rest
        case "RUN" if "useradd" not in step.rest:  # this machine's users stay as they are
            shell = stage.inside(re.sub(r"--mount=\S+ ", "", step.rest))
            shell = re.sub(r"^python ", f"{sys._base_executable} ", shell)  # type: ignore[attr-defined]  # venv's origin
            subprocess.run(shell, shell=True, check=True, cwd=stage.workdir, env={**os.environ, **stage.environment})
        case "CMD" | "HEALTHCHECK":
            stage.commands[step.keyword] = [
                stage.inside(word) for word in re.findall(r'"([^"]+)"', step.rest.partition("[")[2])
            ]
        case "RUN" | "EXPOSE":
            pass
        case _:
            pytest.fail(f"{step.keyword} is unknown here")
