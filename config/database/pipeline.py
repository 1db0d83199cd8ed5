"""A pipeline of statements in one message, on psycopg's interface to libpq (`psycopg.pq`): one wait for all results.

psycopg's own pipeline waits after each statement, and each time releases the GIL, for which all threads queue.
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple, cast

from psycopg import Connection, Error, OperationalError, abc, errors
from psycopg.abc import PQGen
from psycopg.adapt import PyFormat, Transformer
from psycopg.generators import fetch, send
from psycopg.pq import ConnStatus, ExecStatus, PipelineStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.types.numeric import Int8

Sql = tuple[str, Sequence[Any]]  # a statement with its parameters, each a %s
Rows = list[tuple[Any, ...]]

BIGINT = 2**63
THRESHOLD = 3  # the use at which a statement is prepared
MAX_PREPARED = 200  # of each connection; each takes the server some kilobytes
MAX_SEEN = 2000
LONGEST = 2000  # characters of a statement; longer ones are searches for many words

Key = tuple[bytes, tuple[int, ...]]  # query and types


class Prepared:
    """The prepared statements of one connection."""

    def __init__(self, *, is_allowed: bool) -> None:
        self.is_allowed = is_allowed
        self.names: dict[Key, bytes] = {}
        self._seen: Counter[Key] = Counter()
        self._numbers = count()

    def is_worth_it(self, key: Key) -> bool:
        """Whether a statement is used often enough to be prepared."""
        if not self.is_allowed or len(self.names) >= MAX_PREPARED or len(key[0]) > LONGEST:
            return False
        if len(self._seen) >= MAX_SEEN:
            self._seen.clear()
        self._seen[key] += 1
        return self._seen[key] >= THRESHOLD

    def new_name(self) -> bytes:
        """A name that was never used, not even for a statement that was forgotten."""
        return f"tickbase_{next(self._numbers)}".encode()

    def error(self, result: PGresult) -> Error:
        """psycopg's error for a failed result. If a migration or a pooler has invalidated a prepared statement, all are
        forgotten."""
        error = errors.error_from_result(result)
        if isinstance(error, errors.FeatureNotSupported | errors.InvalidSqlStatementName):
            self.names.clear()
        return error


class _Command(NamedTuple):
    query: bytes
    types: tuple[int, ...]
    params: Sequence[Any]
    formats: Sequence[Any]


def pipeline(
    connection: Connection[Any], prepared: Prepared, statements: Sequence[Sql], *, commits: bool = False
) -> list[Rows]:
    """Run statements, and COMMIT if it `commits`; return the rows of each. Outside of a transaction they are one.
    Raises psycopg's error of the first statement that fails; those after it and the COMMIT are not run."""
    transformer: abc.Transformer = Transformer(connection)
    commands: list[_Command] = []
    if not connection.autocommit and connection.pgconn.transaction_status == TransactionStatus.IDLE:
        commands.append(_Command(b"BEGIN", (), (), ()))
    for sql, params in statements:
        # psycopg would send the smallest type that fits a number, and statements are prepared for types.
        values = [Int8(param) if type(param) is int and -BIGINT <= param < BIGINT else param for param in params]
        dumped = transformer.dump_sequence(values, [PyFormat.AUTO] * len(values))
        commands.append(_Command(_numbered(sql), transformer.types or (), dumped, transformer.formats or ()))
    places = slice(len(commands) - len(statements), len(commands))
    if commits:
        commands.append(_Command(b"COMMIT", (), (), ()))
    with connection.lock:
        try:
            results = connection.wait(_run(connection.pgconn, prepared, commands))
        finally:
            if connection.pgconn.pipeline_status != PipelineStatus.OFF:
                connection.close()  # lost, or interrupted: its next user would read these results
    rows: list[Rows] = []
    for result in results[places]:
        transformer.set_pgresult(result)
        rows.append(cast(Rows, transformer.load_rows(0, result.ntuples, tuple)))
    return rows


@lru_cache(maxsize=1024)
def _numbered(sql: str) -> bytes:
    """The statement with PostgreSQL's own placeholders: $1 for %s."""
    first, *others = sql.split("%s")
    text = first + "".join(f"${number}{part}" for number, part in enumerate(others, 1))
    return text.replace("%%", "%").encode()


def _run(pgconn: PGconn, prepared: Prepared, commands: list[_Command]) -> PQGen[list[PGresult]]:
    pgconn.enter_pipeline_mode()
    new: dict[Key, tuple[bytes, int]] = {}  # the names of new prepared statements, and the places of their results
    places: list[int] = []  # of the commands' own results
    for command in commands:
        key = command.query, command.types
        name = prepared.names.get(key) or new.get(key, (None,))[0]
        if name is None and prepared.is_worth_it(key):
            name = prepared.new_name()
            new[key] = name, len(places) + len(new)
            pgconn.send_prepare(name, command.query, command.types)
        places.append(len(places) + len(new))
        if name is None:
            pgconn.send_query_params(command.query, command.params, command.types, command.formats)
        else:
            pgconn.send_query_prepared(name, command.params, command.formats)
    pgconn.pipeline_sync()
    yield from send(pgconn)
    results = yield from _results(pgconn)
    pgconn.exit_pipeline_mode()
    # A prepared statement stays, also when a later statement fails.
    prepared.names |= {
        key: name for key, (name, place) in new.items() if results[place].status == ExecStatus.COMMAND_OK
    }
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            raise prepared.error(result)
    return [results[place] for place in places]


def _results(pgconn: PGconn) -> PQGen[list[PGresult]]:
    results: list[PGresult] = []
    while True:
        result = yield from fetch(pgconn)
        if result is None:  # the end of one command's results, or of the connection
            if pgconn.status == ConnStatus.BAD:
                raise OperationalError("the connection to the server was lost")
        elif result.status == ExecStatus.PIPELINE_SYNC:
            return results
        else:
            results.append(result)
