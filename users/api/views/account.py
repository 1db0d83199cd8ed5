"""Views of the caller's own account, its password and its sessions."""

import uuid

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer
from rest_framework.throttling import BaseThrottle

from config.errors import NotFound
from config.http.openapi.schema import also_answers
from config.http.views import Response
from config.server.bridge import Lane
from users import exports, services
from users.api import scopes, throttles
from users.api.authentication import grant_of
from users.api.idempotency import idempotent, idempotent_sign_in
from users.api.permissions import ScopesAreGranted
from users.api.serializers import (
    ChangeEmailSerializer,
    ChangePasswordSerializer,
    CloseAccountSerializer,
    NothingSerializer,
    SessionSerializer,
    SignedInSerializer,
    UserSerializer,
)
from users.api.views.base import SIGNED_IN, USER, AccountView, signed_in
from users.models import Session, User
from users.resources.resource import registered
from users.tokens.scopes import ACCOUNT_READ, SESSION, need

_USER = OpenApiExample("Ada", value=USER, response_only=True)
_SESSION = {
    "id": "019ac5a2-7d8e-7c31-9a55-3f1f0f6b2c1d",
    "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "address": "203.0.113.7",
    "created_at": "2026-11-23T09:30:00.123456Z",
    "last_used_at": "2026-11-23T11:10:00.654321Z",
    "expires_at": "2026-12-23T11:10:00.654321Z",
    "current": True,
}
_EXPORT = {
    "account": {"id": 7, "email": "ada@example.com", "name": "Ada Lovelace"},
    "sessions": [{"id": _SESSION["id"], "address": _SESSION["address"]}],
    "tasks": [{"id": 42, "title": "Call the dentist"}],
}
MAX_UUID = len("urn:uuid:019ac5a2-7d8e-7c31-9a55-3f1f0f6b2c1d")
_SESSION_ID = OpenApiParameter("session_id", OpenApiTypes.UUID, OpenApiParameter.PATH)


def parsed_uuid(text: str, missing: NotFound) -> uuid.UUID:
    """An id in a path. Raises `missing` for what is none, as for one that is not there."""
    try:
        if len(text) <= MAX_UUID:
            return uuid.UUID(text)
    except ValueError:
        pass
    raise missing


class OwnAccountView(AccountView):
    # Without EmailIsVerified: also for accounts whose e-mail address is not verified.
    permission_classes = (IsAuthenticated, ScopesAreGranted)

    @property
    def account(self) -> User:
        """The account of the authenticated caller; permissions exclude anonymous ones."""
        return grant_of(self.request).user


class MeView(OwnAccountView):
    required_scopes = {"GET": need(ACCOUNT_READ), "PATCH": SESSION, "DELETE": SESSION}
    lanes = {"DELETE": Lane.HASHING}
    serializer_class = UserSerializer
    delete_serializer_class = CloseAccountSerializer

    def get_serializer_class(self) -> type[BaseSerializer]:
        return self.delete_serializer_class if self.request.method == "DELETE" else self.serializer_class

    def get_throttles(self) -> list[BaseThrottle]:
        if self.request.method == "DELETE":
            return [throttle() for throttle in throttles.PASSWORD]
        return super().get_throttles()

    @extend_schema(
        operation_id="getMe",
        summary="Your account",
        description="Also while your e-mail address is not confirmed. `id` is what stands for you in paths.",
        tags=["accounts"],
        examples=[_USER],
    )
    def get(self, request: Request) -> Response:
        return Response(self.get_serializer(self.account).data)

    @idempotent
    @extend_schema(
        operation_id="updateMe",
        summary="Change your name or time zone",
        description="Absent members stay as they are. The time zone decides on which day a task is due.",
        tags=["accounts"],
        examples=[
            OpenApiExample("Time zone", value={"timezone": "Asia/Karachi"}, request_only=True),
            OpenApiExample("Moved", value={**USER, "timezone": "Asia/Karachi"}, response_only=True),
        ],
    )
    def patch(self, request: Request) -> Response:
        user = services.update_profile(self.account, **self.validated(request, partial=True))
        return Response(self.get_serializer(user).data)

    @extend_schema(
        operation_id="deleteMe",
        summary="Delete your account and all that belongs to it, for good",
        description="Needs your password, or a sign-in within the last five minutes. It cannot be undone.",
        tags=["accounts"],
        responses={204: None},
        extensions=also_answers((services.SignInAgain, "Send your password, or sign in anew before.")),
        examples=[OpenApiExample("Password", value={"password": "correct horse battery"}, request_only=True)],
    )
    def delete(self, request: Request) -> Response:
        services.close_account(grant_of(request), **self.validated(request))
        return Response(status=204)


class PasswordView(OwnAccountView):
    required_scopes = {"POST": SESSION}
    lanes = {"POST": Lane.HASHING}
    ends_its_token = True
    serializer_class = ChangePasswordSerializer
    throttle_classes = throttles.PASSWORD

    @idempotent_sign_in(signed_in)
    @extend_schema(
        operation_id="changePassword",
        summary="Change your password; all other sessions end, and this one gets new tokens",
        description="Needs the current password. Keep the new tokens: those of before no longer count.",
        tags=["accounts"],
        responses={200: SignedInSerializer},
        extensions=also_answers((services.NoPassword, "You sign in elsewhere and have no password here.")),
        examples=[
            OpenApiExample(
                "Ada",
                value={"current_password": "correct horse battery", "new_password": "staple the battery"},
                request_only=True,
            ),
            SIGNED_IN,
        ],
    )
    def post(self, request: Request) -> Response:
        body = self.validated(request)
        current, new = body["current_password"], body["new_password"]
        return signed_in(services.change_password(grant_of(request), current=current, new=new))


class VerificationView(OwnAccountView):
    required_scopes = {"POST": SESSION}
    serializer_class = NothingSerializer
    throttle_classes = throttles.MAIL

    @idempotent
    @extend_schema(
        operation_id="sendVerification",
        summary="Get another mail to confirm your address",
        description="The code in it confirms the address of your account, for three days.",
        tags=["accounts"],
        request=None,
        responses={202: None},
    )
    def post(self, request: Request) -> Response:
        self.validated(request)
        services.request_email_verification(self.account)
        return Response(status=202)


class EmailView(OwnAccountView):
    required_scopes = {"POST": SESSION}
    lanes = {"POST": Lane.HASHING}
    serializer_class = ChangeEmailSerializer
    throttle_classes = throttles.EMAIL_CHANGE

    @idempotent
    @extend_schema(
        operation_id="changeEmail",
        summary="Change your address",
        description="Mails a code to the new address, which `POST /api/auth/verify-email` takes within a day, and "
        "tells the present one, which stays until then. Needs your password, or a sign-in within the last five "
        "minutes. The answer is the same for addresses that have an account already.",
        tags=["accounts"],
        responses={202: None},
        extensions=also_answers(
            (
                services.SignInAgain,
                "Send your password, or sign in anew before. Or `no_password`: you sign in elsewhere.",
            )
        ),
        examples=[
            OpenApiExample(
                "Ada", value={"email": "ada@example.org", "password": "correct horse battery"}, request_only=True
            )
        ],
    )
    def post(self, request: Request) -> Response:
        services.request_email_change(grant_of(request), **self.validated(request))
        return Response(status=202)


class SessionsView(OwnAccountView):
    required_scopes = {"GET": need(ACCOUNT_READ), "DELETE": SESSION}
    serializer_class = SessionSerializer

    @extend_schema(
        operation_id="listSessions",
        summary="Where you are signed in",
        description="One for each sign-in that has not ended, the last used first; `current` is the one that asks.",
        tags=["accounts"],
        responses={200: SessionSerializer(many=True)},
        examples=[OpenApiExample("This one", value=_SESSION, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        sessions = Session.objects.for_user(self.account).live().order_by("-last_used_at", "-pk")
        return Response(self.get_serializer(sessions[: services.MAX_SESSIONS], many=True).data)

    @idempotent
    @extend_schema(
        operation_id="endOtherSessions",
        summary="Sign out everywhere else",
        description="Their tokens no longer count; the session that asks goes on.",
        tags=["accounts"],
        responses={204: None},
    )
    def delete(self, request: Request) -> Response:
        services.end_other_sessions(self.account, grant_of(request).session)
        return Response(status=204)


class SessionView(OwnAccountView):
    required_scopes = {"DELETE": SESSION}
    serializer_class = SessionSerializer

    @idempotent
    @extend_schema(
        operation_id="endSession",
        summary="Sign out somewhere",
        description="Its tokens no longer count. The session that asks can be ended, too.",
        tags=["accounts"],
        parameters=[_SESSION_ID],
        responses={204: None},
    )
    def delete(self, request: Request, session_id: str) -> Response:
        services.end_session(self.account, parsed_uuid(session_id, services.no_such_session()))
        return Response(status=204)


class ExportView(OwnAccountView):
    required_scopes = {"GET": need(ACCOUNT_READ, *scopes.reading(registered()).scopes)}
    lanes = {"GET": Lane.HEAVY}
    serializer_class = None
    throttle_classes = throttles.EXPORT

    @extend_schema(
        operation_id="exportMe",
        summary="All that is stored about you, as one JSON document",
        description="Your account, sessions, audit events and tasks; it can be asked for as often as one can sign in.",
        tags=["accounts"],
        responses={200: OpenApiTypes.OBJECT},
        examples=[OpenApiExample("An excerpt", value=_EXPORT, response_only=True)],
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": 'attachment; filename="tickbase-export.json"',
        }
        return StreamingHttpResponse(exports.stream(self.account), content_type="application/json", headers=headers)
