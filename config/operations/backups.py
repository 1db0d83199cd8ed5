"""Backups: dumps in PostgreSQL's own format, checked row by row before they count, and restored whole or not at all."""

import datetime as dt
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import psycopg
from django.apps import apps
from django.contrib.auth import get_user_model
from psycopg import sql

from config.database import migrations
from config.models import Backup
from config.operations.postgres_tools import ProgramError, Target, find, major

Rows = dict[str, int]  # how many, by table

_MIGRATIONS = "django_migrations"
# Of a dump as SQL. In the format of COPY a row is a line, whatever is in it.
_VERSION = re.compile(rb"-- Dumped from database version (\d+)")
_DATA = re.compile(rb"-- Data for Name: (.+); Type: TABLE DATA; Schema: .+; Owner: (.+)\n")
_COPY, _END = b"COPY ", b"\\.\n"
# What pg_restore 18 sets at the beginning, and servers before 17 do not know.
_NEW_SETTING = b"SET transaction_timeout = 0;\n"
_HEAD = 4096
_NAME, _NAMED = "tickbase-{:%Y%m%dT%H%M%SZ}.dump", "tickbase-????????T??????Z.dump"  # in UTC: sorted by time
_BACKUP = Backup._meta.db_table
_NOTE = f"""
INSERT INTO {_BACKUP} AS noted (id, made_at) VALUES (1, %s)
ON CONFLICT (id) DO UPDATE SET made_at = greatest(noted.made_at, excluded.made_at)
"""  # nosec B608: the name of our own table
# Those of triggers: `pg_restore --clean` would leave the ones that the dump does not know, and `migrate` stumble.
_DROP_FUNCTIONS = """
DO $$ DECLARE each regprocedure; BEGIN
    FOR each IN SELECT oid FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
        AND pg_get_userbyid(proowner) = current_user
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
    LOOP EXECUTE format('DROP ROUTINE %s CASCADE', each); END LOOP;
END $$;
"""


class Contents(NamedTuple):
    rows: Rows
    migrations: migrations.Names
    owner: str
    version: int  # of the server that was dumped


def dump(path: Path, target: Target) -> Rows:
    """Write a new file, only readable by its owner; its rows are compared with the database's before it gets its name.

    Row level security would leave out what is not shown, silently; and a full disk can cut off the end. Raises
    ProgramError and OSError, and leaves no file then.
    """
    with target.connect() as connected, tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        connected.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        [(snapshot, made_at)] = connected.execute("SELECT pg_export_snapshot(), now()").fetchall()
        held = {table: _count(connected, table) for table in _tables(connected)}
        require(held, migrations.applied())
        draft = Path(folder, path.name)
        draft.touch(0o600)
        command = [
            find("pg_dump", major(connected)), *target.arguments, "--format=custom", "--enable-row-security",
            "--no-owner", f"--snapshot={snapshot}", f"--file={draft}",
        ]  # fmt: skip
        done = subprocess.run(command, env=target.environment, stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise ProgramError(_first_line(done.stderr))
        if read(draft).rows != held:
            raise ProgramError("The dump lacks rows that the database holds; free disk space and try again.")
        draft.rename(path)
        _note(connected, made_at, held)
    return held


def _note(connected: psycopg.Connection[Any], made_at: dt.datetime, held: Rows) -> None:
    """For the doctor, on whatever machine. Neither a standby nor an older Tickbase's database can keep it."""
    connected.rollback()
    connected.isolation_level = None
    if _BACKUP in held:
        with suppress(psycopg.errors.ReadOnlySqlTransaction):
            connected.execute(_NOTE.encode(), [made_at])
            connected.commit()


def new_path(folder: Path) -> Path:
    """Of a backup that begins now."""
    return folder / _NAME.format(dt.datetime.now(dt.UTC))


def rotate(folder: Path, keep: int) -> int:
    """Remove all but the newest of those that `new_path` has named. Returns how many; raises OSError."""
    old = sorted(folder.glob(_NAMED))[:-keep]
    for path in old:
        path.unlink()
    return len(old)


def read(path: Path) -> Contents:
    """Reads all of the file. Raises ProgramError for what is no dump, damaged or cut off."""
    rows: Rows = {}
    applied: migrations.Names = set()
    version, owner, table, copying = 0, "", "", False
    with _script(path, "--data-only") as script:
        for line in script:
            if copying and line == _END:
                copying = False
            elif copying:
                rows[table] += 1
                if table == _MIGRATIONS:
                    _, app, name, _ = line.decode().split("\t")
                    applied.add((app, name))
            elif line.startswith(_COPY):
                copying, rows[table] = True, 0
            elif found := _DATA.match(line):
                table, owner = found[1].decode(), found[2].decode()
            elif found := _VERSION.match(line):
                version = int(found[1])
    return Contents(rows, applied, owner, version)


def require(tables: Collection[str], applied: migrations.Names) -> None:
    """Raises ProgramError unless there is what every Tickbase has, and what the migrations make that are applied."""
    needed = {_MIGRATIONS, get_user_model()._meta.db_table} | migrations.tables(applied)
    if missing := sorted(needed.difference(tables)):
        raise ProgramError(f"These tables of Tickbase's are missing: {', '.join(missing)}. Is it the right one?")


def holds_accounts(target: Target) -> bool:
    accounts = get_user_model()._meta.db_table
    with target.connect() as connected:
        return accounts in _tables(connected) and _count(connected, accounts) > 0


def load(path: Path, contents: Contents, target: Target, *, keep_privileges: bool = True) -> None:
    """Put the dump in the place of the service's tables, in one transaction. Raises ProgramError; nothing has changed
    then.

    `pg_restore --clean --single-transaction` does not do: it stops at tables of a newer Tickbase, which refer to those
    of the dump, and at a server before 17.
    """
    with target.connect() as connected:
        server = major(connected)
        drop = _drop(connected, _tables(connected), contents.rows.keys())
        [(role,)] = connected.execute("SELECT current_user").fetchall()
    # Other roles may not be there, and older servers do not know all privileges.
    keep_privileges = keep_privileges and role == contents.owner and server >= contents.version
    options = ["--no-owner", *([] if keep_privileges else ["--no-privileges"])]
    command = [
        find("psql", 0), *target.arguments, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--output={os.devnull}",
    ]  # fmt: skip
    with tempfile.TemporaryFile() as errors:
        # psql says itself why it left.
        with (
            suppress(BrokenPipeError),
            subprocess.Popen(command, stdin=subprocess.PIPE, stderr=errors, env=target.environment) as psql,
        ):
            assert psql.stdin is not None
            psql.stdin.write(f"BEGIN;\n{drop}{_DROP_FUNCTIONS}".encode())
            with _script(path, *options) as script:
                head = script.read(_HEAD)
                psql.stdin.write(head if server >= 17 else head.replace(_NEW_SETTING, b""))
                shutil.copyfileobj(script, psql.stdin)
            # Only what was read to its end: at the end of its input alone, psql leaves and all is undone.
            psql.stdin.write(b"\nCOMMIT;\nANALYZE;\n")
        if psql.returncode != 0:
            errors.seek(0)
            raise ProgramError(f"Nothing was restored. {_first_line(errors.read())}")


def _drop(connected: psycopg.Connection[Any], tables: list[str], in_dump: Collection[str]) -> str:
    """Raises ProgramError where tables of something else are in the way."""
    own = {model._meta.db_table for model in apps.get_models(include_auto_created=True)} | {_MIGRATIONS, *in_dump}
    if foreign := [table for table in tables if table not in own]:
        raise ProgramError(
            f"The database holds tables that are not Tickbase's: {', '.join(foreign)}. Restore into one of its own."
        )
    drop = sql.SQL("DROP TABLE {} CASCADE;\n")
    return "".join(drop.format(sql.Identifier(table)).as_string(connected) for table in tables)


def _tables(connected: psycopg.Connection[Any]) -> list[str]:
    query = "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')"
    return sorted(name for (name,) in connected.execute(query))


def _count(connected: psycopg.Connection[Any], table: str) -> int:
    [(rows,)] = connected.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchall()
    return int(rows)


@contextmanager
def _script(path: Path, *options: str) -> Iterator[IO[bytes]]:
    """The dump as SQL. Raises ProgramError at the end unless all of it was good."""
    command = [find("pg_restore", 0), *options, "--enable-row-security", "--file=-", str(path)]
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as process:
            assert process.stdout is not None
            yield process.stdout
        if process.returncode != 0:
            errors.seek(0)
            raise ProgramError(
                f"{path} is no backup of Tickbase, or damaged or cut off; take another. {_first_line(errors.read())}"
            )


def _first_line(errors: bytes) -> str:
    """What follows is where."""
    return errors.decode(errors="replace").strip().partition("\n")[0]
