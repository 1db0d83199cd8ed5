"""PostgreSQL's timeline: a new one begins when a server is recovered to an earlier moment, or a standby promoted."""

from django.db import NotSupportedError, ProgrammingError, connection, transaction


def current() -> int | None:
    """None during a recovery, and where the service's role may not ask, as on some managed servers.

    It stands at the beginning of the WAL file's name. `pg_control_checkpoint()` has that of the last checkpoint, which
    after a promotion is the former one, for minutes.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_lsn()) END")
            (name,) = cursor.fetchone()
    except (NotSupportedError, ProgrammingError):
        return None
    return name and int(name[:8], 16)
