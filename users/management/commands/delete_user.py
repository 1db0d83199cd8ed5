"""`manage.py delete_user`: delete an account and all of its rows."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.errors import DomainError
from config.operations.console import confirmed
from users import exports, services
from users.management.accounts import add_account, find


class Command(BaseCommand):
    help = (
        "Remove an account and all that belongs to it, at once and for good. Asks first; "
        "`manage.py export_user` saves what is there."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_account(parser)
        parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
        parser.add_argument("--yes", action="store_true", help="do not ask, as in a script")

    def handle(self, *args: Any, account: str, dry_run: bool, yes: bool, **options: Any) -> str | None:
        user = find(account)
        held = ", ".join(f"{count:,} {name}" for name, count in exports.counts(user).items())
        if dry_run:
            return f"{user} would be removed, with {held}."
        if not yes and not confirmed(f"Remove {user} for good, with {held}?"):
            raise CommandError("Nothing was removed; say yes when asked, or add --yes.")
        try:
            services.delete_account(user)
        except DomainError as error:
            raise CommandError(error.detail) from error
        return f"Removed {user}, with {held}."
