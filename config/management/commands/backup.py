"""`manage.py backup`: all data in one file, checked before it counts."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.database.isolation import BYPASS
from config.operations import backups
from config.operations.console import whole_number, working
from config.operations.postgres_tools import ProgramError, Target


class Command(BaseCommand):
    help = (
        "Write all data into one new file, while the service goes on. It is read again and its rows are counted before "
        "it gets its name, so that a file that is there is whole. `manage.py restore` takes it back."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file",
            metavar="FILE",
            type=Path,
            help="a new file, for you only to read; or a folder, in which it is named by the time",
        )
        parser.add_argument(
            "--keep",
            metavar="N",
            type=whole_number(1, 10_000),
            help="then remove all but the newest N of those that are named by the time; with a folder",
        )

    def handle(self, *args: Any, file: Path, keep: int | None, **options: Any) -> None:
        if file.is_dir():
            file = backups.new_path(file)
        elif keep:
            raise CommandError(f"{file} is no folder; --keep needs one, in which backups are named by the time.")
        if file.exists():
            raise CommandError(f"{file} exists; name a new file, for example with the date in it.")
        try:
            with working("Dumping, and reading it again"):
                rows = backups.dump(file, Target(*BYPASS))
            size = file.stat().st_size
            self.stdout.write(
                f"Wrote {file}: {sum(rows.values()):,} rows of {len(rows)} tables, {size:,} bytes. Keep it secret."
            )
            if keep and (removed := backups.rotate(file.parent, keep)):
                self.stdout.write(f"Removed {removed} older ones.")
        except ProgramError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename or file} cannot be written: {error.strerror}.") from error
