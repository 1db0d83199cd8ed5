"""Reads the heads of requests, each part of which has a bound: some parsers take time by the square of a length."""

import sys
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
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if "_" in name:  # would pass for the header with hyphens, which proxies set and clients must not
            continue
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        if key in environ:
            value = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"
        if len(value) > HEADERS.get(key, HEADER):
            too_long[key] = name
        else:
            environ[key] = value
    if not too_long:
        return None
    for key in too_long:
        environ.pop(key, None)
    key, name = next(iter(too_long.items()))
    return HeaderTooLong(f"The header {name[:100]} has more than {HEADERS.get(key, HEADER)} bytes; send less.")
