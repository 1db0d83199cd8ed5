"""The WSGI entry point, which `manage.py serve` runs behind `config.asgi`; any WSGI server can run it, too."""

import os
from io import BytesIO
from typing import TYPE_CHECKING

import django
from django.conf import settings
from django.core.checks import Tags, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler
from django.db import DEFAULT_DB_ALIAS, connection
from django.http.response import HttpResponseBase
from django.utils.http import parse_header_parameters

from config.server import heads

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)


def _require_isolation() -> None:
    """As `manage.py serve` does before; other servers call nothing of ours but this module."""
    found = run_checks(tags=[Tags.database], databases=[DEFAULT_DB_ALIAS])
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # servers may fork from here
    for error in found:
        if error.id == "users.E001":
            raise ImproperlyConfigured(f"{error.msg} {error.hint}")


if settings.PRODUCTION:
    _require_isolation()


class Application(WSGIHandler):
    """Django's, for requests that Django does not take as they come."""

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> HttpResponseBase:
        has_body = environ["REQUEST_METHOD"] in ("POST", "PUT", "PATCH", "DELETE")
        if has_body and "CONTENT_LENGTH" not in environ and environ.get("wsgi.input_terminated"):
            _measure_body(environ)
        _drop_invalid_content_type(environ)
        return super().__call__(environ, start_response)


def _measure_body(environ: "WSGIEnvironment") -> None:
    """A body without Content-Length (chunked, or HTTP/2) is empty to Django; read what may be accepted of it."""
    body = environ["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ["wsgi.input"] = BytesIO(body)


def _drop_invalid_content_type(environ: "WSGIEnvironment") -> None:
    """Django would raise before any error handler stands, and parse a long one for seconds."""
    if len(environ.get("CONTENT_TYPE", "")) > heads.HEADERS["CONTENT_TYPE"]:
        environ["CONTENT_TYPE"] = ""
    try:
        parse_header_parameters(environ.get("CONTENT_TYPE", ""))
    except ValueError:
        environ["CONTENT_TYPE"] = ""


application = Application()
