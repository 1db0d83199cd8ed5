"""Plain HTTP, where only HTTPS will do: refused, so that nobody goes on sending passwords and tokens over it.

A redirect would hide the mistake: the client's next request would travel in the clear again.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect

from config.http import problems
from config.paths import is_in_admin

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
