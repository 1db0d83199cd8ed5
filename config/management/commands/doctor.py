"""`manage.py doctor`: is all well, and what to do if not."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core import checks
from django.core.management.base import BaseCommand

from config.operations.console import table
from config.operations.doctor import examine

STATES = {checks.INFO: "ok", checks.WARNING: "warning", checks.ERROR: "failed", checks.DEBUG: "skipped"}
MARKS = {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "-"}
STYLES = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "dim"}


class Command(BaseCommand):
    help = (
        "Look at the database, the keys, the clock, the mail server and what else Tickbase needs, and say what to do. "
        "Changes nothing. The exit status is 1 if something has failed; warnings leave it 0."
    )
    requires_system_checks = ()  # they stop at the first thing that is wrong

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="for programs: an array of findings")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = [
            {"name": name, "state": STATES[found.level], "what": str(found.msg), "advice": str(found.hint or "")}
            for name, found in examine()
        ]
        if options["json"]:
            self.stdout.write(json.dumps(findings, indent=2))
        else:
            rows = [[MARKS[each["state"]], each["name"], each["what"], each["advice"]] for each in findings]
            table(self.stdout, ["", "", "found", "what to do"], rows, [STYLES[each["state"]] for each in findings])
        if any(each["state"] == "failed" for each in findings):
            sys.exit(1)
