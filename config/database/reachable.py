"""Whether the database can be reached, and if not, why: for commands, which tell it before they do anything else."""

import psycopg
from django.core.management.base import CommandError
from django.db import connection


def require_database() -> None:
    """Connect once, without retries. Raises CommandError."""
    try:
        psycopg.connect(**connection.get_connection_params()).close()
    except psycopg.OperationalError as error:
        raise CommandError(f"The database cannot be reached, check DATABASE_URL: {reason(error)}.") from error


def reason(error: Exception) -> str:
    """One line, without passwords. What follows in PostgreSQL's text are other attempts and hosts, and advice."""
    return " ".join(str(error).partition("\n")[0].split()).removesuffix(".")
