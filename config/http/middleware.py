"""Every middleware of the API and the pages, in the order in which it stands in the settings."""

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import uuid_utils
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.utils.cache import patch_vary_headers

from config.database import isolation, session
from config.http import problems
from config.http.request import REQUEST_ID, is_in_admin

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


WELL_FORMED = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}")


def request_id(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware; stands first, so that the answers of all others carry the header too."""

    def middleware(request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request.META[REQUEST_ID] = given if WELL_FORMED.fullmatch(given) else str(uuid_utils.uuid7())
        response = get_response(request)
        response["X-Request-ID"] = request.META[REQUEST_ID]
        return response

    return middleware


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


# Everything comes from files of ours, no page has a script or a style in it. Swagger UI's style sheet and
# its schema explorer draw small images from data: addresses.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware. Django 6 brings one of its own; this policy needs neither nonces nor exceptions."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        return response

    return middleware


# Load balancers ask over plain HTTP, and send no secrets.
PROBES = frozenset({"/healthz", "/readyz"})
METRICS = "/metrics"
SAFE = frozenset({"GET", "HEAD"})


def require_https(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not settings.REQUIRE_HTTPS or request.is_secure() or _may_be_plain(request.path_info):
            return get_response(request)
        if is_in_admin(request) and request.method in SAFE:
            # A person typed the address of the admin.
            return HttpResponsePermanentRedirect(f"https://{request.get_host()}{request.get_full_path()}")
        return problems.problem(request, problems.HTTPS_REQUIRED, _advice())

    return middleware


def _may_be_plain(path: str) -> bool:
    """Prometheus, too, asks from the private network; with a token it sends a secret."""
    return path in PROBES or (path == METRICS and not settings.METRICS_TOKEN)


def _advice() -> str:
    advice = "Use https; what came over http may have been read on its way, so change a password or token in it."
    if settings.TRUSTED_PROXIES == 0:
        advice += " If it did come over https, the operator has to set TRUSTED_PROXIES."
    return advice


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


def common(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: the host is one of ours, and the length of the answer is told."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.get_host()  # raises DisallowedHost
        response = get_response(request)
        if not response.streaming and "Content-Length" not in response.headers:
            response.headers["Content-Length"] = str(len(response.content))
        return response

    return middleware


def session_settings(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: the timeouts of the request's transactions, and whose rows they see.

    Nobody's, until a view has authenticated somebody; in the admin, everybody's.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        who = isolation.all_users() if is_in_admin(request) else isolation.nobody()
        with session.local(session.request_timeouts()), who:
            return get_response(request)

    return middleware
