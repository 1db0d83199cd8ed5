"""Django's middleware for browsers with a session: only the admin is called by such, everything else by programs.

Elsewhere a request passes it by, as each of these would cost it time and do nothing.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.deprecation import MiddlewareMixin
from django_otp.middleware import OTPMiddleware

from config.errors import TargetTooLong
from config.http import problems
from config.http.request import answering, is_in_admin

# Of an address with what its list was narrowed down by, twice escaped. Searches and filters come after this bound.
MAX_QUERY = 4096


class _InAdmin(MiddlewareMixin):
    def __call__(self, request: HttpRequest) -> Any:
        return super().__call__(request) if is_in_admin(request) else self.get_response(request)


class Sessions(_InAdmin, SessionMiddleware):
    """The outermost of them; what staff does from here on is written down with where it came from."""

    def __call__(self, request: HttpRequest) -> Any:
        if not is_in_admin(request):
            return self.get_response(request)
        if len(request.META["QUERY_STRING"]) > MAX_QUERY:
            return problems.refused(request, TargetTooLong("Search for less, or narrow the list down by less."))
        with answering(request):
            return SessionMiddleware.__call__(self, request)


class Common(_InAdmin, CommonMiddleware):
    """Also leads from `/admin` to `/admin/`, and shows a page where Django answers nothing."""

    def __call__(self, request: HttpRequest) -> Any:
        if f"{request.path_info}/" == f"/{settings.ADMIN_PATH}":
            return CommonMiddleware.__call__(self, request)
        return super().__call__(request)

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        if isinstance(response, HttpResponseNotAllowed):
            response = _not_allowed(request, response)
        return super().process_response(request, response)


def _not_allowed(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    headers = {"Allow": response["Allow"]}
    return problems.problem(request, problems.METHOD_NOT_ALLOWED, "Go back, and use the buttons.", headers=headers)


class Csrf(_InAdmin, CsrfViewMiddleware):
    """Django's looks for its cookie in every request; elsewhere no cookie counts."""

    def process_view(
        self, request: HttpRequest, callback: Callable[..., HttpResponseBase], *arguments: Any
    ) -> HttpResponseForbidden | None:
        return super().process_view(request, callback, *arguments) if is_in_admin(request) else None


class Authentication(_InAdmin, AuthenticationMiddleware):
    """Also lets `request.user.is_verified()` tell whether the second factor was shown."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        self._verified = OTPMiddleware(get_response)

    def __call__(self, request: HttpRequest) -> Any:
        if not is_in_admin(request):
            return self.get_response(request)
        self.process_request(request)
        return self._verified(request)


class Messages(_InAdmin, MessageMiddleware):
    pass
