"""`manage.py export_user`: the export of an account as a JSON file."""

import os
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError

from config.operations.console import progress
from users import exports
from users.management.accounts import add_account, find
from users.models import User


class Command(BaseCommand):
    help = "Write all that Tickbase holds about an account as one JSON document: what GET /api/users/me/export answers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_account(parser)
        parser.add_argument("file", metavar="FILE", nargs="?", help="a new file, for you only to read; default: stdout")

    def handle(self, *args: Any, account: str, file: str | None, **options: Any) -> None:
        user = find(account)
        if file is None:
            # Bytes, independent of the terminal's encoding.
            _write(user, getattr(self.stdout._out, "buffer", None) or _Encoded(self.stdout))
            return
        path = Path(file)
        if path.exists():
            raise CommandError(f"{path} exists; name a new file.")
        try:
            _write_file(user, path)
        except OSError as error:
            raise CommandError(f"{error.filename or path} cannot be written: {error.strerror}.") from error
        self.stderr.write(f"Wrote {path}, {path.stat().st_size:,} bytes. It is as personal as the account itself.")


class _Encoded:
    """Writes bytes to a text stream, such as a test's."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, piece: bytes) -> None:
        self.stream.write(piece.decode(), ending="")


def _write_file(user: User, path: Path) -> None:
    """Write the file atomically, with mode 0600 from the start."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with open(descriptor, "wb") as file:
            _write(user, file)
            os.fsync(file.fileno())
        os.link(draft, path)  # fails if the file was created meanwhile
    finally:
        os.unlink(draft)


def _write(user: User, file: BinaryIO | _Encoded) -> None:
    with progress("rows", None) as advance:
        for piece in exports.stream(user):
            file.write(piece)
            advance(1)
    file.write(b"\n")
