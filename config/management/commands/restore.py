"""`manage.py restore`: take back what `manage.py backup` wrote."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core import checks
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from config.database import migrations
from config.database.isolation import BYPASS
from config.operations import backups
from config.operations.console import working
from config.operations.postgres_tools import ProgramError, Target


class Command(BaseCommand):
    help = (
        "Take back a file of `manage.py backup`, in one transaction: whole, or not at all. Stop the service before, "
        "and apply newer migrations afterwards, if it says so. Passwords go on; signed tokens only with the same keys."
    )
    requires_system_checks = ()  # what is there now may be what has to be replaced

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="what `manage.py backup` wrote")
        parser.add_argument("--replace", action="store_true", help="remove the data that the database holds now")
        parser.add_argument(
            "--no-privileges", action="store_true", help="leave out what was granted to roles that are not there"
        )
        parser.add_argument("--dry-run", action="store_true", help="only read the file, and say what is in it")

    def handle(self, *args: Any, file: Path, replace: bool, no_privileges: bool, dry_run: bool, **options: Any) -> None:
        try:
            rows = self._examine(file)
            if not dry_run:
                self._load(file, replace, no_privileges)
        except ProgramError as error:
            raise CommandError(str(error)) from error
        held = f"{rows['users_user']:,} accounts and {rows['tasks_task']:,} tasks"
        self.stdout.write(f"{file} is whole and holds {held}." if dry_run else f"Restored {held}.")
        if not dry_run:
            self._check()

    def _examine(self, file: Path) -> backups.Rows:
        if not file.is_file():
            raise CommandError(f"{file} is not there; name a file of `manage.py backup`.")
        backups.contents(file)
        with working("Reading the file"):
            rows = backups.rows_of(file)
        if newer := migrations.unknown(backups.migrations_of(file)):
            raise CommandError(
                f"{file} was made by a newer Tickbase, with {len(newer)} more migrations; install that one first."
            )
        return rows

    def _load(self, file: Path, replace: bool, no_privileges: bool) -> None:
        target = Target(*BYPASS)
        if not replace and backups.holds_data(target):
            raise CommandError("The database holds accounts. To remove all that is in it first, add --replace.")
        with working("Restoring"):
            backups.load(file, target, keep_privileges=not no_privileges)

    def _check(self) -> None:
        if missing := migrations.missing():
            self.stdout.write(f"{len(missing)} migrations are missing; apply them: python manage.py migrate")
        self.check(tags=[checks.Tags.database], databases=[DEFAULT_DB_ALIAS])
