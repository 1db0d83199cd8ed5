"""Answers to a bearer are for that bearer: caches keep them apart and ask again before they reuse one."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers


def private_to_bearer(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware. `/api/me/tasks` is one address for all users, and two of them may be at the same version:

    without Vary, a browser that two people share would revalidate one's cached list with the other's tag.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if "Authorization" in request.headers:
            patch_vary_headers(response, ["Authorization"])
            response.headers.setdefault("Cache-Control", "private, no-cache")
        return response

    return middleware
