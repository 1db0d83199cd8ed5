"""`manage.py serve`: the whole service in one process tree."""

import logging
import os
import sys
from argparse import ArgumentParser
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from config import VERSION
from config.database import migrations
from config.database.reachable import require_database
from config.server import launcher

logger = logging.getLogger(__name__)

MIGRATE = "until `python manage.py migrate` has applied them, requests fail, and /readyz answers 503"
LISTENING = "Tickbase {version} is serving; it listens on {base}."
BANNER = """
  Tickbase {version} is serving.

    API docs  {base}/api/docs
    Admin     {admin}
    Data      {data}

  Make an account:
    curl {base}/api/auth/register -H 'Content-Type: application/json' \\
      -d '{{"email": "ada@example.com", "password": "correct horse battery", "name": "Ada"}}'
  Make a staff account, in another terminal:
    {python} manage.py createsuperuser

  Ctrl-C stops everything.
"""


class Command(BaseCommand):
    help = "Serve the API, the docs and the admin; the embedded PostgreSQL too while DATABASE_URL is unset."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--migrate", action="store_true", help="apply missing migrations first")

    def handle(self, *args: Any, migrate: bool, **options: Any) -> None:
        try:
            with launcher.reserved_port():
                require_database()
                if migrate:
                    call_command("migrate", interactive=False, verbosity=0)
                elif missing := migrations.missing():
                    logger.warning("%d migrations are missing: %s", len(missing), MIGRATE)
                # In development, with whatever database is at hand, the first wall may do.
                fail_level = checks.ERROR if settings.PRODUCTION else checks.CRITICAL
                self.check(tags=[checks.Tags.database], databases=[DEFAULT_DB_ALIAS], fail_level=fail_level)
                launcher.run(self._print_banner)
        except launcher.LaunchError as error:
            raise CommandError(str(error)) from error

    def _print_banner(self) -> None:
        host = reachable(settings.HOST)
        base = f"http://[{host}]:{settings.PORT}" if ":" in host else f"http://{host}:{settings.PORT}"
        data = settings.DATA_DIR if settings.EMBEDDED_DATABASE else "in the database that DATABASE_URL names"
        # In production, addresses are the proxy's matter.
        banner = LISTENING if settings.PRODUCTION else BANNER
        admin = f"{base}/{settings.ADMIN_PATH}" if settings.ADMIN_PATH else "off"
        python = os.path.relpath(sys.executable)
        self.stdout.write(banner.format(version=VERSION, base=base, admin=admin, data=data, python=python))
        self.stdout.flush()


def reachable(host: str) -> str:
    """What listens on every address can be called on the loopback."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return ("127.0.0.1" if address.version == 4 else "::1") if address.is_unspecified else host
