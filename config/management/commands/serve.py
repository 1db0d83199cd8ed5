"""`manage.py serve`: the whole service in one process tree."""

import signal
import sys
from argparse import ArgumentParser
from typing import Any, NoReturn

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connections
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

BANNER = """
  Tickbase is serving.

    API      {base}/api
    Docs     {base}/api/docs
    Admin    {base}/admin/
    Data     {data}

  Make an account:
    curl {base}/api/auth/register -H 'Content-Type: application/json' \\
      -d '{{"email": "ada@example.com", "password": "correct horse battery", "name": "Ada"}}'
  Make a staff account, in another terminal:
    .venv/bin/python manage.py createsuperuser

  Ctrl-C stops everything.
"""


class Command(BaseCommand):
    help = "Serve the API, the docs and the admin; the embedded PostgreSQL too while DATABASE_URL is unset."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--migrate", action="store_true", help="apply missing migrations first")

    def handle(self, *args: Any, migrate: bool, **options: Any) -> None:
        # Until granian installs its own handler: leave through the exit handlers, which stop PostgreSQL.
        signal.signal(signal.SIGTERM, _exit)
        if migrate:
            call_command("migrate", interactive=False, verbosity=0)
        # The worker is forked: it must not inherit this process's connections and pool threads.
        connections.close_all()
        for connection in connections.all():
            connection.close_pool()  # type: ignore[attr-defined]
        server = self._server()
        server.on_startup(self._print_banner)
        server.serve()

    def _server(self) -> Any:
        """One worker, whose blocking threads never idle out: see the bench notes in the design."""
        return Granian(
            "config.wsgi:application",
            address=settings.HOST,
            port=settings.PORT,
            interface=Interfaces.WSGI,
            workers=1,
            blocking_threads=settings.THREADS,
            blocking_threads_idle_timeout=600,
            workers_kill_timeout=10,
            log_level=LogLevels.warning,
        )

    def _print_banner(self) -> None:
        host = f"[{settings.HOST}]" if ":" in settings.HOST else settings.HOST
        data = settings.DATA_DIR if settings.EMBEDDED_DATABASE else "in the database that DATABASE_URL names"
        self.stdout.write(BANNER.format(base=f"http://{host}:{settings.PORT}", data=data))
        self.stdout.flush()


def _exit(signum: int, frame: object) -> NoReturn:
    sys.exit(128 + signum)
