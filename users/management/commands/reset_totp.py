"""`manage.py reset_totp`: for a member of the staff who has lost the device and the recovery codes."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from users.models import User
from users.services import second_factor


class Command(BaseCommand):
    help = "Forget somebody's second factor; make sure first that it is them who ask."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="whose device is lost")

    def handle(self, *args: Any, email: str, **options: Any) -> str:
        try:
            user = User.objects.get_by_natural_key(email)
        except User.DoesNotExist as error:
            raise CommandError(f"No account has the e-mail address {email!r}.") from error
        if not second_factor.reset_second_factor(user):
            raise CommandError(f"{user} has no second factor.")
        return f"The second factor of {user} is forgotten; the next sign-in to the admin can set up another."
