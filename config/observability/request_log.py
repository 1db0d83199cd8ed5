"""The request log: one line for each request, with its caller, route, status and cost. The metrics count the same."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import cast

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.functional import SimpleLazyObject

from config.database.base import DatabaseWrapper
from config.database.connections import thread
from config.http.request import identify
from config.observability import logs

logger = logging.getLogger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# Method, route, status, seconds, seconds waited for the database, messages to it.
Observe = Callable[[str, str, int, float, float, int], None]


def request_log(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware; the first, as it sets the request's id, which every response and every line of the log carries."""
    observe: Observe | None = None
    if settings.METRICS:
        from config.observability import metrics  # its library is slow to import

        observe = metrics.observe

    def middleware(request: HttpRequest) -> HttpResponse:
        entry = _Entry(request, observe)
        with entry:
            response = get_response(request)
            if isinstance(response, StreamingHttpResponse) and not isinstance(response, FileResponse):
                response.streaming_content = entry.streamed(response.streaming_content, response.status_code)
            else:
                entry.write(response.status_code)
        response["X-Request-ID"] = entry.request_id
        return response

    return middleware


class _Entry:
    """The line of one request, and the context in which its queries are counted."""

    def __init__(self, request: HttpRequest, observe: Observe | None) -> None:
        self.request, self.request_id = request, identify(request)
        self.observe = observe
        self.queries = 0
        self.waited = 0.0  # for the database
        self.began = time.perf_counter()

    def __enter__(self) -> None:
        """Count the queries of this thread, and put the request's id into its log records."""
        self.token = logs.request_id.set(self.request_id)
        self.database = cast(DatabaseWrapper, connections[DEFAULT_DB_ALIAS])
        self.queries -= self.database.messages
        if self.observe:
            self.waited -= thread.waited

    def __exit__(self, *error: object) -> None:
        self.queries += self.database.messages
        if self.observe:
            self.waited += thread.waited
        logs.request_id.reset(self.token)

    def streamed(self, chunks: Iterable[bytes], status: int) -> Iterator[bytes]:
        """A streamed body, and the line when all is sent or the client is gone. Another thread may make each chunk."""
        iterator = iter(chunks)
        try:
            while True:
                with self:
                    chunk = next(iterator, None)
                if chunk is None:
                    return
                yield chunk
        except Exception:
            # The status is sent already, and the server would log the text of the error, too.
            with self:
                logger.exception("the answer broke off")
            status = 500
            raise
        finally:
            with self:
                self.write(status)

    def write(self, status: int) -> None:
        """Log and count the request, within its context: the last queries belong to it."""
        is_logged = logger.isEnabledFor(logging.INFO)
        if not is_logged and not self.observe:
            return
        seconds = time.perf_counter() - self.began
        queries = self.queries + self.database.messages
        # Clients may make up a method.
        method = self.request.method if self.request.method in METHODS else "other"
        route = logs.route_of(self.request) or "unknown"
        if self.observe:
            self.observe(method, route, status, seconds, self.waited + thread.waited, queries)
        if not is_logged:
            return
        fields = {
            "method": method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 1),
            "queries": queries,
            "user": _user_of(self.request),
        }
        logger.handle(logs.RequestRecord(logger.name, f"{method} {route} {status}", fields))


def _user_of(request: HttpRequest) -> str | None:
    """The primary key of the account that a view or the admin has authenticated; no query is run for it.

    Not the public id: an external issuer's may equal one of ours.
    """
    values = vars(request)
    user = values.get("user")
    if isinstance(user, SimpleLazyObject):
        user = values.get("_cached_user")
    number = getattr(user, "pk", None)
    return None if number is None else str(number)
