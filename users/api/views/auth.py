"""Views of registration, sign-in and sign-out, which need no valid access token."""

import datetime as dt

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from config.errors import InvalidToken
from config.http.openapi.schema import also_answers
from config.http.views import Response
from config.server.bridge import Lane
from users import services
from users.api import throttles
from users.api.idempotency import idempotent, idempotent_sign_in
from users.api.serializers import (
    ForgotPasswordSerializer,
    LoginSerializer,
    RefreshSerializer,
    RegisterSerializer,
    ResetPasswordSerializer,
    SignedInSerializer,
    VerifyEmailSerializer,
)
from users.api.views.base import PAIR, SIGNED_IN, AccountView, device_of, signed_in

_CREDENTIALS = {"email": "ada@example.com", "password": "correct horse battery"}
_REFRESH = OpenApiExample("A refresh token", value={"refresh": PAIR["refresh"]}, request_only=True)
_MAILED = {"token": "WzcsIjRm…"}


class PublicView(AccountView):
    authentication_classes = ()  # an expired token in the request is ignored
    permission_classes = (AllowAny,)


class RegisterView(PublicView):
    lanes = {"POST": Lane.HASHING}
    serializer_class = RegisterSerializer
    throttle_classes = throttles.REGISTER

    @idempotent_sign_in(signed_in)
    @extend_schema(
        operation_id="register",
        summary="Open an account",
        description="Answers your account and the first tokens, and mails a code that confirms the address.",
        tags=["accounts"],
        responses={201: SignedInSerializer},
        extensions=also_answers(
            (services.RegistrationClosed, "Registration is closed, or by invitation."),
            (services.EmailTaken, "The e-mail address is taken."),
        ),
        examples=[
            OpenApiExample("Ada", value={**_CREDENTIALS, "name": "Ada Lovelace"}, request_only=True),
            SIGNED_IN,
        ],
    )
    def post(self, request: Request) -> Response:
        return signed_in(services.sign_up(device_of(request), **self.validated(request)), 201)


class LoginView(PublicView):
    lanes = {"POST": Lane.HASHING}
    serializer_class = LoginSerializer
    throttle_classes = throttles.LOGIN

    @idempotent_sign_in(signed_in)
    @extend_schema(
        operation_id="login",
        summary="Sign in",
        description=(
            "Answers your account and a pair of tokens; each sign-in is a session of its own. A device that still has "
            "a token of a live session of the account sends it along as `Authorization: Bearer …`, also an expired "
            "one: then attempts from elsewhere cannot keep it out."
        ),
        tags=["accounts"],
        responses={200: SignedInSerializer},
        extensions=also_answers((services.WrongCredentials, "E-mail or password is wrong.")),
        examples=[OpenApiExample("Ada", value=_CREDENTIALS, request_only=True), SIGNED_IN],
    )
    def post(self, request: Request) -> Response:
        return signed_in(services.sign_in(device_of(request), **self.validated(request)))


class RefreshView(PublicView):
    serializer_class = RefreshSerializer

    # The grace period of a refresh token; after it, reuse means theft, also with the same Idempotency-Key.
    @idempotent_sign_in(signed_in, dt.timedelta(seconds=services.REUSE_SECONDS))
    @extend_schema(
        operation_id="refreshTokens",
        summary="Trade a refresh token for a new pair",
        description=(
            "Each serves once. Sent again within ten seconds, and before its successor is used, it brings the same "
            "pair; later its session ends. A refresh token lives 30 days."
        ),
        tags=["accounts"],
        responses={200: SignedInSerializer},
        extensions=also_answers(
            (services.TokenReused, "The refresh token is invalid, was used before or has expired; sign in again.")
        ),
        examples=[_REFRESH, SIGNED_IN],
    )
    def post(self, request: Request) -> Response:
        return signed_in(services.refresh(self.validated(request)["refresh"], device_of(request).address))


class LogoutView(PublicView):
    serializer_class = RefreshSerializer

    @idempotent
    @extend_schema(
        operation_id="logout",
        summary="End the session of a refresh token",
        description="Its tokens no longer count. An access token is not needed.",
        tags=["accounts"],
        responses={204: None},
        extensions=also_answers((InvalidToken, "This is no refresh token, or it has expired.")),
        examples=[_REFRESH],
    )
    def post(self, request: Request) -> Response:
        services.sign_out(self.validated(request)["refresh"])
        return Response(status=204)


class ForgotPasswordView(PublicView):
    serializer_class = ForgotPasswordSerializer
    throttle_classes = throttles.MAIL

    @idempotent
    @extend_schema(
        operation_id="forgotPassword",
        summary="Get a mail that lets you set a new password",
        description="The answer is the same for addresses that have no account.",
        tags=["accounts"],
        responses={202: None},
        examples=[OpenApiExample("Ada", value={"email": "ada@example.com"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        services.request_password_reset(self.validated(request)["email"])
        return Response(status=202)


class ResetPasswordView(PublicView):
    lanes = {"POST": Lane.HASHING}
    serializer_class = ResetPasswordSerializer
    throttle_classes = throttles.CODE

    @idempotent
    @extend_schema(
        operation_id="resetPassword",
        summary="Set a new password with the code from the mail",
        description="Ends every session. The code serves once, within an hour; the one of eight characters within half "
        "an hour, and only with the address of the account.",
        tags=["accounts"],
        responses={204: None},
        examples=[OpenApiExample("Ada", value={**_MAILED, "password": "staple the battery"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        services.reset_password(**self.validated(request))
        return Response(status=204)


class VerifyEmailView(PublicView):
    serializer_class = VerifyEmailSerializer
    throttle_classes = throttles.CODE

    @idempotent
    @extend_schema(
        operation_id="verifyEmail",
        summary="Confirm your address with the code from the mail",
        description="`email_verified` becomes true. The code serves for three days; the one of eight characters for "
        "half an hour, and only with the address of the account. The code of a changed address, which serves once "
        "within a day, makes that one the account's.",
        tags=["accounts"],
        responses={204: None},
        extensions=also_answers((services.EmailTaken, "Another account has got the new address.")),
        examples=[
            OpenApiExample("Ada", value=_MAILED, request_only=True),
            OpenApiExample("Typed", value={"email": "ada@example.com", "token": "K7QM-2X9D"}, request_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        services.verify_email(**self.validated(request))
        return Response(status=204)
