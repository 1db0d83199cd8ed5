"""Databases of a test's own, on which commands run as an operator runs them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection
from psycopg import sql

from tests.server import ROOT

Tables = dict[str, list[tuple[Any, ...]]]


class Database:
    def __init__(self, url: str, name: str = "") -> None:
        self.url = url
        self.name = name

    def manage(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        given = {**os.environ, "DATABASE_URL": self.url, **environment}
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True)

    def fetch(self, query: Any, user_id: str = "0") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, options=f"-c tickbase.user_id={user_id}") as connected:
            return connected.execute(query).fetchall()

    def run(self, *statements: str) -> None:
        with psycopg.connect(self.url, options="-c tickbase.user_id=0") as connected:
            for statement in statements:
                connected.execute(statement.encode())

    def rows(self) -> Tables:
        """All of them, of every table."""
        names = self.fetch("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'")
        select = sql.SQL("SELECT row.* FROM {} AS row ORDER BY row::text")
        return {name: self.fetch(select.format(sql.Identifier(name))) for (name,) in sorted(names)}

    def schema(self) -> list[tuple[Any, ...]]:
        """Columns, indexes, constraints, policies, triggers, privileges and sequences."""
        return self.fetch("""
            SELECT 'column', table_name, column_name, data_type || is_nullable || coalesce(column_default, '')
                FROM information_schema.columns WHERE table_schema = 'public'
            UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
            UNION ALL SELECT 'policy', tablename, policyname, qual || with_check FROM pg_policies
            UNION ALL SELECT 'sequence', schemaname, sequencename, last_value::text FROM pg_sequences
            UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
                FROM pg_constraint WHERE connamespace = 'public'::regnamespace
            UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid)
                FROM pg_trigger WHERE NOT tgisinternal
            UNION ALL SELECT 'table', relname, relpersistence::text, relrowsecurity::text || relforcerowsecurity::text
                || coalesce(reloptions::text, '') || coalesce(relacl::text, '')
                FROM pg_class WHERE relnamespace = 'public'::regnamespace
            ORDER BY 1, 2, 3, 4
        """)


@contextmanager
def database(name: str, template: str = "template1") -> Iterator[Database]:
    """An empty one, or the copy of another, on the server of the tests."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    name = f"test_{name}_{worker}"
    template = template if template == "template1" else f"test_{template}_{worker}"
    settings = connection.settings_dict
    base = f"postgresql://{settings['USER']}@/{{}}?host={settings['HOST']}"
    with psycopg.connect(base.format("postgres"), autocommit=True) as server:
        # Not WITH (FORCE), which needs the right to end an autovacuum worker; a plain DROP sends it away by itself.
        server.execute(f"DROP DATABASE IF EXISTS {name}".encode())
        server.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        yield Database(base.format(name), name)
        server.execute(f"DROP DATABASE {name}".encode())
