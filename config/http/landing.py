"""`/`, for who opens the address of the service in a browser."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from config.http.problems import handler404


def landing(request: HttpRequest) -> HttpResponse:
    """A page for browsers, which say that they want one; programs are told that nothing is here."""
    wants_page = request.method in {"GET", "HEAD"} and "text/html" in request.headers.get("Accept", "")
    if wants_page:
        # Who has moved the admin may not want everybody to know where to.
        shows_admin = settings.ADMIN_PATH == "admin/" or (settings.ADMIN_PATH and not settings.PRODUCTION)
        response = render(request, "config/landing.html", {"app": settings.APP_URL, "shows_admin": shows_admin})
    else:
        response = handler404(request, Http404())
    patch_vary_headers(response, ["Accept"])
    return response
