"""What browsers and proxies may do with our answers."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

_OWN = "/api/me/"


def caching(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware; stands outside of those that set Content-Length."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if "Authorization" in request.headers:
            _keep_for_bearer(request, response)
        if response.status_code == 304:
            # It would be the length of the 200 (RFC 9110, section 8.6), which Django takes to be 0.
            del response.headers["Content-Length"]
        return response

    return middleware


def _keep_for_bearer(request: HttpRequest, response: HttpResponse) -> None:
    """`/api/me/tasks` is one address for all users, and two of them may be at the same version.

    In a browser that two people share, Chromium revalidates what it got with one's token with the other's, in spite of
    Vary: a 304 would show one's list to the other. So it must keep nothing from there.
    """
    patch_vary_headers(response, ["Authorization"])
    response.headers.setdefault("Cache-Control", "no-store" if request.path.startswith(_OWN) else "private, no-cache")
