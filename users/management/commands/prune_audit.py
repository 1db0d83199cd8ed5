"""`manage.py prune_audit`: the only way to delete events of the audit log."""

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand

from users import audit

MAX_DAYS = 36_500


def days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_DAYS:
        raise ArgumentTypeError(f"{text!r} is not a whole number of days from 1 to {MAX_DAYS}")
    return int(text)


class Command(BaseCommand):
    help = "Delete what the audit tells of long ago; that this was done is itself written down there."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--older-than",
            type=days,
            required=True,
            metavar="DAYS",
            help="how long events are kept; nothing is assumed",
        )
        parser.add_argument("--dry-run", action="store_true", help="only count them")

    def handle(self, *args: Any, older_than: int, dry_run: bool, **options: Any) -> str:
        if dry_run:
            return f"Events that would be deleted: {audit.prunable(older_than)}"
        return f"Events deleted: {audit.prune(older_than)}"
