"""Our middleware, in the order of the settings; the request log is in `config.observability`."""

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

import uuid_utils
from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.utils.cache import patch_vary_headers

from config.database import isolation, session
from config.http import problems
from config.http.limits import leases, throttling
from config.http.request import REQUEST_ID, is_in_admin

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

GetResponse = Callable[[HttpRequest], HttpResponse]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}")


def request_id(get_response: GetResponse) -> GetResponse:
    """Sets X-Request-ID: the client's, if it is well-formed, else a UUIDv7."""

    def middleware(request: HttpRequest) -> HttpResponse:
        sent = request.headers.get("X-Request-ID", "")
        request.META[REQUEST_ID] = sent if _REQUEST_ID.fullmatch(sent) else str(uuid_utils.uuid7())
        response = get_response(request)
        response["X-Request-ID"] = request.META[REQUEST_ID]
        return response

    return middleware


# Scripts and styles come from our own files, never from a page. Swagger UI's style sheet and its schema explorer draw
# small images from data: addresses.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_SHARED_PATHS = ("/api/me/", "/api/users/me")  # each is one address for all users


def response_headers(get_response: GetResponse) -> GetResponse:
    """Sets the headers of caching, framing, content policy and length, unless the view has set them."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        headers = response.headers
        headers.setdefault("X-Frame-Options", "DENY")
        if headers.get("Content-Type", "").startswith("text/html"):
            headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        if "Authorization" in request.headers:
            # ETags are versions, so two users may have the same one. Chromium ignores Vary when it revalidates: in a
            # browser that two people share, a 304 would show one user's list to the other.
            patch_vary_headers(response, ["Authorization"])
            is_shared = request.path_info.startswith(_SHARED_PATHS)
            headers.setdefault("Cache-Control", "no-store" if is_shared else "private, no-cache")
        if response.status_code == 304:
            # It would be the length of the 200 (RFC 9110, section 8.6), which Django takes to be 0.
            del headers["Content-Length"]
        elif not response.streaming and "Content-Length" not in headers:
            headers["Content-Length"] = str(len(response.content))
        return response

    return middleware


def session_settings(get_response: GetResponse) -> GetResponse:
    """Sets the timeouts of the request's transactions, and whose rows they see: in the admin everybody's, elsewhere
    nobody's until a view has authenticated the caller."""

    def middleware(request: HttpRequest) -> HttpResponse:
        users = isolation.all_users() if is_in_admin(request) else isolation.nobody()
        with session.local(session.request_timeouts()), users:
            return get_response(request)

    return middleware


_PROBES = frozenset({"/healthz", "/readyz"})


def require_https(get_response: GetResponse) -> GetResponse:
    """Refuses plain HTTP, where Django redirects: by then, a token or a password has been sent in the clear."""

    def middleware(request: HttpRequest) -> HttpResponse:
        # Load balancers and Prometheus call from the private network; METRICS_TOKEN must be sent over HTTPS.
        path = request.path_info
        may_be_plain = path in _PROBES or (path == "/metrics" and not settings.METRICS_TOKEN)
        if not settings.REQUIRE_HTTPS or request.is_secure() or may_be_plain:
            return get_response(request)
        if is_in_admin(request) and request.method in {"GET", "HEAD"}:  # typed into a browser
            return HttpResponsePermanentRedirect(f"https://{request.get_host()}{request.get_full_path()}")
        advice = "Use https; what came over http may have been read on its way, so change a password or token in it."
        if settings.TRUSTED_PROXIES == 0:
            advice += " If it did come over https, the operator has to set TRUSTED_PROXIES."
        return problems.problem(request, problems.HTTPS_REQUIRED, advice)

    return middleware


REFUSAL_KEY = "tickbase.refusal"  # in `request.META`: a DomainError with which the server refuses the request


def refusals(get_response: GetResponse) -> GetResponse:
    """Answers requests that the server refused, that are for unknown hosts, or over a rate limit.

    No middleware outside of it may use the database, which may be why the server refused.
    """
    leases.limiter()  # made before there are threads

    @convert_exception_to_response
    def for_known_host(request: HttpRequest) -> HttpResponse:
        request.get_host()  # raises DisallowedHost
        return get_response(request)

    def middleware(request: HttpRequest) -> HttpResponse:
        if REFUSAL_KEY in request.META:
            return _refused(request)
        response = cast(HttpResponse, for_known_host(request))
        return throttling.limited(request, response) if request.path_info.startswith("/api/") else response

    return middleware


def _refused(request: HttpRequest) -> HttpResponse:
    return problems.refused(request, request.META[REFUSAL_KEY])


_refused_with_id = request_id(_refused)


def refuse(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """A WSGI application that only refuses: with the request's id, without other middleware or a line in the log."""
    request = HttpRequest()
    request.META = environ
    response = _refused_with_id(request)
    start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
    return [response.content]
