"""The base view of accounts, and answers that several of its subclasses have in common."""

from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiExample
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request

from config.errors import InvalidToken
from config.http.request import answering, client_address
from config.http.views import APIView, GenericAPIView
from users import services
from users.api.authentication import PathAuthentication, no_such_address
from users.api.idempotency import SignedIn
from users.api.permissions import ScopesAreGranted
from users.api.serializers import SignedInSerializer
from users.models import Session
from users.tokens import own

USER: dict[str, Any] = {
    "id": "7",
    "email": "ada@example.com",
    "email_verified": True,
    "name": "Ada Lovelace",
    "timezone": "Europe/London",
    "reminder_time": "09:00",
    "reminder_channels": ["mail", "webhook"],
    "default_reminder_minutes": None,
    "digest_time": None,
    "created_at": "2026-11-23T09:30:00.123456Z",
}
PAIR: dict[str, Any] = {
    "access": "eyJhbGciOi…",
    "refresh": "eyJhbGciOi…",
    "token_type": "Bearer",
    "expires_in": 600,
}
SIGNED_IN = OpenApiExample("Signed in", value={"user": USER, **PAIR}, response_only=True)


class AccountView(GenericAPIView):
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with answering(request):
            return super().dispatch(request, *args, **kwargs)

    def validated(self, request: Request, **options: Any) -> dict[str, Any]:
        serializer: Any = self.get_serializer_class()
        data: dict[str, Any] = serializer.validated(request.data, **options)
        return data


class PathTokenView(APIView):
    """A view whose path has a personal token, as `token`; a subclass declares the scopes. What is no token is a 404."""

    authentication_classes = (PathAuthentication,)
    permission_classes = (IsAuthenticated, ScopesAreGranted)

    def handle_exception(self, exc: Exception) -> Any:
        """Also where a statement finds that the token is not valid any more."""
        return super().handle_exception(no_such_address() if isinstance(exc, InvalidToken) else exc)


def signed_in(session: Session, status: int = 200) -> SignedIn:
    """The answer with the token pair of a session's current generation."""
    pair = own.mint(session)
    answer = {
        "user": session.user,
        "access": pair.access,
        "refresh": pair.refresh,
        "token_type": "Bearer",
        "expires_in": pair.expires_in,
    }
    return SignedIn(session, SignedInSerializer(answer).data, status)


def device_of(request: Request) -> services.Device:
    return services.Device(request.headers.get("User-Agent", ""), client_address(request.META) or None)
