"""X-Request-ID: taken from the client or proxy if well-formed, else made, and always answered."""

import re
from collections.abc import Callable

import uuid_utils
from django.http import HttpRequest, HttpResponse

WELL_FORMED = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}")
_META_KEY = "tickbase.request_id"


def request_id(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware; stands first, so that the answers of all others carry the header too."""

    def middleware(request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request.META[_META_KEY] = given if WELL_FORMED.fullmatch(given) else str(uuid_utils.uuid7())
        response = get_response(request)
        response["X-Request-ID"] = request.META[_META_KEY]
        return response

    return middleware


def request_id_of(request: HttpRequest) -> str:
    value: str = request.META.get(_META_KEY, "")
    return value
