"""`manage.py doctor`: is all well, and what to do if not."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from config.operations.console import table
from config.operations.doctor import Finding, State, examine

MARKS = {State.OK: "✓", State.WARNING: "!", State.FAILED: "✗", State.SKIPPED: "-"}
STYLES = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "red", State.SKIPPED: "dim"}


class Command(BaseCommand):
    help = (
        "Look at the database, the keys, the clock, the mail server and what else Tickbase needs, and say what to do. "
        "Changes nothing. The exit status is 1 if something has failed; warnings leave it 0."
    )
    requires_system_checks = ()  # they stop at the first thing that is wrong

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="for programs: an array of findings")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = list(examine())
        if options["json"]:
            self.stdout.write(json.dumps([{"name": name, **finding._asdict()} for name, finding in findings], indent=2))
        else:
            self._show(findings)
        if any(finding.state == State.FAILED for _, finding in findings):
            sys.exit(1)

    def _show(self, findings: list[tuple[str, Finding]]) -> None:
        rows = [[MARKS[found.state], name, found.what, found.advice] for name, found in findings]
        styles = [STYLES[found.state] for _, found in findings]
        table(self.stdout, ["", "", "found", "what to do"], rows, styles)
