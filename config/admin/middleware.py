"""Django's middleware for browsers with a session, around the admin alone: no other route reads a cookie."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django_otp.middleware import OTPMiddleware

from config.errors import TargetTooLong
from config.http import problems
from config.http.request import answering, is_in_admin

# Characters of a query string; filters and searches are twice escaped in it. Checked before they are parsed.
MAX_QUERY = 4096


class PageMiddleware(CommonMiddleware):
    """Django's, with a page for a 405, which Django answers with an empty body."""

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        if isinstance(response, HttpResponseNotAllowed):
            headers = {"Allow": response["Allow"]}
            detail = "Go back, and use the buttons."
            response = problems.problem(request, problems.METHOD_NOT_ALLOWED, detail, headers=headers)
        return super().process_response(request, response)


class AdminMiddleware:
    """Runs `chain` around requests for the admin, as Django's handler would; within it, the audit knows the request."""

    chain = (
        SessionMiddleware,
        PageMiddleware,
        CsrfViewMiddleware,
        AuthenticationMiddleware,
        OTPMiddleware,  # adds `request.user.is_verified()`: the second factor was shown
        MessageMiddleware,
    )

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = self.admin_response = get_response
        for middleware_class in reversed(self.chain):
            middleware = middleware_class(self.admin_response)
            if isinstance(middleware, CsrfViewMiddleware):
                self.csrf = middleware
            self.admin_response = convert_exception_to_response(middleware)

    def __call__(self, request: HttpRequest) -> Any:
        if not is_in_admin(request):
            return self.get_response(request)
        if len(request.META["QUERY_STRING"]) > MAX_QUERY:
            return problems.refused(request, TargetTooLong("Search for less, or narrow the list down by less."))
        with answering(request):
            return self.admin_response(request)

    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponse | None:
        """The only hook of the chain beside `__call__`."""
        return self.csrf.process_view(request, *view) if is_in_admin(request) else None
