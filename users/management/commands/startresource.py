"""Write a resource from its spec: model, migrations, services, REST, admin, tests and a page of the guide."""

import os
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from users.management.startresource import documents, edits, openapi, parsing, plan, removal, shorthand, world
from users.management.startresource.documents import Node, SpecError
from users.management.startresource.plan import Plan
from users.management.startresource.spec import Spec

OPENAPI = "docs/openapi.yaml"


class Command(BaseCommand):
    help = (
        "Write a resource: `startresource habit.yaml`, or for the small case `startresource habit name:text! "
        "goal:int=3 due:date?`. docs/resources.md has the whole."
    )
    requires_system_checks = ()
    omitted: Sequence[str] = ()  # of an OpenAPI schema

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("spec", help="a file in YAML or JSON, or a resource's name, alone of one that is there")
        parser.add_argument("fields", nargs="*", help="name:type, with ! if required, ? if it may be null, =default")
        parser.add_argument("--into", metavar="PATH", help="the folder of the app (tasks/<plural>)")
        parser.add_argument("--from-openapi", action="store_true", help="the file is an OpenAPI document")
        parser.add_argument("--schema", metavar="NAME", help="the schema in it")
        parser.add_argument("--dry-run", action="store_true", help="show what would change, and write nothing")
        parser.add_argument("--check", action="store_true", help="exit with 1 if anything would change, for CI")
        parser.add_argument("--remove", action="store_true", help="take the resource out")
        parser.add_argument("--destructive", action="store_true", help="allow what drops or narrows stored data")

    def handle(self, *args: Any, **options: Any) -> None:
        begun = time.monotonic()
        try:
            spec = self._spec(options)
            place = plan.place_of(spec, options["into"])
            if options["remove"]:
                self.stdout.write(removal.remove(spec, place, destructive=options["destructive"]))
                return
            planned = plan.planned(spec, place)
        except SpecError as error:
            source = f"{options['spec']}: " if Path(options["spec"]).suffix else ""
            raise CommandError(f"{source}{error}") from error
        if options["dry_run"]:
            self.stdout.write("".join(planned.diff()), ending="")
            return
        if options["check"]:
            self._check(planned)
            return
        self._write(planned, options, begun)

    def _spec(self, options: dict[str, Any]) -> Spec:
        return parsing.parse(self._root(options), world.world(without=self._name(options)))

    def _root(self, options: dict[str, Any]) -> Node:
        path = Path(options["spec"])
        if not path.suffix and not options["from_openapi"]:
            lock = None if options["fields"] else self._locks().get(options["spec"])
            return documents.of(lock.spec) if lock else shorthand.read(options["spec"], options["fields"])
        if options["fields"]:
            raise SpecError("Fields are written in the spec, or behind the name of a resource, not both.")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SpecError(f"The file cannot be read: {error.strerror}.") from error
        is_json = path.suffix == ".json"
        if not options["from_openapi"]:
            return documents.read(content, is_json=is_json)
        root, omitted = openapi.read(content, options["schema"], is_json=is_json)
        self.omitted = omitted
        return root

    def _name(self, options: dict[str, Any]) -> str:
        """Of a resource that startresource has made before, which may be written anew."""
        root = self._root(options)
        named = root.value.get("resource") if root.kind == "map" else None
        name = str(named.value) if named is not None else ""
        return name if name in self._locks() else ""

    @staticmethod
    def _locks() -> dict[str, plan.Lock]:
        """Of the resources that were written before, by their name."""
        paths = (settings.BASE_DIR / "tasks").glob(f"*/{plan.LOCK}")
        locks = (lock for path in paths if (lock := plan.Lock.read(path)) is not None)
        return {str(lock.spec.get("resource")): lock for lock in locks}

    def _check(self, planned: Plan) -> None:
        if changed := planned.changed():
            raise CommandError(f"The spec and the code differ; run startresource: {', '.join(changed)}")
        self.stdout.write("The code is what the spec says.")

    def _write(self, planned: Plan, options: dict[str, Any], begun: float) -> None:
        if planned.destroys and not options["destructive"]:
            raise CommandError(f"Nothing is written: {'; '.join(planned.destroys)}. Say --destructive if you mean it.")
        written = planned.write()
        for path in written:
            merged = (
                " (conflicts are marked)"
                if path in planned.conflicts
                else " (merged)"
                if path in planned.merged
                else ""
            )
            self.stdout.write(f"  {path}{merged}")
        if not written:
            self.stdout.write("Nothing has changed.")
            return
        for sentence in self.omitted:
            self.stdout.write(f"  left out: {sentence}")
        if planned.conflicts:
            raise CommandError("Solve the conflicts, which are marked with <<<<<<< and >>>>>>>, then run this again.")
        self._write_openapi()
        own = [path for path in written if path not in edits.EDITED]
        lines = sum(planned.texts[path].count("\n") for path in own)
        plural, python = planned.spec.plural, os.path.relpath(sys.executable)
        self.stdout.write(
            f"{len(own)} files with {lines:,} lines in {time.monotonic() - begun:.1f} s. Next:\n"
            f"  {python} manage.py migrate\n"
            f"  {python} -m pytest tests/{plural} tests/resources -k {planned.spec.name} -m 'not thorough'\n"
            "  make run\n"
            f"Then GET /api/me/{plural} answers; docs/guide/{plural}.md shows how."
        )

    def _write_openapi(self) -> None:
        """In a process of its own, which has the new app. A test validates it, which takes as long again."""
        command = [sys.executable, "manage.py", "spectacular", "--skip-checks", "--fail-on-warn", "--file", OPENAPI]
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE}
        done = subprocess.run(
            command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise CommandError(f"All is written but {OPENAPI}: {done.stderr.strip()[-2000:]}")
        self.stdout.write(f"  {OPENAPI}")
