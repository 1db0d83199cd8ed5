"""`manage.py export_tasks`: the tasks and projects of an account as a file."""

import os
import tempfile
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.operations.console import progress, whole_number
from config.values import MAX_BIGINT
from tasks.choices import ACTIVE, INBOX
from tasks.projects.models import Project
from tasks.transfer import exports
from users.management.accounts import add_account, find


class Command(BaseCommand):
    help = "Write the tasks and projects of an account as a file: what GET /api/me/export answers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_account(parser)
        parser.add_argument("--format", choices=[*exports.WRITABLE], required=True, help="tickbase has everything")
        parser.add_argument(
            "--project", action="append", help=f"only {INBOX}, {ACTIVE}, or a project by its id, with those within it"
        )
        parser.add_argument("--output", metavar="FILE", type=Path, help="a new file; default: stdout")

    def handle(
        self,
        *args: Any,
        account: str,
        format: str,
        project: list[str] | None,
        output: Path | None,
        **options: Any,
    ) -> None:
        user = find(account)
        place = _place(project or [])
        if isinstance(place, tuple):
            known = {*Project.objects.for_user(user).visible().filter(pk__in=place).values_list("pk", flat=True)}
            if unknown := [pk for pk in place if pk not in known]:
                raise CommandError(f"The account has no project {unknown[0]}.")
        pieces = exports.write(user, user.zone, exports.WRITABLE[format], place)
        if output is None:
            stream = getattr(self.stdout._out, "buffer", None)  # bytes, independent of the terminal's encoding
            for piece in pieces:
                stream.write(piece) if stream else self.stdout.write(piece.decode(), ending="")
            return
        try:
            _write_file(output, pieces)
        except OSError as error:
            raise CommandError(f"{error.filename or output} cannot be written: {error.strerror}.") from error
        self.stderr.write(f"Wrote {output}, {output.stat().st_size:,} bytes.")


def _place(names: list[str]) -> exports.Place:
    if not names:
        return None
    if len(names) == 1 and names[0] in (INBOX, ACTIVE):
        return names[0]
    try:
        return tuple(map(whole_number(1, MAX_BIGINT), names))
    except ArgumentTypeError as error:
        raise CommandError(f"Name {INBOX} or {ACTIVE}, alone, or projects by their ids.") from error


def _write_file(path: Path, pieces: Any) -> None:
    """Write the file atomically, with mode 0600 from the start."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with open(descriptor, "wb") as file, progress("pieces", None) as advance:
            for piece in pieces:
                file.write(piece)
                advance(1)
            os.fsync(file.fileno())
        os.link(draft, path)  # fails if the file exists
    finally:
        os.unlink(draft)
