"""Permissions of the API. The first wall: nothing is read unless the user in the path is the caller."""

from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from config.errors import Forbidden
from users.models import User

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module, through the settings

ME = "me"


class EmailUnverified(Forbidden):
    code = "email_unverified"
    title = "The e-mail address is not verified"


class PathUserIsCaller(BasePermission):
    """True for paths without a `user_id`. The refusal reveals nothing about the other user."""

    message = "This address belongs to another user; use your own id or 'me'."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        user_id: str = view.kwargs.get("user_id", ME)
        return user_id in (ME, getattr(request.user, "public_id", None))


class EmailIsVerified(BasePermission):
    """Where `EMAIL_VERIFICATION` requires it; the views of the account itself are exempt."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        user = request.user
        # The address of an external account is its issuer's matter.
        is_exempt = not isinstance(user, User) or user.is_external or user.is_email_verified
        if settings.EMAIL_VERIFICATION == "required" and not is_exempt:
            raise EmailUnverified("Confirm your e-mail address first; POST /api/users/me/verification sends a mail.")
        return True
