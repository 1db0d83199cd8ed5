"""Reads the heads of requests, each part of which has a bound: some parsers take time by the square of a length."""

import sys
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from asgiref.typing import HTTPScope

from config.errors import DomainError, HeaderTooLong, TargetTooLong

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Bytes; the head as a whole is bounded by `launcher.BUFFER`. A name of an account has up to 255 characters, each of
# which may take twelve in an address; a search has 200, and a cursor and many tags may come beside it.
PATH = 4096
QUERY = 16 * 1024
HEADER = 2048
HEADERS = {
    "HTTP_AUTHORIZATION": 8192,
    "HTTP_COOKIE": 4096,
    "HTTP_REFERER": 8192,
    "CONTENT_TYPE": 256,
    "CONTENT_LENGTH": 32,
    "HTTP_HOST": 256,
    "HTTP_ORIGIN": 256,
    "HTTP_TRANSFER_ENCODING": 256,
    "HTTP_EXPECT": 256,
    "HTTP_X_FORWARDED_PROTO": 256,
    "HTTP_X_REQUEST_ID": 256,
    "HTTP_RANGE": 256,
    "HTTP_USER_AGENT": 1024,
}


def read(scope: HTTPScope) -> tuple["WSGIEnvironment", DomainError | None]:
    """PEP 3333, without a body yet; and why the request is refused, if it is. What is too long is left out."""
    raw_path, query = scope["raw_path"], scope["query_string"]
    refusal: DomainError | None = None
    if len(raw_path) > PATH or len(query) > QUERY:
        refusal = TargetTooLong(f"A path has at most {PATH} bytes, and a query {QUERY}; send less.")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope["method"].upper(),  # as Django takes it; for choosing a lane it must be the same
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(raw_path[:PATH]).decode("latin-1"),
        "QUERY_STRING": query[:QUERY].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    if scope["server"]:
        environ["SERVER_NAME"], environ["SERVER_PORT"] = scope["server"][0], str(scope["server"][1])
    if scope["client"]:
        environ["REMOTE_ADDR"] = scope["client"][0]
    return environ, _add_headers(environ, scope) or refusal


def _add_headers(environ: "WSGIEnvironment", scope: HTTPScope) -> DomainError | None:
    too_long: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        key, value = _key_of(raw_name), raw_value.decode("latin-1")
        if key is None:
            continue
        if key in environ:
            value = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"
        if len(value) > HEADERS.get(key, HEADER):
            too_long[key] = raw_name.decode("latin-1")
        else:
            environ[key] = value
    if not too_long:
        return None
    for key in too_long:
        environ.pop(key, None)
    key, name = next(iter(too_long.items()))
    return HeaderTooLong(f"The header {name[:100]} has more than {HEADERS.get(key, HEADER)} bytes; send less.")


@lru_cache(maxsize=128)  # of all the names that fit into a head: 8 MB at most
def _key_of(name: bytes) -> str | None:
    """The key of a header in the environ; None if it would pass for another header."""
    if b"_" in name:  # for the one with hyphens, which proxies set and clients must not
        return None
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
