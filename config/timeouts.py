"""How long a request may keep the database busy: by one statement, waiting for a lock, or in an idle transaction.

Only processes that serve requests have these limits; migrations and other commands take the time they need.
"""

import logging
from typing import Any, Self

import psycopg
from django.conf import settings
from django.db import connections

logger = logging.getLogger(__name__)

# For the whole session, if it is ours alone.
_LIMIT = """
    SELECT count(set_config(name, value, false)) FROM unnest(%s::text[], %s::text[]) AS setting (name, value)
    WHERE pg_backend_pid() = %s
"""
_ADVICE = """
    SELECT format('ALTER ROLE %%I IN DATABASE %%I SET %%I = %%L;', current_user, current_database(), name, value)
    FROM unnest(%s::text[], %s::text[]) AS setting (name, value)
    WHERE current_setting(name) = '0' AND value != '0s'
"""


def limits() -> dict[str, str]:
    """PostgreSQL's names and values; what sets them for one transaction only may use them, too."""
    return {
        "statement_timeout": f"{settings.DATABASE_STATEMENT_TIMEOUT}s",
        "lock_timeout": f"{settings.DATABASE_LOCK_TIMEOUT}s",
        "idle_in_transaction_session_timeout": f"{settings.DATABASE_IDLE_TRANSACTION_TIMEOUT}s",
    }


class LimitedConnection(psycopg.Connection[Any]):
    """Sets the limits once, when it is opened.

    Not as options of the connection: Neon ignores them, and PgBouncer refuses to connect. A pooler hands out
    another session per transaction, also to others, so nothing may be set in them; it is told by its process
    id, which is not that of the session's backend. There, the role has to have the limits in the database.
    """

    @classmethod
    def connect(cls, *args: Any, **kwargs: Any) -> Self:
        connection = super().connect(*args, **kwargs)
        try:
            connection._limit()
        except psycopg.Error:
            connection.close()
            raise
        return connection

    def _limit(self) -> None:
        wanted = limits()
        names_and_values = [list(wanted), list(wanted.values())]
        [(done,)] = psycopg.Cursor(self).execute(_LIMIT, [*names_and_values, self.info.backend_pid]).fetchall()
        if not done:
            missing = psycopg.Cursor(self).execute(_ADVICE, names_and_values).fetchall()
            _advise([statement for (statement,) in missing])


def _advise(statements: list[str]) -> None:
    if statements:
        advice = "a pooler is in between, and the database sets requests no limits; let it do so with: %s"
        logger.warning(advice, " ".join(statements))


def limit_requests() -> None:
    """For the entry points of servers, before the first connection."""
    connections.settings["default"]["OPTIONS"]["pool"]["connection_class"] = LimitedConnection
