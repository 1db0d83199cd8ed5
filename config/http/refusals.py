"""Answers what the bridge refuses before a view sees it: heads that are too long, slow bodies, too many requests."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse

from config.http import problems
from config.http.request_id import request_id

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

META_KEY = "tickbase.refusal"  # the server puts a DomainError there


def refusals(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware; whatever stands before it must not wait for the database, which may be the reason."""

    def middleware(request: HttpRequest) -> HttpResponse:
        return get_response(request) if META_KEY not in request.META else _refused(request)

    return middleware


def _refused(request: HttpRequest) -> HttpResponse:
    return problems.refused(request, request.META[META_KEY])


_with_request_id = request_id(_refused)


def refuse(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """A WSGI application that only refuses: without other middleware, and so without a line in the log."""
    request = HttpRequest()
    request.META = environ
    response = _with_request_id(request)
    start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
    return [response.content]
