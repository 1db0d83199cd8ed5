"""What browsers and proxies may do with our answers."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

_SHARED = ("/api/me/", "/api/users/me")  # each is one address for all users


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
    """Two users may be at the same version, and so have the same ETag.

    In a browser that two people share, Chromium revalidates what it got with one's token with the other's, in spite of
    Vary: a 304 would show one's list to the other. So it must keep nothing from there.
    """
    patch_vary_headers(response, ["Authorization"])
    kept = "no-store" if request.path_info.startswith(_SHARED) else "private, no-cache"
    response.headers.setdefault("Cache-Control", kept)
