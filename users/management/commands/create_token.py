"""`manage.py create_token`: an access token without the account's password, for trying the API."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.errors import DomainError
from users import services
from users.management.accounts import add_account, find_local
from users.tokens import own


class Command(BaseCommand):
    help = (
        "Print an access token of an account, and nothing else. It lives ten minutes and cannot be refreshed; "
        "the account's owner sees its session as 'manage.py create_token', and can end it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_account(parser)

    def handle(self, *args: Any, account: str, **options: Any) -> str:
        user = find_local(account)
        try:
            session = services.start_session(user, services.Device("manage.py create_token"))
        except DomainError as error:
            raise CommandError(f"{user} gets no token: the account is inactive or was just deleted.") from error
        return own.mint(session).access
