"""What DATABASE_URL may say, and how whatever cannot be done is refused: in one line, and never by doing less."""

import os
import subprocess
import sys
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import make_conninfo

from config.environment.database_url import parse
from tests.server import ROOT

URL = "postgresql://u:p@h/db"
INVALID = "DATABASE_URL is not a valid URL; percent-encode special characters in its user and password."
UNKNOWN = "DATABASE_URL has parameters that PostgreSQL does not know:"
PRISMA = f"{URL}?pgbouncer=true&connection_limit=1&schema=public&pool_timeout=20"


def refusal_of(url: str) -> str:
    with pytest.raises(ImproperlyConfigured) as caught:
        parse(url)
    return str(caught.value)


def options_of(query: str) -> Any:
    return parse(f"{URL}?{query}")["OPTIONS"]


# --- Parameters -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", {}),
        ("sslmode=require&channel_binding=require", {"sslmode": "require", "channel_binding": "require"}),
        ("sslmode=verify-full&sslrootcert=/a%20b.crt", {"sslmode": "verify-full", "sslrootcert": "/a b.crt"}),
        ("application_name=007&keepalives=1", {"application_name": "007", "keepalives": "1"}),
        ("connect_timeout=5", {"connect_timeout": "5"}),
        ("currentSchema=app", {"options": "-c search_path=app"}),
        ("options=-c%20jit%3Doff&currentSchema=app", {"options": "-c jit=off -c search_path=app"}),
    ],
)
def test_what_libpq_knows_reaches_it_as_it_was_written(query: str, options: dict[str, str]) -> None:
    assert options_of(query) == options
    make_conninfo(**options)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("pgbouncer=true", "pgbouncer (remove it, poolers are recognised without)"),
        ("connection_limit=1", "connection_limit (set THREADS instead)"),
        ("schema=public", "schema (write currentSchema instead)"),
        ("sslmod=require", "sslmod (did you mean sslmode?)"),
        ("ssl_mode=require", "ssl_mode (did you mean sslmode?)"),
        ("SSLMODE=require", "SSLMODE (did you mean sslmode?)"),
        ("channelbinding=require", "channelbinding (did you mean channel_binding?)"),
        ("ssl=true", "ssl (write sslmode=require instead)"),
        ("pool_timeout=20&statement_cache_size=0", "pool_timeout (remove it); statement_cache_size (remove it)"),
        ("assume_role=app", "assume_role (remove it)"),  # of Django's, which backup would not know
        ("sslmode=require&pgbouncer=true", "pgbouncer (remove it, poolers are recognised without)"),
        ("pgbouncer", "pgbouncer (remove it, poolers are recognised without)"),
        ("=x", "a name that is none (percent-encode special characters)"),
    ],
)
def test_what_libpq_does_not_know_is_refused_by_name(query: str, told: str) -> None:
    assert refusal_of(f"{URL}?{query}") == f"{UNKNOWN} {told}."


def test_all_that_is_unknown_is_named_at_once() -> None:
    names = ("pgbouncer", "connection_limit", "schema", "pool_timeout")
    assert all(refusal_of(PRISMA).count(f" {name} (") == 1 for name in names)


@pytest.mark.parametrize(
    "query", ["sslmode", "sslmode=", "sslmode=require&sslmode=disable", "sslmode=&sslmode=require"]
)
def test_a_parameter_that_says_nothing_or_two_things_is_refused(query: str) -> None:
    assert refusal_of(f"{URL}?{query}") == "DATABASE_URL must give its parameter sslmode once, and with a value."


def test_a_time_that_is_none_is_refused() -> None:
    assert refusal_of(f"{URL}?connect_timeout=soon") == (
        "DATABASE_URL must give connect_timeout as a whole number of seconds."
    )


@pytest.mark.parametrize(
    "command",
    [["serve"], ["migrate"], ["doctor"], ["check"], ["backup", "file"], ["restore", "file"], ["prune"], []],
    ids=lambda command: (command or ["wsgi"])[0],
)
@pytest.mark.process
def test_everything_that_connects_refuses_it_in_one_line(command: list[str]) -> None:
    arguments = ["manage.py", *command] if command else ["-c", "import config.wsgi"]
    environment = {**os.environ, "DATABASE_URL": f"{URL}?sslmod=require"}
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)
    message = f"{UNKNOWN} sslmod (did you mean sslmode?)."
    assert (done.returncode, done.stdout) == (1, "")
    if command:
        assert done.stderr == f"Tickbase cannot start: {message}\n"
    else:  # another server's to print
        assert done.stderr.endswith(f"ImproperlyConfigured: {message}\n")


# --- The rest of it ---------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["sqlite:///db.sqlite3", "mysql://u:p@host/db", "host/db"])
def test_only_postgresql_is_taken(url: str) -> None:
    assert refusal_of(url) == "DATABASE_URL must be a PostgreSQL URL: postgresql://user:password@host/name"


@pytest.mark.parametrize(
    "url", ["postgresql://u:p@h", "postgresql://u:p@h/?sslmod=require", "postgresql://u:12?a=b@h/db"]
)
def test_a_database_is_named(url: str) -> None:
    assert refusal_of(url) == "DATABASE_URL names no database: postgresql://user:password@host/name"


@pytest.mark.parametrize(
    "url", ["postgresql://u:pass#word@h/db", f"{URL}?password=a#b&sslmode=require", "postgresql://["]
)
def test_what_cannot_be_parsed_is_refused_without_its_password(url: str) -> None:
    assert refusal_of(url) == INVALID


def test_a_url_may_leave_out_what_libpq_knows_itself() -> None:
    found = parse("postgresql:///db?host=/run/postgresql&user=me")
    assert (found["HOST"], found["USER"], found["NAME"]) == ("", "", "db")
    assert found["OPTIONS"] == {"host": "/run/postgresql", "user": "me"}


def test_several_hosts_become_libpqs_lists_and_the_one_that_takes_writes_is_wanted() -> None:
    found = parse("postgresql://u:p%40@h1:5433,h2/db?sslmode=require")
    assert {name: found[name] for name in ("USER", "PASSWORD", "HOST", "PORT", "NAME")} == {
        "USER": "u", "PASSWORD": "p@", "HOST": "h1,h2", "PORT": "5433,", "NAME": "db",
    }  # fmt: skip
    assert found["OPTIONS"] == {"target_session_attrs": "read-write", "sslmode": "require"}


def test_of_several_hosts_any_may_be_wanted() -> None:
    found = parse("postgresql://u:p@[::1]:1,[::2]:2/db?target_session_attrs=any")
    assert (found["HOST"], found["PORT"]) == ("::1,::2", "1,2")
    assert found["OPTIONS"] == {"target_session_attrs": "any"}


def test_of_several_hosts_too_what_is_unknown_is_refused_by_name() -> None:
    assert refusal_of("postgresql://u:p@h1,h2/db?colour=red") == f"{UNKNOWN} colour (remove it)."


def test_hosts_that_libpq_does_not_understand_are_refused() -> None:
    assert refusal_of("postgresql://u:p@h1:x,h2/db") == INVALID
