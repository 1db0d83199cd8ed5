"""Answers what the server refuses: bodies that come too slowly, requests for which no thread is free."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from config.rest import problems

META_KEY = "tickbase.refusal"  # the server puts a DomainError there


def refusals(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware; whatever stands before it must not wait for the database, which may be the reason."""

    def middleware(request: HttpRequest) -> HttpResponse:
        refusal = request.META.get(META_KEY)
        return get_response(request) if refusal is None else problems.refused(request, refusal)

    return middleware
