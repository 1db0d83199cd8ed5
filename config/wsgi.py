"""The WSGI application; `manage.py serve` runs it behind `config.asgi`, and any WSGI server can."""

import os
from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING

import django
from django.conf import settings
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import http
from django.utils.log import log_response

from config.database import isolation
from config.server import heads

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)


if settings.PRODUCTION:  # `manage.py serve` runs the checks; of other servers only this module can
    try:
        connection.ensure_connection()
        errors = run_checks(tags=[isolation.TAG], databases=[DEFAULT_DB_ALIAS])
    except OperationalError:
        errors = []  # requests are answered 503 until it is there
    connection.close()  # servers may fork from here
    if errors:
        raise ImproperlyConfigured(" ".join(f"{error.msg} {error.hint}" for error in errors))


# Few content types are ever sent, and each of so few bytes is parsed once.
parse_header_parameters = lru_cache(maxsize=128)(http.parse_header_parameters)


class Application(WSGIHandler):
    """Django's handler, which also accepts bodies of unknown length and invalid content types."""

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> HttpResponseBase:
        has_body = environ["REQUEST_METHOD"] in ("POST", "PUT", "PATCH", "DELETE")
        if has_body and "CONTENT_LENGTH" not in environ and environ.get("wsgi.input_terminated"):
            # To Django a body without Content-Length (chunked, or HTTP/2) is empty; read up to what is accepted of it.
            body = environ["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
            environ |= {"CONTENT_LENGTH": str(len(body)), "wsgi.input": BytesIO(body)}
        # Of an invalid type Django raises before any error handler runs; a long one takes it seconds to parse.
        if len(environ.get("CONTENT_TYPE", "")) > heads.HEADERS["CONTENT_TYPE"]:
            environ["CONTENT_TYPE"] = ""
        try:
            parse_header_parameters(environ.get("CONTENT_TYPE", ""))
        except ValueError:
            environ["CONTENT_TYPE"] = ""
        return super().__call__(environ, start_response)

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        """Without setting the URLconf of the thread, which is that of the settings anyway."""
        chain: Callable[[HttpRequest], HttpResponse] = self._middleware_chain  # type: ignore[attr-defined]
        response = chain(request)
        response._resource_closers.append(request.close)  # type: ignore[attr-defined]
        if response.status_code >= 400:
            log_response("%s: %s", response.reason_phrase, request.path, response=response, request=request)
        return response


application = Application()
