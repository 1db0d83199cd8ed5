"""Permissions of the API. The first wall: nothing is read unless the user in the path is the caller."""

from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from config.http.request import client_address
from users import services
from users.api import scopes
from users.tokens.callers import Caller, TokenCaller

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module, through the settings

ME = "me"


class PathUserIsCaller(BasePermission):
    """True for paths without a `user_id`. The refusal reveals nothing about the other user."""

    message = "This address belongs to another user; use your own id or 'me'."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        user_id: str = view.kwargs.get("user_id", ME)
        return user_id in (ME, getattr(request.user, "public_id", None))


class EmailIsVerified(BasePermission):
    """Where `EMAIL_VERIFICATION` requires it; the views of the account itself are exempt."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if settings.EMAIL_VERIFICATION == "required" and isinstance(request.user, Caller):
            request.user.require_verified_email()
        return True


class ScopesAreGranted(BasePermission):
    """A personal token has what the view declares. What depends on the content of a request, the view requires.

    The last check: from here on the token counts as used. Raises InsufficientScope and SessionRequired.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        caller = request.user
        if isinstance(caller, TokenCaller):
            method = str(request.method)
            if method != "OPTIONS" and hasattr(view, method.lower()):  # else it is a 405
                caller.require_scopes(scopes.of_view(view, method))
            services.note_token_use(caller, client_address(request.META))
        return True
