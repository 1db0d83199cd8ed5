"""What browsers may do while they show one of our pages: the docs and the admin."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

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
