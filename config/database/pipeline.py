"""Several statements in one message, on psycopg's interface to libpq (`psycopg.pq`): one wait for all results.

psycopg's own pipeline waits after each statement, and each time releases the GIL, for which all threads queue. Here a
statement is prepared at its first use, PostgreSQL infers the types of its parameters, and results are binary.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

from psycopg import OperationalError, errors
from psycopg.abc import Buffer
from psycopg.adapt import PyFormat
from psycopg.generators import send
from psycopg.pq import ConnStatus, ExecStatus, Format, PipelineStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from config.database.connections import Connection, Prepared

Sql = tuple[str, Sequence[Any]]  # a statement with its parameters, each a %s
Rows = list[tuple[Any, ...]]

_Command = tuple[str, Sequence[Buffer | None]]


def pipeline(connection: Connection, statements: Sequence[Sql], *, commits: bool = False) -> list[Rows]:
    """Run statements, and COMMIT if it `commits`; return the rows of each. Outside of a transaction they are one.
    Raises psycopg's error of the first statement that fails; those after it and the COMMIT are not run."""
    transformer = connection.transformer
    # As text, of the type that PostgreSQL infers.
    commands: list[_Command] = [
        (sql, transformer.dump_sequence(params, [PyFormat.TEXT] * len(params))) for sql, params in statements
    ]
    is_first = connection.pgconn.transaction_status == TransactionStatus.IDLE
    begins = is_first and not connection.autocommit
    if begins:
        commands.insert(0, ("BEGIN", ()))
    if commits:
        commands.append(("COMMIT", ()))
    try:
        results = _run(connection, commands)
    except errors.ReadOnlySqlTransaction as error:
        raise connection.give_up(error) from error
    except (errors.FeatureNotSupported, errors.InvalidSqlStatementName):
        # A migration or a pooler has invalidated a prepared statement.
        connection.prepared.forgotten += connection.prepared.names.values()
        connection.prepared.names.clear()
        if not is_first:
            raise
        connection.rollback()
        results = _run(connection, commands)
    rows: list[Rows] = []
    for result in results[begins : len(results) - commits]:
        transformer.set_pgresult(result)
        rows.append(cast(Rows, transformer.load_rows(0, result.ntuples, tuple)))
    transformer.set_pgresult(None)  # else it would be kept
    return rows


@lru_cache(maxsize=1024)
def _numbered(sql: str) -> bytes:
    """The statement with PostgreSQL's own placeholders: $1 for %s."""
    first, *others = sql.split("%s")
    text = first + "".join(f"${number}{part}" for number, part in enumerate(others, 1))
    return text.replace("%%", "%").encode()


def _run(connection: Connection, commands: Sequence[_Command]) -> list[PGresult]:
    """The result of each command."""
    pgconn, prepared = connection.pgconn, connection.prepared
    pgconn.enter_pipeline_mode()
    try:
        places, new = _send(pgconn, prepared, commands)
        if pgconn.flush():  # the rest does not fit into the socket's buffer
            connection.wait(send(pgconn))
        results = _results(connection)
        pgconn.exit_pipeline_mode()
    finally:
        if pgconn.pipeline_status != PipelineStatus.OFF:
            connection.close()  # lost, or interrupted: its next user would read these results
    for sql, place in new.items():  # what is prepared stays so, also when a later statement fails
        if results[place].status != ExecStatus.COMMAND_OK:
            prepared.names.pop(sql, None)
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            raise errors.error_from_result(result)
    return [results[place] for place in places]


def _send(pgconn: PGconn, prepared: Prepared, commands: Sequence[_Command]) -> tuple[list[int], dict[str, int]]:
    """Returns the places of the commands' own results, and of those of new prepared statements."""
    places: list[int] = []
    new: dict[str, int] = {}
    for forgotten in prepared.forgotten:
        pgconn.send_close_prepared(forgotten)
    place = len(prepared.forgotten)
    prepared.forgotten.clear()
    for sql, params in commands:
        name = prepared.names.pop(sql, None)
        if name is None and (name := prepared.new_name(sql)):
            pgconn.send_prepare(name, _numbered(sql))
            new[sql] = place
            place += 1
        if name is None:
            pgconn.send_query_params(_numbered(sql), params, result_format=Format.BINARY)
        else:
            prepared.names[sql] = name  # now the most recently used
            pgconn.send_query_prepared(name, params, result_format=Format.BINARY)
        places.append(place)
        place += 1
    pgconn.pipeline_sync()
    return places, new


def _results(connection: Connection) -> list[PGresult]:
    pgconn = connection.pgconn
    results: list[PGresult] = []
    while True:
        while pgconn.is_busy():
            connection.wait_for_data()
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:  # the end of one command's results, or of the connection
            if pgconn.status == ConnStatus.BAD:
                raise OperationalError("the connection to the server was lost")
        elif result.status == ExecStatus.PIPELINE_SYNC:
            return results
        else:
            results.append(result)
