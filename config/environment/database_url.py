"""Parses DATABASE_URL into Django's settings, with libpq's parameters and lists of hosts on top of dj-database-url."""

import re
from difflib import get_close_matches
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import dj_database_url
import psycopg
from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import conninfo_to_dict, timeout_from_conninfo
from psycopg.pq import Conninfo

EXAMPLE = "postgresql://user:password@host/name"
SCHEMA = "currentSchema"  # JDBC's parameter for the search path
# Parameters of other software that PostgreSQL does not know, and what to do instead.
_INSTEAD = {
    "ssl": "write sslmode=require instead",
    "pgbouncer": "remove it, poolers are recognised without",
    "connection_limit": "set THREADS instead",
    "schema": f"write {SCHEMA} instead",
}
_NAME = re.compile(r"\w{1,40}", re.ASCII)


def parse(url: str) -> dict[str, Any]:
    """Raises ImproperlyConfigured, with a message without secrets."""
    if not url.startswith(("postgres://", "postgresql://")):
        raise ImproperlyConfigured(f"DATABASE_URL must be a PostgreSQL URL: {EXAMPLE}")
    try:
        config = _parse(url)
    except (ValueError, psycopg.ProgrammingError):
        raise ImproperlyConfigured(
            "DATABASE_URL is not a valid URL; percent-encode special characters in its user and password."
        ) from None  # libpq quotes what it does not understand, which may be the password
    if not config["NAME"]:
        raise ImproperlyConfigured(f"DATABASE_URL names no database: {EXAMPLE}")
    config["OPTIONS"] |= _parameters(urlsplit(url).query)
    return config


def _parse(url: str) -> dict[str, Any]:
    """The URL without its parameters. Raises ValueError, and ProgrammingError for a list of hosts."""
    parts = urlsplit(url)
    if "#" in url:  # what follows would be dropped, sslmode too
        raise ValueError("a fragment")
    user, at, hosts = parts.netloc.rpartition("@")
    first, comma, _ = hosts.partition(",")
    plain = parts._replace(netloc=f"{user}{at}{first}", query="")
    config: dict[str, Any] = {**dj_database_url.parse(urlunsplit(plain)), "OPTIONS": {}}
    if comma:
        found = conninfo_to_dict(urlunsplit(parts._replace(query="")))
        config |= {"HOST": str(found["host"]), "PORT": str(found.get("port") or "")}
        # Only the primary takes writes, and after a failover that is another host.
        config["OPTIONS"]["target_session_attrs"] = "read-write"
    return config


def _parameters(query: str) -> dict[str, str]:
    """The parameters of libpq, each once and with a value: without a misspelt one, a connection may be without TLS."""
    pairs = parse_qsl(query, keep_blank_values=True)
    names = [name for name, _ in pairs]
    known = {each.keyword.decode() for each in Conninfo.get_defaults()} | {SCHEMA}
    if unknown := [_advice(name, known) for name in dict.fromkeys(names) if name not in known]:
        raise ImproperlyConfigured(f"DATABASE_URL has parameters that PostgreSQL does not know: {'; '.join(unknown)}.")
    for name, value in pairs:
        if not value or names.count(name) > 1:
            raise ImproperlyConfigured(f"DATABASE_URL must give its parameter {name} once, and with a value.")
    parameters = dict(pairs)
    if schema := parameters.pop(SCHEMA, None):
        parameters["options"] = f"{parameters.get('options', '')} -c search_path={schema}".strip()
    try:
        timeout_from_conninfo({**parameters})
    except psycopg.ProgrammingError as error:
        raise ImproperlyConfigured("DATABASE_URL must give connect_timeout as a whole number of seconds.") from error
    return parameters


def _advice(name: str, known: set[str]) -> str:
    if not _NAME.fullmatch(name):  # perhaps the rest of a password with a ? in it
        return "a name that is none (percent-encode special characters)"
    if name in _INSTEAD:
        return f"{name} ({_INSTEAD[name]})"
    close = get_close_matches(name.lower(), known, n=1, cutoff=0.8)
    return f"{name} (did you mean {close[0]}?)" if close else f"{name} (remove it)"
