"""Runs pg_dump, pg_restore and psql on the service's database, as its own role."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

from config.database.reachable import reason


class ProgramError(Exception):
    """The message says what to do."""


def find(name: str, server: int) -> str:
    """A program that is at least as new as the server: the one that comes along, or one in PATH."""
    from config.database import embedded  # as in the settings: slow to import

    for path in (str(embedded.PROGRAMS / name), shutil.which(name)):
        if path and Path(path).exists() and _version(path) >= server:
            return path
    raise ProgramError(
        f"PostgreSQL {server} needs a {name} of version {server} or newer in PATH. "
        f"On Debian and Ubuntu: apt install postgresql-client-{server}"
    )


@cache
def _version(path: str) -> int:
    printed = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\) (\d+)", printed)
    return int(found[1]) if found else 0


_POOLER = "Through a pooler this cannot work: let DATABASE_URL name the server itself, at Neon without `-pooler`."


def connection_parameters() -> dict[str, Any]:
    """Those that PostgreSQL's own library takes."""
    known = {each.keyword.decode() for each in Conninfo.get_defaults()}
    return {name: value for name, value in connection.get_connection_params().items() if name in known}


class Target:
    """The database that the settings name, for sessions in which PostgreSQL has a setting."""

    def __init__(self, name: str, value: str) -> None:
        self._name, self._value = name, value
        given = connection_parameters()
        self._password = str(given.pop("password", "") or "")
        given["options"] = f"{given.get('options') or ''} -c {name}={value}".strip()
        self._conninfo = make_conninfo(**given)

    def connect(self) -> psycopg.Connection[Any]:
        """Raises ProgramError."""
        try:
            connected = psycopg.connect(make_conninfo(self._conninfo, password=self._password or None))
            told = connected.execute("SELECT current_setting(%s, true)", [self._name]).fetchone()
            connected.rollback()
        except psycopg.OperationalError as error:
            hint = _POOLER if "startup parameter" in str(error) else "Check DATABASE_URL."
            raise ProgramError(f"The database cannot be reached: {reason(error)}. {hint}") from error
        if told != (self._value,):
            connected.close()
            raise ProgramError(f"The database was not told what to show. {_POOLER}")
        return connected

    @property
    def arguments(self) -> list[str]:
        return ["--no-password", "--dbname", self._conninfo]

    @property
    def environment(self) -> dict[str, str]:
        """Others see a process's arguments, but not its environment."""
        return {**os.environ, **({"PGPASSWORD": self._password} if self._password else {})}


def major(connected: psycopg.Connection[Any]) -> int:
    return connected.info.server_version // 10_000
