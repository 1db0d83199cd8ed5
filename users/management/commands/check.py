"""`manage.py check`: Django's, with database checks by default."""

from django.core.management.base import CommandParser
from django.core.management.commands import check
from django.db import DEFAULT_DB_ALIAS


class Command(check.Command):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(databases=[DEFAULT_DB_ALIAS])
