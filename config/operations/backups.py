"""Backups: dumps in PostgreSQL's own format, checked row by row before they count, and restored whole or not at all."""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import psycopg
from django.apps import apps
from psycopg import sql

from config.operations.postgres_tools import ProgramError, Target, find, major

Rows = dict[str, int]  # how many, by table

MIGRATIONS = "django_migrations"
_NEEDED = {MIGRATIONS, "users_user", "tasks_task", "tasks_feed"}
_COPY = re.compile(rb"COPY (?:\w+\.)?\"?(\w+)\"? \(")
_END = b"\\.\n"
# The service's tables alone: what their names are is known. Functions are those of its triggers.
_TABLES = """
    SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
    ORDER BY relname
"""
_CLEAR_FUNCTIONS = """
DO $$ DECLARE each regprocedure; BEGIN
    FOR each IN SELECT oid FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
        AND pg_get_userbyid(proowner) = current_user
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
    LOOP EXECUTE format('DROP ROUTINE %s CASCADE', each); END LOOP;
END $$;
"""
# What pg_restore 18 sets at the beginning, and servers before 17 do not know.
_NEW_SETTING = b"SET transaction_timeout = 0;\n"
_HEAD = 4096


class Contents(NamedTuple):
    """What a dump says of itself."""

    tables: set[str]
    owner: str
    version: int  # of the server that it was made of


# --- Dumping ----------------------------------------------------------------------------------------


def dump(path: Path, target: Target) -> Rows:
    """Write a new file, only readable by its owner; what it holds is compared with what the database holds.

    Row level security would leave out what is not shown, silently; and a full disk can cut off the end. Raises
    ProgramError and OSError, and leaves no file then.
    """
    with target.connect() as connected, _draft(path) as draft:
        connected.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        (snapshot,) = _one(connected, "SELECT pg_export_snapshot()")
        held = _count_rows(connected)
        _refuse_to_lack(held.keys())
        command = [
            find("pg_dump", major(connected)), *target.arguments, "--format=custom", "--enable-row-security",
            "--no-owner", f"--snapshot={snapshot}", f"--file={draft}",
        ]  # fmt: skip
        _run(command, target)
        found = rows_of(draft)
        if found != held:
            raise ProgramError("The dump lacks rows that the database holds; free disk space and try again.")
    return found


def _count_rows(connected: psycopg.Connection[Any]) -> Rows:
    tables = [name for (name,) in connected.execute(_TABLES)]
    count = sql.SQL("SELECT count(*) FROM {}")
    return {table: _one(connected, count.format(sql.Identifier(table)))[0] for table in tables}


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """A file beside it, that takes its name once all is well and on the disk."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    try:
        yield Path(name)
        with open(name, "rb") as file:
            os.fsync(file.fileno())
        os.rename(name, path)
    except BaseException:
        os.unlink(name)
        raise


# --- Reading ----------------------------------------------------------------------------------------


def contents(path: Path) -> Contents:
    """Raises ProgramError for what is no dump of Tickbase."""
    try:
        listed = _run([_pg_restore(), "--list", str(path)])
    except ProgramError as error:
        raise ProgramError(f"{path} is no backup of Tickbase, or damaged. {error}") from error
    tables = re.findall(r"^\d+; \d+ \d+ TABLE \S+ (\S+) (\S+)$", listed, re.M)
    _refuse_to_lack({name for name, _ in tables})
    version = re.search(r"^; +Dumped from database version: (\d+)", listed, re.M)
    return Contents({name for name, _ in tables}, tables[0][1], int(version[1]) if version else 0)


def rows_of(path: Path) -> Rows:
    """Reads all of the file. Raises ProgramError where it is damaged or ends too early."""
    with _script(path, "--data-only") as script:
        return _count(script)


def migrations_of(path: Path) -> set[tuple[str, str]]:
    with _script(path, "--data-only", f"--table={MIGRATIONS}") as script:
        rows = [line.decode().split("\t") for line in script]
    return {(row[1], row[2]) for row in rows if len(row) == 4}


def _count(script: Iterable[bytes]) -> Rows:
    """In the format of COPY a row is a line, whatever is in it."""
    counts: Rows = {}
    table = ""
    for line in script:
        if table and line != _END:
            counts[table] += 1
        elif table:
            table = ""
        elif found := _COPY.match(line):
            table = found[1].decode()
            counts[table] = 0
    return counts


def _pg_restore() -> str:
    return find("pg_restore", 0)


@contextmanager
def _script(path: Path, *options: str) -> Iterator[IO[bytes]]:
    """The dump as SQL. Raises ProgramError at the end unless all of it was good."""
    command = [_pg_restore(), *options, "--no-owner", "--enable-row-security", "--file=-", str(path)]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
        assert process.stdout is not None
        with process.stdout:
            yield process.stdout
        if process.wait() != 0:
            raise ProgramError(f"{path} is damaged or cut off; take another backup. {_reason(errors)}")


# --- Restoring --------------------------------------------------------------------------------------


def holds_data(target: Target) -> bool:
    with target.connect() as connected:
        tables = {name for (name,) in connected.execute(_TABLES)}
        return "users_user" in tables and connected.execute("SELECT FROM users_user LIMIT 1").fetchone() is not None


def load(path: Path, target: Target, *, keep_privileges: bool = True) -> None:
    """Put the dump in the place of the service's tables, in one transaction. Raises ProgramError; nothing has changed
    then."""
    described = contents(path)
    with target.connect() as connected:
        server = major(connected)
        tables = {name for (name,) in connected.execute(_TABLES)}
        (role,) = _one(connected, "SELECT current_user")
        clear = _clear(connected, tables, described.tables)
    # Other roles may not be there, and older servers do not know all privileges.
    privileges = keep_privileges and role == described.owner and server >= described.version
    psql = [
        find("psql", 0), *target.arguments, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--output={os.devnull}",
    ]  # fmt: skip
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(psql, stdin=subprocess.PIPE, stderr=errors, env=target.environment)
        assert process.stdin is not None
        try:
            _feed(process.stdin, path, clear, [] if privileges else ["--no-privileges"], server)
        except BrokenPipeError:
            pass  # psql has said why
        finally:
            _end(process)
        if process.returncode != 0:
            raise ProgramError(f"Nothing was restored. {_reason(errors)}")


def _feed(psql: IO[bytes], path: Path, clear: str, options: list[str], server: int) -> None:
    """Only a script that was read to its end is committed: whatever else happens, psql leaves and all is undone."""
    psql.write(f"BEGIN;\n{clear}".encode())
    with _script(path, *options) as script:
        head = script.read(_HEAD)
        psql.write(head.replace(_NEW_SETTING, b"") if server < 17 else head)
        while piece := script.read(1 << 20):
            psql.write(piece)
    psql.write(b"\nCOMMIT;\nANALYZE;\n")


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.communicate()
    except BrokenPipeError:
        process.wait()


def _clear(connected: psycopg.Connection[Any], there: set[str], in_dump: set[str]) -> str:
    """Raises ProgramError where tables of something else are in the way."""
    own = {model._meta.db_table for model in apps.get_models(include_auto_created=True)} | {MIGRATIONS} | in_dump
    if foreign := sorted(there - own):
        raise ProgramError(
            f"The database holds tables that are not Tickbase's: {', '.join(foreign)}. Restore into one of its own."
        )
    drop = sql.SQL("DROP TABLE {} CASCADE;\n")
    tables = "".join(drop.format(sql.Identifier(table)).as_string(connected) for table in sorted(there))
    return tables + _CLEAR_FUNCTIONS


# --- Programs ---------------------------------------------------------------------------------------


def _refuse_to_lack(tables: Iterable[str]) -> None:
    if missing := sorted(_NEEDED - set(tables)):
        raise ProgramError(f"These tables of Tickbase's are missing: {', '.join(missing)}. Is it the right one?")


def _run(command: list[str], target: Target | None = None) -> str:
    environment = target.environment if target else None
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise ProgramError(done.stderr.strip().partition("\n")[0])
    return done.stdout


def _reason(errors: IO[bytes]) -> str:
    """The first line; what follows is where."""
    errors.seek(0)
    return errors.read(2000).decode(errors="replace").strip().partition("\n")[0]


def _one(connected: psycopg.Connection[Any], query: Any) -> tuple[Any, ...]:
    row = connected.execute(query).fetchone()
    assert row is not None
    return tuple(row)
