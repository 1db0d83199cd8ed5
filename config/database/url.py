"""Reads DATABASE_URL into Django's settings: dj-database-url's work, and libpq's lists of hosts."""

from typing import Any
from urllib.parse import urlsplit

import dj_database_url
import psycopg
from psycopg.conninfo import conninfo_to_dict


def parse(url: str) -> dict[str, Any]:
    """Raises ValueError."""
    netloc = urlsplit(url).netloc
    user, at, hosts = netloc.rpartition("@")
    first, comma, _ = hosts.partition(",")
    config: dict[str, Any] = {**dj_database_url.parse(url.replace(netloc, f"{user}{at}{first}", 1))}
    if comma:
        config |= _hosts(url)
        # Of a primary and its standbys only one takes writes, and after a failover it is another one.
        config["OPTIONS"] = {"target_session_attrs": "read-write", **config.get("OPTIONS", {})}
    return config


def _hosts(url: str) -> dict[str, str]:
    try:
        found = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise ValueError("not a valid list of hosts") from error
    return {"HOST": str(found["host"]), "PORT": str(found.get("port") or "")}
