"""`manage.py invite`: let somebody open an account while `REGISTRATION=invite`."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email

from users import mail, proofs
from users.models import User
from users.text import canonical_email


class Command(BaseCommand):
    help = "Print an invitation for one e-mail address; it serves once, within seven days."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="the address that may open an account")
        parser.add_argument("--send", action="store_true", help="mail the invitation, too")

    def handle(self, *args: Any, email: str, send: bool, **options: Any) -> None:
        try:
            validate_email(email)
        except ValidationError as error:
            raise CommandError(f"{email!r} is not an e-mail address.") from error
        if User.objects.filter(email_canonical=canonical_email(email)).exists():
            raise CommandError(f"{email} has an account already.")
        token = proofs.make_invitation(email)
        self.stdout.write(mail.link("register", token) or token)
        if send:
            mail.send_invitation(email, token)
            mail.wait_until_sent()
            self.stderr.write(f"Mailed to {email}.")
