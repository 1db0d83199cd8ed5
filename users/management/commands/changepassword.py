"""`manage.py changepassword`, in place of Django's, which would not revoke tokens."""

import getpass
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import MaxLengthValidator

from config.errors import DomainError
from users import services
from users.management.accounts import add_account, find_local
from users.text import MAX_PASSWORD, opaque_string


class Command(BaseCommand):
    help = "Set a user's password; every session of the account ends."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_account(parser)

    def handle(self, *args: Any, account: str, **options: Any) -> str:
        user = find_local(account)
        self.stdout.write(f"A new password for {user}:")
        password = getpass.getpass("Password: ")
        if password != getpass.getpass("Password (again): "):
            raise CommandError("The passwords differ; nothing has changed.")
        try:
            MaxLengthValidator(MAX_PASSWORD)(password)
            password = opaque_string(password)
            validate_password(password, user)
            services.set_password(user, password)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except DomainError as error:
            raise CommandError(error.detail) from error
        return f"The password of {user} has changed; every session has ended."
