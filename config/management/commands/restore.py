"""`manage.py restore`: take back what `manage.py backup` wrote."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS
from django.utils.text import get_text_list

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
        if not file.is_file():
            raise CommandError(f"{file} is not there; name a file of `manage.py backup`.")
        try:
            contents = self._read(file)
            held = _summary(contents.rows)
            if dry_run:
                self.stdout.write(f"{file} is whole and holds {held}.")
                return
            target = Target(*BYPASS)
            if not replace and backups.holds_accounts(target):
                raise CommandError("The database holds accounts. To remove all that is in it first, add --replace.")
            with working("Restoring"):
                backups.load(file, contents, target, keep_privileges=not no_privileges)
        except ProgramError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Restored {held}.")
        # By its name, since counters are the users app's. Whoever is killed before has not been told that all is done.
        call_command("new_epoch", stdout=self.stdout)
        if missing := migrations.missing():
            self.stdout.write(f"{len(missing)} migrations are missing; apply them: python manage.py migrate")
        self.check(tags=[checks.Tags.database], databases=[DEFAULT_DB_ALIAS])

    def _read(self, file: Path) -> backups.Contents:
        with working("Reading the file"):
            contents = backups.read(file)
        if newer := migrations.unknown(contents.migrations):
            raise CommandError(
                f"{file} was made by a newer Tickbase, with {len(newer)} more migrations; install that one first."
            )
        backups.require(contents.rows, contents.migrations)
        return contents


def _summary(rows: backups.Rows) -> str:
    """How many accounts there are, and how many rows of each kind that clients know by a `uid`, if there are any."""
    counts = [f"{rows[get_user_model()._meta.db_table]:,} accounts"]
    for options in (model._meta for model in apps.get_models()):
        if rows.get(options.db_table) and any(field.name == "uid" for field in options.fields):
            counts.append(f"{rows[options.db_table]:,} {options.verbose_name_plural}")
    return get_text_list(counts, "and")
