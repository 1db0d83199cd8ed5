"""`manage.py changepassword`: in place of Django's, which would leave old tokens valid."""

import getpass
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from config.errors import DomainError
from users import services
from users.models import User


class Command(BaseCommand):
    help = "Set a user's password; every session of the account ends."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="whose password it is")

    def handle(self, *args: Any, email: str, **options: Any) -> str:
        try:
            user = User.objects.get_by_natural_key(email)
        except User.DoesNotExist as error:
            raise CommandError(f"No account has the e-mail address {email!r}.") from error
        self.stdout.write(f"A new password for {user}:")
        password = getpass.getpass("Password: ")
        if password != getpass.getpass("Password (again): "):
            raise CommandError("The passwords differ; nothing has changed.")
        try:
            validate_password(password, user)
            services.set_password(user, password)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except DomainError as error:
            raise CommandError(error.detail) from error
        return f"The password of {user} has changed; every session has ended."
