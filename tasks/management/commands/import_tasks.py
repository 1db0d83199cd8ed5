"""`manage.py import_tasks`: a file of any size becomes tasks and projects of an account."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from config.errors import DomainError
from config.operations.console import progress
from tasks.transfer import services
from tasks.transfer.report import Report
from users.management.accounts import add_account, find
from users.text import validate_timezone

SHOWN = 20  # notes of each kind


class Command(BaseCommand):
    help = (
        "Import tasks and projects from a file of another program, or of another Tickbase, into an account. To import "
        "a file again changes nothing but what is newer in it; so one that was interrupted is run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_account(parser)
        parser.add_argument("file", metavar="FILE", type=Path, help="of any size")
        parser.add_argument(
            "--format",
            choices=[services.AUTO, *services.READABLE],
            default=services.AUTO,
            help="by default it is recognised",
        )
        parser.add_argument("--zone", help="IANA, of dates and times that name none; by default the account's")
        parser.add_argument("--dry-run", action="store_true", help="only say what would come of it")

    def handle(
        self, *args: Any, account: str, file: Path, format: str, zone: str | None, dry_run: bool, **options: Any
    ) -> None:
        user = find(account)
        try:
            data = file.read_bytes()
            if zone:
                validate_timezone(zone)
            document, source = services.read(data, file.name, format, ZoneInfo(zone) if zone else user.zone)
            count = len(document.projects) + len(document.tasks)
            whole = dry_run or count <= services.SLICE
            with progress("tasks", count) as advance:
                if whole:
                    outcome = services.import_document(user, document, source, dry_run=dry_run, advance=advance)
                else:
                    outcome = services.import_in_slices(user, document, source, advance)
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
        except ValidationError as error:
            raise CommandError(error.messages[0]) from error
        except DomainError as error:
            raise CommandError(error.detail) from error
        self._say(outcome.report, dry_run=dry_run)
        if outcome.row and outcome.row.operation is not None:
            last = "" if whole else "; a file of this size is several, this is the last one"
            self.stdout.write(f"Operation {outcome.row.operation}, which the account can undo{last}.")

    def _say(self, report: Report, *, dry_run: bool) -> None:
        would = "would be " if dry_run else ""
        counts = f"{report.created:,} {would}created, {report.updated:,} {would}updated, {report.unchanged:,} unchanged"
        self.stdout.write(f"{report.format}: {report.tasks:,} tasks and {report.projects:,} projects in the file")
        self.stdout.write(f"{counts}, {len(report.skipped):,} skipped")
        shown = report.as_json()
        for each in shown["warnings"][:SHOWN]:
            self.stdout.write(f"Note: {each}")
        for each in shown["skipped"][:SHOWN]:
            self.stdout.write(f"Row {each['row']} was skipped: {each['reason']}")
        for each in shown["degraded"][:SHOWN]:
            self.stdout.write(f"Row {each['row']}, {each['field']}: {each['from']!s} became {each['to']!s}")
        if (more := max(len(report.skipped), len(report.degraded)) - SHOWN) > 0:
            self.stdout.write(f"… and up to {more:,} more of a kind.")
