"""`manage.py reset_totp`: for staff who have lost their device and recovery codes."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from users.management.accounts import add_account, find_local
from users.services import second_factor


class Command(BaseCommand):
    help = "Forget somebody's second factor; make sure first that it is them who ask."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_account(parser)

    def handle(self, *args: Any, account: str, **options: Any) -> str:
        user = find_local(account)
        if not second_factor.reset_second_factor(user):
            raise CommandError(f"{user} has no second factor.")
        return f"The second factor of {user} is forgotten; the next sign-in to the admin can set up another."
