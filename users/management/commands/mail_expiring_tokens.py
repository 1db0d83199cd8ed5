"""`manage.py mail_expiring_tokens`: tell users that a token expires soon; for a daily timer, beside `prune`."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.database.isolation import all_users
from users.services import personal_tokens


class Command(BaseCommand):
    help = "Mail to the owners of personal tokens that expire within seven days, once for each token."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count them")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> str:
        if dry_run:
            with all_users():
                return f"Mails that would be sent: {personal_tokens.expiring_tokens().count()}"
        if settings.EMAIL_BACKEND.endswith(".dummy.EmailBackend"):
            return "No mail can be sent: set EMAIL_HOST."
        results = list(personal_tokens.warn_of_expiry())
        if refused := [error for error in results if error is not None]:
            raise CommandError(
                f"Mails sent: {len(results) - len(refused)}. The mail server refused {len(refused)} ({refused[0]}); "
                "they are tried again the next time."
            )
        return f"Mails sent: {len(results)}"
