"""One line in the log for each request: who called which address, what came of it and what it cost."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import cast

from django.db import DEFAULT_DB_ALIAS, connections
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.functional import SimpleLazyObject

from config import logs
from config.database.base import DatabaseWrapper
from config.rest.request_id import request_id_of

logger = logging.getLogger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def request_log(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware; stands right after the one that makes the request's id."""

    def middleware(request: HttpRequest) -> HttpResponse:
        entry = _Entry(request)
        with entry:
            response = get_response(request)
            if isinstance(response, StreamingHttpResponse) and not isinstance(response, FileResponse):
                response.streaming_content = entry.streamed(response.streaming_content, response.status_code)
            else:
                entry.write(response.status_code)
        return response

    return middleware


class _Entry:
    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.queries = 0
        self.began = time.perf_counter()

    def __enter__(self) -> None:
        """Count the queries of this thread, and let its records carry the request's id."""
        self.token = logs.request_id.set(request_id_of(self.request))
        self.database = cast(DatabaseWrapper, connections[DEFAULT_DB_ALIAS])
        self.queries -= self.database.messages

    def __exit__(self, *error: object) -> None:
        self.queries += self.database.messages
        logs.request_id.reset(self.token)

    def streamed(self, chunks: Iterable[bytes], status: int) -> Iterator[bytes]:
        """The line comes when all is sent or the client is gone. Each chunk may be asked for in another thread."""
        iterator = iter(chunks)
        try:
            while True:
                with self:
                    chunk = next(iterator, None)
                if chunk is None:
                    return
                yield chunk
        except Exception:
            # Nobody above can answer any more, and the server would log the text of the error, too.
            with self:
                logger.exception("the answer broke off")
            status = 500
            raise
        finally:
            with self:
                self.write(status)

    def write(self, status: int) -> None:
        if not logger.isEnabledFor(logging.INFO):
            return
        # Anybody may make up a method, as any other text of a request.
        method = self.request.method if self.request.method in METHODS else "other"
        route = logs.route_of(self.request) or "unknown"
        fields = {
            "method": method,
            "route": route,
            "status": status,
            "ms": round((time.perf_counter() - self.began) * 1000, 1),
            "queries": self.queries + self.database.messages,
            "user": _user_of(self.request),
        }
        logger.info("%s %s %s", method, route, status, extra={"fields": fields})


def _user_of(request: HttpRequest) -> str | None:
    """The public id of whom a view, or the admin, has authenticated; nobody is looked up for this."""
    values = vars(request)
    user = values.get("user")
    if isinstance(user, SimpleLazyObject):
        user = values.get("_cached_user")
    return getattr(user, "public_id", None)
