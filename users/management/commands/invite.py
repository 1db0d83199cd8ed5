"""`manage.py invite`: an invitation to register, for `REGISTRATION=invite`."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.errors import DomainError
from users import services
from users.mail import services as mail


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
        if not mail.can_send():
            raise CommandError("No mail can be sent: set EMAIL_HOST, or pass on what is printed above.")
        mail.send_invitation(email)
        self.stderr.write(f"The worker mails it to {email}.")
