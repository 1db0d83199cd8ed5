"""Our middleware, in the order of the settings; the request log, which is the first, is in `config.observability`."""

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.utils.cache import patch_vary_headers

from config.database import isolation, session
from config.environment.variables import ORIGIN
from config.http import problems
from config.http.limits import permits, throttling
from config.http.request import identify, is_in_admin

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

logger = logging.getLogger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponse]

# Scripts and styles come from our own files, never from a page. Swagger UI's style sheet and its schema explorer draw
# small images from data: addresses.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_FIXED = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_SHARED_PATHS = ("/api/me/", "/api/users/me")  # each is one address for all users


def security(get_response: GetResponse) -> GetResponse:
    """In place of Django's SecurityMiddleware and its smaller kin: refuses plain HTTP, sets session settings, and the
    headers that the view has not set, of caching, framing, content policy and length.
    """
    fixed = {name.lower(): (name, value) for name, value in _FIXED.items()}
    hsts = f"max-age={settings.SECURE_HSTS_SECONDS}" if settings.SECURE_HSTS_SECONDS else None

    @convert_exception_to_response
    def over_plain_http(request: HttpRequest) -> HttpResponse:
        return _https_required(request) or get_response(request)

    def middleware(request: HttpRequest) -> HttpResponse:
        users = isolation.all_users() if is_in_admin(request) else isolation.nobody()
        with session.local(session.request_timeouts()), users:
            is_plain = settings.REQUIRE_HTTPS and not request.is_secure()
            response = cast(HttpResponse, (over_plain_http if is_plain else get_response)(request))
        headers = response.headers
        # In one step, past Django's encoding and look-ups of each, which take longer than a read of the session.
        headers._store = {**fixed, **headers._store}
        if hsts and request.is_secure():
            headers.setdefault("Strict-Transport-Security", hsts)
        if headers.get("Content-Type", "").startswith("text/html"):
            headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        _limit_caching(request, response)
        if response.status_code == 304:
            # It would be the length of the 200 (RFC 9110, section 8.6), which Django takes to be 0.
            del headers["Content-Length"]
        elif not response.streaming and "Content-Length" not in headers:
            response["Content-Length"] = str(len(response.content))
        return response

    return middleware


def _limit_caching(request: HttpRequest, response: HttpResponse) -> None:
    varies = ["origin"] if request.path_info.startswith("/api/") else []  # CORS
    if "HTTP_AUTHORIZATION" in request.META:
        # ETags are versions, so two users may have the same one. Chromium ignores Vary when it revalidates: in a
        # browser that two people share, a 304 would show one user's list to the other.
        varies.append("Authorization")
        is_shared = request.path_info.startswith(_SHARED_PATHS)
        if "Cache-Control" not in response.headers:
            response["Cache-Control"] = "no-store" if is_shared else "private, no-cache"
    if "Vary" in response.headers:
        patch_vary_headers(response, varies)
    elif varies:
        response["Vary"] = ", ".join(varies)


def _https_required(request: HttpRequest) -> HttpResponse | None:
    """The refusal of plain HTTP, where Django redirects: by then, a token or a password has been sent in the clear."""
    # Load balancers and Prometheus call from the private network; METRICS_TOKEN must be sent over HTTPS.
    path = request.path_info
    if path in {"/healthz", "/readyz"} or (path == "/metrics" and not settings.METRICS_TOKEN):
        return None
    if is_in_admin(request) and request.method in {"GET", "HEAD"}:  # typed into a browser
        return HttpResponsePermanentRedirect(f"https://{request.get_host()}{request.get_full_path()}")
    advice = "Use https; what came over http may have been read on its way, so change a password or token in it."
    if settings.TRUSTED_PROXIES == 0:
        advice += " If it did come over https, the operator has to set TRUSTED_PROXIES."
    return problems.problem(request, problems.HTTPS_REQUIRED, advice)


MAX_ORIGINS = 100  # in the log of a process: anybody can make some up
MAX_ORIGIN = 200  # characters


class Cors(CorsMiddleware):
    """django-cors-headers, where a browser asks from another origin; tells of each that is refused, once."""

    def __init__(self, get_response: GetResponse) -> None:
        super().__init__(get_response)
        self._refused: set[str] = set()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "HTTP_ORIGIN" not in request.META and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in request.META:
            return cast(HttpResponse, self.get_response(request))
        origin = request.META.get("HTTP_ORIGIN")
        response = cast(HttpResponse, super().__call__(request))
        if origin and "Access-Control-Allow-Origin" not in response and request.path_info.startswith("/api/"):
            self._tell(origin, request.META.get("HTTP_HOST", ""))
        return response

    def _tell(self, origin: str, host: str) -> None:
        """Browsers name the origin also where page and API share it, in all but GET and HEAD."""
        if origin in self._refused or len(self._refused) >= MAX_ORIGINS or len(origin) > MAX_ORIGIN:
            return
        if not ORIGIN.fullmatch(origin) or origin.partition("://")[2] == host:
            return
        self._refused.add(origin)
        logger.warning("pages of %s cannot read the answers; to let them in, add it to CORS_ALLOWED_ORIGINS", origin)


REFUSAL_KEY = "tickbase.refusal"  # in `request.META`: a DomainError with which the server refuses the request
MAX_HOSTS = 100  # a wildcard in ALLOWED_HOSTS admits any number


def refusals(get_response: GetResponse) -> GetResponse:
    """Answers requests that the server refused, that are for unknown hosts, or over a rate limit.

    No middleware outside of it may use the database, which may be why the server refused.
    """
    permits.limiter()  # made before there are threads
    known_hosts: set[str] = set()

    @convert_exception_to_response
    def for_new_host(request: HttpRequest) -> HttpResponse:
        request.get_host()  # raises DisallowedHost
        if len(known_hosts) < MAX_HOSTS:
            known_hosts.add(request.META.get("HTTP_HOST", request.META["SERVER_NAME"]))
        return get_response(request)

    def middleware(request: HttpRequest) -> HttpResponse:
        if REFUSAL_KEY in request.META:
            return problems.refused(request, request.META[REFUSAL_KEY])
        # Prometheus asks each machine by its address or a name of the private network, where METRICS_ALLOWED guards.
        is_scrape = request.path_info == "/metrics" and settings.METRICS_ALLOWED
        is_known = is_scrape or request.META.get("HTTP_HOST", request.META["SERVER_NAME"]) in known_hosts
        response = cast(HttpResponse, (get_response if is_known else for_new_host)(request))
        is_limited = request.path_info.startswith(throttling.LIMITED)
        return throttling.limited(request, response) if is_limited else response

    return middleware


def refuse(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """A WSGI application that only refuses: with the request's id, without other middleware or a line in the log."""
    request = HttpRequest()
    request.META = environ
    name = identify(request)
    response = problems.refused(request, request.META[REFUSAL_KEY])
    response["X-Request-ID"] = name
    start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
    return [response.content]
