"""`manage.py createsuperuser`: Django's, with an event in the audit log."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.db.models.signals import post_save

from users import audit
from users.audit import Action
from users.models import User


class Command(createsuperuser.Command):
    def handle(self, *args: Any, **options: Any) -> str | None:
        post_save.connect(_record, sender=User)
        try:
            return super().handle(*args, **options)
        finally:
            post_save.disconnect(_record, sender=User)


def _record(instance: User, created: bool, **_: Any) -> None:
    """Runs in the transaction that creates the account."""
    if created:
        audit.record(Action.REGISTERED, instance, is_superuser=True)
