"""The base classes of all API views, with their requests and responses: DRF's, with a dispatch of our own.

There is one format and one version, and there are no forms: nothing to negotiate, and no parsers to choose from.
"""

from collections.abc import Callable, Mapping
from functools import cache, cached_property
from typing import Any, NoReturn

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework import exceptions, generics, parsers, permissions, request, views, viewsets

from config.errors import InvalidToken
from config.http.json import CONTENT_TYPE, parse_body, to_json


class Request(request.Request):
    """DRF's, with plain attributes where DRF computes: `user` and `auth` are set by the view's authentication."""

    user: Any = AnonymousUser()
    auth: Any = None

    def __init__(self, request: HttpRequest, view: "APIView") -> None:
        self._request = request
        self.META, self.method = request.META, request.method
        self.parser_context = {"view": view}

    data = cached_property(parse_body)


class Response(HttpResponse):
    """The response of an API view, encoded at once; without data it has no body."""

    def __init__(self, data: Any = None, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(b"" if data is None else to_json(data), CONTENT_TYPE, status)
        self.data = data
        if data is None:
            del self.headers["Content-Type"]
        for name, value in (headers or {}).items():
            self[name] = value
        # Serializers and their fields refer to each other: the rows of a list would stay until the garbage collector
        # runs, hundreds of megabytes after some lists of 2 MB.
        if serializer := getattr(data, "serializer", None):
            for each in (getattr(serializer, "child", None), serializer):
                if each is not None:
                    vars(each).clear()

    # Django looks up each header by its name in lower case, and encodes it: most of the calls of a small response.

    def items(self) -> Any:
        return self.headers._store.values()

    def __setitem__(self, header: Any, value: Any) -> None:
        if isinstance(value, str) and value.isascii() and value.isprintable():
            self.headers._store[header.lower()] = header, value
        else:
            super().__setitem__(header, value)


_shared: Callable[[Any], Any] = cache(lambda kind: kind())  # authenticators and permissions have no state


class APIView(views.APIView):
    format_kwarg = None
    parser_classes = (parsers.JSONParser,)  # for the OpenAPI document: the second type of PATCH would double its types
    has_standing_in_statements = False

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.args, self.kwargs = args, kwargs
        self.request = wrapped = self.initialize_request(request)
        try:
            # Nothing past a limit reads anything.
            self.perform_authentication(wrapped)
            self.check_throttles(wrapped)
            self.check_standing(wrapped)
            self.check_permissions(wrapped)
            name = str(request.method).lower()
            handler = getattr(self, name, None) if name in self.http_method_names else None
            response = (handler or self.http_method_not_allowed)(wrapped, *args, **kwargs)
        except Exception as error:
            if isinstance(error, InvalidToken):  # nobody: counted by network
                request.user = AnonymousUser()
            response = self.handle_exception(error)
        for name, value in self.default_response_headers.items():
            response[name] = value
        # Bound methods (`head`, the actions of a viewset) and the request refer to the view: it would wait for the
        # garbage collector, with the body.
        vars(self).clear()
        return response

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> request.Request:
        return Request(request, self)

    def perform_authentication(self, request: request.Request) -> None:
        """Raises NotAuthenticated for anonymous callers, where a permission excludes them."""
        for kind in self.authentication_classes:
            if found := _shared(kind).authenticate(request):
                request.user, request.auth = found
                request._request.user = request.user  # for the limits and the log
                return
        if permissions.IsAuthenticated in self.permission_classes:
            raise exceptions.NotAuthenticated

    def check_throttles(self, request: request.Request) -> None:
        """One after the other: what an earlier one refuses does not use up the next."""
        for throttle in self.get_throttles():
            if not throttle.allow_request(request, self):
                self.throttled(request, throttle.wait() or 0)

    def check_standing(self, request: request.Request) -> None:
        """Read whether the caller may still act, unless every statement of the view contains that condition."""
        caller: Any = request.auth
        if caller is not None and not self.has_standing_in_statements:
            caller.require_standing()

    def check_permissions(self, request: request.Request) -> None:
        for kind in self.permission_classes:
            permission = _shared(kind)
            if not permission.has_permission(request, self):
                raise exceptions.PermissionDenied(getattr(permission, "message", None))

    def raise_uncaught_exception(self, exc: Exception) -> NoReturn:
        raise exc

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """`Allow` alone (RFC 9110, section 9.3.7); shapes are in the OpenAPI document."""
        return Response()


class GenericAPIView(APIView, generics.GenericAPIView):
    """For views with a serializer."""


class GenericViewSet(viewsets.ViewSetMixin, GenericAPIView):
    """For views whose methods are actions."""
