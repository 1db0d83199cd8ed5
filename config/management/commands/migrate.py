"""`manage.py migrate`: Django's, refused where the tables would be of no use."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import migrate

from config.database import isolation
from config.database.reachable import require_database


class Command(migrate.Command):
    def execute(self, *args: Any, **options: Any) -> Any:
        """Before the system checks: in an empty database they find nothing, and without one they tell no reason."""
        require_database()
        if settings.PRODUCTION and (role := isolation.bypassing_role()):
            raise CommandError(
                f"Row level security does not act on the role {role}, with which production does not start. "
                f"{isolation.ROLE_ADVICE}"
            )
        return super().execute(*args, **options)
