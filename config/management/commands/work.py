"""`manage.py work`: does deferred work, until it is told to stop; `serve` starts one beside the service."""

import os
import signal
import sys
import threading
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.database import migrations
from config.operations import work


class Command(BaseCommand):
    help = "Do deferred work as it becomes due: mails, reminders, webhooks, long imports and the nightly prune."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="do what is due now, and end; for a timer")
        parser.add_argument("--child-of", type=int, metavar="PID", help="end when this process is no longer the parent")

    def handle(self, *args: Any, once: bool, child_of: int | None, **options: Any) -> None:
        if missing := migrations.missing():
            raise CommandError(f"{len(missing)} migrations are missing; apply them: python manage.py migrate")
        if once:
            self.stdout.write(f"{work.drain()} rows done")
            return
        loop = work.Loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *received: loop.stop())
        if child_of is not None:
            os.setpgrp()  # Ctrl-C reaches the parent alone, which ends its children in order
            threading.Thread(target=_stop_with, args=[child_of, loop], daemon=True).start()
        else:
            self.stdout.write(f"Working as {loop.name}; Ctrl-C stops it.")
            self.stdout.flush()
        loop.run()
        sys.stdout.flush()


def _stop_with(parent: int, loop: work.Loop) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    loop.stop()
