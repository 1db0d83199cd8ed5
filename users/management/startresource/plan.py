"""What a run changes: each file as it will be, by the spec, the lock of the last run, and people's edits."""

import difflib
import hashlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings

from users.management.startresource import changes, documents, edits, files, parsing, world
from users.management.startresource.documents import SpecError
from users.management.startresource.files import Files, Place
from users.management.startresource.spec import Spec

LOCK = "resource.lock"
_NOTE = "Written by `manage.py startresource`: the spec, and the SHA-256 of each file as it was generated. Commit it."


@dataclass(frozen=True)
class Lock:
    """The last run: its spec, and what each file was."""

    spec: Mapping[str, Any]
    files: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> "Lock | None":
        """None if there is none. Raises SpecError."""
        if not path.exists():
            return None
        try:
            held = json.loads(path.read_text())
            lock = cls(held["spec"], dict(held["files"]))
        except (ValueError, KeyError, TypeError) as error:
            raise SpecError(f"{path.name} cannot be read; take it from your version control.") from error
        for each in lock.files:  # which are deleted with the resource
            if PurePosixPath(each).is_absolute() or ".." in PurePosixPath(each).parts:
                raise SpecError(f"{path.name} names {each}, which is outside; take it from your version control.")
        return lock

    def text(self) -> str:
        return json.dumps({"note": _NOTE, "spec": self.spec, "files": self.files}, indent=2, ensure_ascii=False) + "\n"


@dataclass
class Plan:
    """By path from the root, the text that each file will have."""

    spec: Spec
    place: Place
    root: Path = settings.BASE_DIR
    texts: Files = field(default_factory=dict)
    merged: list[str] = field(default_factory=list)  # of hand-edited files
    conflicts: list[str] = field(default_factory=list)
    destroys: list[str] = field(default_factory=list)  # sentences

    def changed(self) -> list[str]:
        return [path for path, text in self.texts.items() if self.current(path) != text]

    def current(self, path: str) -> str | None:
        found = self.root / path
        return found.read_text() if found.exists() else None

    def diff(self) -> Iterator[str]:
        for path in self.changed():
            before, after = (self.current(path) or "").splitlines(True), self.texts[path].splitlines(True)
            yield from difflib.unified_diff(before, after, f"a/{path}", f"b/{path}")

    def write(self) -> list[str]:
        """The paths that were written."""
        changed = self.changed()
        for path in changed:
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(self.texts[path])
        return changed


def place_of(spec: Spec, into: str | None, root: Path = settings.BASE_DIR) -> Place:
    """A folder within `tasks`, which the images, the layers and the checks know. Raises SpecError."""
    path = Path(into or f"tasks/{spec.plural}")
    parts = path.parts
    if path.is_absolute() or len(parts) != 2 or parts[0] != "tasks":
        raise SpecError(f"An app lies within tasks: --into tasks/{spec.plural}.")
    if parts[1] != spec.plural:
        raise SpecError(f"The folder is named as the plural, which is the app's label: --into tasks/{spec.plural}.")
    is_empty = all(each.is_dir() or each.suffix == ".pyc" for each in (root / path).rglob("*"))  # git leaves caches
    if not is_empty and not (root / path / LOCK).exists():
        raise SpecError(f"{path} is there, and was not made by startresource: choose another plural.")
    return Place(".".join(parts))


def planned(spec: Spec, place: Place, root: Path = settings.BASE_DIR) -> Plan:
    """Raises SpecError."""
    plan = Plan(spec, place, root)
    lock_path = f"{place.folder}/{LOCK}"
    lock = Lock.read(root / lock_path)
    if lock is None:
        generated = files.generate(spec, place, extra=world.dependencies(spec))
        if present := [path for path in generated if (root / path).exists()]:
            raise SpecError(f"{present[0]} is there already; move it away, or choose another plural.")
        plan.texts |= generated
        shas = {path: sha(text) for path, text in generated.items()}
    else:
        shas = _again(plan, lock)
    plan.texts |= edits.added(spec, place, root)
    plan.texts[lock_path] = Lock(spec.plain, dict(sorted(shas.items()))).text()
    return plan


def _again(plan: Plan, lock: Lock) -> dict[str, str]:
    """Over what a run before has made: untouched files are written anew, others merged."""
    spec, place = plan.spec, plan.place
    before = parsing.parse(documents.of(lock.spec), world.world(without=spec.name))
    bases = files.generate(before, place, extra={}, migrations=False)
    generated = files.generate(spec, place, extra={}, migrations=False)
    shas = {path: value for path, value in lock.files.items() if "/migrations/0" in path}
    for path, text in generated.items():
        current, base = plan.current(path), bases.get(path)
        shas[path] = sha(text)
        if current is None or sha(current) == lock.files.get(path) or current == base:
            plan.texts[path] = text
            continue
        if text == base:
            continue  # their own, and nothing new
        plan.texts[path], is_clean = merge(current, base or "", text)
        plan.merged.append(path)
        if not is_clean:
            plan.conflicts.append(path)
    made, plan.destroys = changes.migrations(before, spec, place, plan.root)
    plan.texts |= made
    return shas | {path: sha(text) for path, text in made.items()}


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def merge(current: str, base: str, new: str) -> tuple[str, bool]:
    """Three ways, by git; with conflicts marked, if there are any, and whether there are none."""
    with TemporaryDirectory() as folder:
        paths = []
        for name, text in (("current", current), ("base", base), ("new", new)):
            path = Path(folder, name)
            path.write_text(text)
            paths.append(str(path))
        labels = ("-L", "yours", "-L", "generated before", "-L", "generated now")
        done = subprocess.run(["git", "merge-file", "-p", *labels, *paths], capture_output=True, text=True, check=False)
    if done.returncode < 0 or done.returncode > 127:
        raise SpecError(f"git merge-file failed: {done.stderr.strip()}")
    return done.stdout, done.returncode == 0
