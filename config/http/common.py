"""What Django's CommonMiddleware does for everybody; the rest of it, the admin's slashes, is in `config.admin`'s."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


def common(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: the host is one of ours, and the length of the answer is told."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.get_host()  # raises DisallowedHost
        response = get_response(request)
        if not response.streaming and "Content-Length" not in response.headers:
            response.headers["Content-Length"] = str(len(response.content))
        return response

    return middleware
