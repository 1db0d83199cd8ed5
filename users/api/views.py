"""Sign-up, sign-in and the caller's own account."""

from typing import Any, cast

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from config.rest.schema import also_answers
from users import services, tokens
from users.api import throttles
from users.api.serializers import (
    LoginSerializer,
    RefreshSerializer,
    RegisterSerializer,
    SignedInSerializer,
    UserSerializer,
)
from users.models import User

CREDENTIALS = {"email": "ada@example.com", "password": "correct horse battery"}
_USER = {
    "id": "7",
    "email": "ada@example.com",
    "name": "Ada Lovelace",
    "timezone": "Europe/London",
    "created_at": "2026-11-23T09:30:00.123456Z",
}
_PAIR = {"access": "eyJhbGciOi…", "refresh": "eyJhbGciOi…", "token_type": "Bearer", "expires_in": 600}
USER = OpenApiExample("Ada", value=_USER, response_only=True)
SIGNED_IN = OpenApiExample("Signed in", value={"user": _USER, **_PAIR}, response_only=True)


def signed_in(user: User, pair: tokens.TokenPair, *, status: int = 200) -> Response:
    answer = {
        "user": user,
        "access": pair.access,
        "refresh": pair.refresh,
        "token_type": "Bearer",
        "expires_in": pair.expires_in,
    }
    # RFC 6749, section 5.1: answers that carry tokens must not be cached.
    return Response(SignedInSerializer(answer).data, status=status, headers={"Cache-Control": "no-store"})


class PublicView(GenericAPIView):
    authentication_classes = ()  # a stale token in the request does not matter
    permission_classes = (AllowAny,)

    def validated(self, request: Request) -> dict[str, Any]:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        data: dict[str, Any] = serializer.validated_data
        return data


class RegisterView(PublicView):
    serializer_class = RegisterSerializer
    throttle_classes = throttles.REGISTER

    @extend_schema(
        operation_id="register",
        summary="Open an account",
        tags=["accounts"],
        responses={201: SignedInSerializer},
        extensions=also_answers({409: "The e-mail address is taken."}),
        examples=[
            OpenApiExample("Ada", value={**CREDENTIALS, "name": "Ada Lovelace"}, request_only=True),
            SIGNED_IN,
        ],
    )
    def post(self, request: Request) -> Response:
        user = services.register(**self.validated(request))
        return signed_in(user, tokens.mint(user), status=201)


class LoginView(PublicView):
    serializer_class = LoginSerializer
    throttle_classes = throttles.LOGIN

    @extend_schema(
        operation_id="login",
        summary="Sign in",
        tags=["accounts"],
        responses={200: SignedInSerializer},
        extensions=also_answers({401: "E-mail or password is wrong."}),
        examples=[OpenApiExample("Ada", value=CREDENTIALS, request_only=True), SIGNED_IN],
    )
    def post(self, request: Request) -> Response:
        user = services.sign_in(**self.validated(request))
        return signed_in(user, tokens.mint(user))


class RefreshView(PublicView):
    serializer_class = RefreshSerializer

    @extend_schema(
        operation_id="refreshTokens",
        summary="Trade a refresh token for a new pair",
        tags=["accounts"],
        responses={200: SignedInSerializer},
        extensions=also_answers({401: "The refresh token is invalid or has expired; sign in again."}),
        examples=[
            OpenApiExample("A refresh token", value={"refresh": _PAIR["refresh"]}, request_only=True),
            SIGNED_IN,
        ],
    )
    def post(self, request: Request) -> Response:
        user, pair = services.refresh(self.validated(request)["refresh"])
        return signed_in(user, pair)


class MeView(GenericAPIView):
    serializer_class = UserSerializer

    @extend_schema(operation_id="getMe", summary="Your account", tags=["accounts"], examples=[USER])
    def get(self, request: Request) -> Response:
        return Response(self.get_serializer(request.user).data)

    @extend_schema(
        operation_id="updateMe",
        summary="Change your name or time zone",
        tags=["accounts"],
        examples=[
            OpenApiExample("Time zone", value={"timezone": "Asia/Karachi"}, request_only=True),
            OpenApiExample("Moved", value={**_USER, "timezone": "Asia/Karachi"}, response_only=True),
        ],
    )
    def patch(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        user = services.update_profile(cast(User, request.user), **serializer.validated_data)
        return Response(self.get_serializer(user).data)
