"""RFC 9457 problem details, the format of every error: DRF's exception handler and Django's error views."""

import math
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from django.core.exceptions import DisallowedHost, PermissionDenied, RequestDataTooBig, TooManyFieldsSent
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import is_valid_path
from django.utils.encoding import escape_uri_path
from django.views import defaults
from rest_framework import exceptions

from config.errors import BodyCutOff, DomainError, Failed, InvalidToken
from config.http.errors import MAX_ERRORS, BodyTooLarge, DatabaseUnavailable, InvalidBody, is_outage, outage_of
from config.http.json import to_json
from config.http.request import is_in_admin, request_id_of

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module, through the settings

CONTENT_TYPE = "application/problem+json"
MAX_TEXT = 500  # characters of a sentence


class Kind(NamedTuple):
    """The members that all problems of one `code` have in common."""

    status: int
    code: str
    title: str

    @classmethod
    def of(cls, error: DomainError | type[DomainError]) -> Self:
        return cls(error.status, error.code, error.title)

    def body(self, detail: str, request_id: str, **members: Any) -> dict[str, Any]:
        return {
            "type": f"urn:tickbase:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": detail,
            "code": self.code,
            "request_id": request_id,
            **members,
        }


INVALID = Kind(400, "invalid", "The request is not valid")
METHOD_NOT_ALLOWED = Kind(405, "method_not_allowed", "Method not allowed")
TOO_LARGE = Kind.of(BodyTooLarge)
HTTPS_REQUIRED = Kind(403, "https_required", "HTTPS is required")
NOT_FOUND = Kind(404, "not_found", "Not found")
FORBIDDEN = Kind(403, "permission_denied", "Permission denied")
OUTAGE = Kind.of(DatabaseUnavailable)
THROTTLED = Kind(429, "throttled", "Too many requests")
INTERNAL = Kind.of(Failed)

KINDS: Mapping[type[Exception], Kind] = {
    exceptions.ParseError: Kind.of(BodyCutOff),
    exceptions.ValidationError: INVALID,
    exceptions.NotAuthenticated: Kind(401, "not_authenticated", "Authentication required"),
    exceptions.AuthenticationFailed: Kind(401, "invalid_token", "The token is not valid"),
    exceptions.PermissionDenied: FORBIDDEN,
    exceptions.NotFound: NOT_FOUND,
    exceptions.MethodNotAllowed: METHOD_NOT_ALLOWED,
    exceptions.UnsupportedMediaType: Kind(415, "unsupported_media_type", "Unsupported media type"),
    exceptions.Throttled: THROTTLED,
}

# DRF's own sentences do not say what to do.
DETAILS: Mapping[type[Exception], str] = {
    exceptions.NotAuthenticated: "Sign in, and send the access token as `Authorization: Bearer …`.",
    exceptions.UnsupportedMediaType: "Send JSON, with `Content-Type: application/json`.",
}


def problem(
    request: HttpRequest,
    kind: Kind,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> HttpResponse:
    """One problem as JSON, with extension `members`; in the admin as a page."""
    if is_in_admin(request):
        page = render_to_string("config/problem.html", {"title": kind.title, "detail": _clean(detail)})
        return HttpResponse(page, status=kind.status, headers=headers)
    body = to_json(kind.body(_clean(detail), request_id_of(request), **members))
    return HttpResponse(body, status=kind.status, content_type=CONTENT_TYPE, headers=headers)


def _clean(text: str) -> str:
    """Truncated, and without lone surrogates: texts may quote what the client sent."""
    text = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
    return text.encode("utf-8", "replace").decode()


def refused(request: HttpRequest, error: DomainError) -> HttpResponse:
    """The answer to a request that no view gets to see."""
    return problem(request, Kind.of(error), error.detail, headers=_retry_after(error))


def _retry_after(error: DomainError) -> dict[str, str]:
    return {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}


def too_many(request: HttpRequest, seconds: float) -> HttpResponse:
    """The answer to a request over a rate limit."""
    wait = max(1, math.ceil(seconds))
    detail = f"Too many requests; try again in {wait} second{'s' if wait > 1 else ''}."
    return problem(request, THROTTLED, detail, headers={"Retry-After": str(wait)})


def exception_handler(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """DRF's EXCEPTION_HANDLER. On None, Django logs the exception and answers through handler500."""
    request = context["request"]
    if isinstance(exc, exceptions.ValidationError):
        return _validation_problem(request, exc)
    if isinstance(exc, RequestDataTooBig):
        return handler400(request, exc)
    if is_outage(exc):
        exc = outage_of(exc)
    if isinstance(exc, exceptions.Throttled):
        return too_many(request, getattr(exc, "wait", None) or 0)
    if isinstance(exc, DomainError):
        return _domain_problem(request, exc, context["view"])
    if isinstance(exc, Http404):
        exc = exceptions.NotFound()
    elif isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    return _api_problem(request, exc, context["view"]) if isinstance(exc, exceptions.APIException) else None


def _domain_problem(request: HttpRequest, exc: DomainError, view: "APIView") -> HttpResponse:
    members = exc.members
    # A 400 of a service reads like one of a serializer.
    kind = INVALID if exc.status == INVALID.status else Kind.of(exc)
    if exc.pointer is not None:
        members["errors"] = [{"pointer": exc.pointer, "code": exc.code, "detail": exc.detail}]
    if exc.current is not None:
        members["current"] = view.get_serializer(exc.current).data  # type: ignore[attr-defined]
    headers = {**exc.headers, **_retry_after(exc)}
    if exc.status == 401:
        # `invalid_token` (RFC 6750, section 3) is about the header's token: views without authentication, such as
        # refresh, take theirs from the body.
        challenge = view.get_authenticate_header(view.request)
        error = ', error="invalid_token"' if challenge and isinstance(exc, InvalidToken) else ""
        headers["WWW-Authenticate"] = (challenge or 'Bearer realm="api"') + error
    return problem(request, kind, exc.detail, headers=headers, **members)


def _validation_problem(request: HttpRequest, exc: exceptions.ValidationError) -> HttpResponse:
    location = getattr(exc, "location", InvalidBody.location)
    errors = list(islice(_flatten(exc.detail, location), MAX_ERRORS))
    first = errors[0]
    place = first[location] or ("the body" if location == InvalidBody.location else "the name of a parameter")
    detail = f"{place}: {first['detail']}"
    if len(errors) > 1:
        detail += f" ({len(errors) - 1} more in errors.)"
    return problem(request, INVALID, detail, errors=errors)


def _flatten(detail: Any, location: str, place: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested error details as a flat list, each with its place."""
    if isinstance(detail, dict):
        for key, nested in detail.items():
            name = str(key)
            if name == "non_field_errors":
                yield from _flatten(nested, location, place)
            elif location == InvalidBody.location:  # RFC 6901, section 3
                yield from _flatten(nested, location, f"{place}/{_clean(name).replace('~', '~0').replace('/', '~1')}")
            else:
                yield from _flatten(nested, location, place or name)  # not the index of a repeated one
    elif isinstance(detail, list):
        for nested in detail:
            yield from _flatten(nested, location, place)
    else:
        yield {location: _clean(place), "code": str(detail.code), "detail": _clean(str(detail))}


def _api_problem(request: HttpRequest, exc: exceptions.APIException, view: "APIView") -> HttpResponse:
    other = Kind(exc.status_code, str(exc.default_code), "Request refused")
    kind = next((KINDS[base] for base in type(exc).__mro__ if base in KINDS), other)
    auth_header = getattr(exc, "auth_header", None)
    headers = {"WWW-Authenticate": auth_header} if auth_header else {}
    detail = DETAILS.get(type(exc), str(exc.detail))
    if isinstance(exc, exceptions.MethodNotAllowed):
        detail = f"This address takes {', '.join(view.allowed_methods)}."
    return problem(request, kind, detail, headers=headers)


# --- Django's error views, for what no DRF view has answered -----------------------------------------


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return problem(request, TOO_LARGE, "The body is larger than 1 MiB; send less at a time.")
    if isinstance(exception, TooManyFieldsSent):
        return problem(request, TOO_LARGE, "The form has too many fields; choose fewer rows at a time.")
    if isinstance(exception, DisallowedHost):
        return problem(request, INVALID, "This host name is not served; the operator can add it to ALLOWED_HOSTS.")
    return problem(request, INVALID, "The request cannot be understood; check its host, headers and address.")


def handler403(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_in_admin(request):
        return defaults.permission_denied(request, exception)
    return problem(request, FORBIDDEN, "You may not do this.")


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_in_admin(request):
        return defaults.page_not_found(request, exception)
    path, detail = request.path_info, "Nothing is here; /api/docs lists every address."
    if path.endswith("/") and len(path) <= MAX_TEXT and is_valid_path(without_slash := path.rstrip("/")):
        detail = f"Addresses here end without a slash; use {escape_uri_path(without_slash)}."
    return problem(request, NOT_FOUND, detail)


def handler500(request: HttpRequest) -> HttpResponse:
    if is_outage(sys.exception()):
        return refused(request, DatabaseUnavailable())
    if is_in_admin(request):
        return defaults.server_error(request)
    return problem(request, INTERNAL, "Something went wrong on our side; it has been logged.")
