"""`manage.py check`: Django's, with database checks by default."""

from typing import Any

from django.core.checks import Tags
from django.core.management.base import CommandParser
from django.core.management.commands import check
from django.db import DEFAULT_DB_ALIAS

from config.database.reachable import require_database


class Command(check.Command):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(databases=[DEFAULT_DB_ALIAS])

    def handle(self, *args: Any, **options: Any) -> None:
        tags = options["tags"]
        if not options["list_tags"] and (not tags or Tags.database in tags):
            require_database()
        super().handle(*args, **options)
