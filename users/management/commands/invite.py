"""`manage.py invite`: an invitation to register, for `REGISTRATION=invite`."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.errors import DomainError
from users import mail, services


class Command(BaseCommand):
    help = "Print an invitation for one e-mail address; for one account, within seven days."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="the address that may open an account")
        parser.add_argument("--send", action="store_true", help="mail the invitation, too")

    def handle(self, *args: Any, email: str, send: bool, **options: Any) -> None:
        try:
            token = services.invite(email)
        except DomainError as refusal:
            raise CommandError(refusal.detail) from refusal
        if settings.REGISTRATION != "invite":
            self.stderr.write(f"REGISTRATION is {settings.REGISTRATION}: invitations count once it is invite.")
        self.stdout.write(mail.link("register", token) or token)
        if not send:
            return
        if settings.EMAIL_BACKEND.endswith(".dummy.EmailBackend"):
            raise CommandError("No mail can be sent: set EMAIL_HOST, or pass on what is printed above.")
        try:
            mail.send_invitation(email, token)
        except OSError as error:
            raise CommandError(f"The mail server refused it ({error}); pass on what is printed above.") from error
        self.stderr.write(f"Mailed to {email}.")
