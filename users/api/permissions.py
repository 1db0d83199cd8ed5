"""The first wall: the path's user is the caller, or nothing is looked up."""

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module, through the settings

ME = "me"


class PathUserIsCaller(BasePermission):
    """Holds for views without a `user_id` in their path. The refusal tells nothing about that user."""

    message = "This address belongs to another user; use your own id or 'me'."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        user_id: str = view.kwargs.get("user_id", ME)
        return user_id in (ME, getattr(request.user, "public_id", None))
