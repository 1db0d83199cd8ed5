"""Views of the caller's personal tokens."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from config.errors import LimitReached
from config.http.fields import ChoiceField, InstantField, ListField, TextField
from config.http.openapi.schema import also_answers
from config.http.serializers import StrictSerializer
from config.http.views import Response
from config.server.bridge import Lane
from users import services
from users.api import scopes, throttles
from users.api.authentication import grant_of
from users.api.idempotency import ShownOnce, idempotent
from users.api.serializers import PasswordField
from users.api.views.account import OwnAccountView, parsed_uuid
from users.models import MAX_TOKEN_NAME, PersonalToken
from users.tokens.scopes import ACCOUNT_READ, SESSION, need

_TOKEN = {
    "id": "019ac5a2-7d8e-7c31-9a55-3f1f0f6b2c1d",
    "name": "Backup script",
    "prefix": "tick_pat_7Gxk",
    "scopes": ["projects:read", "tasks:read"],
    "created_at": "2026-11-23T09:30:00.123456Z",
    "expires_at": "2027-02-21T09:30:00.123456Z",
    "last_used_at": None,
    "last_used_network": "",
}
_MAKE = OpenApiExample(
    "To read", value={"name": "Backup script", "scopes": ["tasks:read", "projects:read"]}, request_only=True
)
_TOKEN_ID = OpenApiParameter("token_id", OpenApiTypes.UUID, OpenApiParameter.PATH)


class TokenSerializer(StrictSerializer):
    id = serializers.UUIDField(read_only=True)
    name = TextField(max_length=MAX_TOKEN_NAME)
    prefix = serializers.CharField(read_only=True, help_text="Its first characters, by which you know it.")
    scopes = serializers.ListField(child=serializers.CharField(), read_only=True)
    created_at = InstantField(read_only=True)
    expires_at = InstantField(
        required=False, allow_null=True, help_text="It can only be brought nearer. null of one that does not expire."
    )
    last_used_at = InstantField(read_only=True, allow_null=True, help_text="To the hour.")
    last_used_network = serializers.CharField(read_only=True, help_text="That of the address; empty if unknown.")


class NewTokenSerializer(TokenSerializer):
    scopes = ListField(
        child=ChoiceField(choices=scopes.known()),
        min_length=1,
        max_length=len(scopes.known()),
        help_text="What it may do.",
    )
    expires_at = InstantField(
        required=False, allow_null=True, help_text="By default in 90 days; null for a token that does not expire."
    )
    password = PasswordField(required=False, help_text="Not needed within ten minutes of signing in.")


class MadeTokenSerializer(TokenSerializer):
    token = serializers.CharField(
        read_only=True, allow_null=True, help_text="The token itself, this once: null in a replayed answer."
    )


class TokensView(OwnAccountView):
    required_scopes = {"GET": need(ACCOUNT_READ), "POST": SESSION}
    lanes = {"POST": Lane.HASHING}
    serializer_class = TokenSerializer

    def get_throttles(self) -> list[BaseThrottle]:
        if self.request.method == "POST":
            return [throttle() for throttle in throttles.PASSWORD]
        return super().get_throttles()

    @extend_schema(
        operation_id="listTokens",
        summary="Your personal tokens",
        description="The newest first, also those that have expired within the last 30 days; never the tokens "
        "themselves.",
        tags=["accounts"],
        responses={200: TokenSerializer(many=True)},
        examples=[OpenApiExample("A token", value=_TOKEN, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        tokens = PersonalToken.objects.for_user(self.account).order_by("-created_at", "-pk")
        return Response(TokenSerializer(tokens, many=True).data)

    @idempotent
    @extend_schema(
        operation_id="createToken",
        summary="Make a personal token, for a script",
        description="A token may do what its scopes name, and nothing to your account. It is shown once. Needs your "
        "password, or a sign-in within the last ten minutes.",
        tags=["accounts"],
        request=NewTokenSerializer,
        responses={201: MadeTokenSerializer},
        extensions=also_answers(
            (services.SignInAgain, "Send your password, or sign in anew before. Or `session_required`: no token may."),
            (LimitReached, "You have 50 tokens; revoke some first."),
        ),
        examples=[
            _MAKE,
            OpenApiExample("Made", value={**_TOKEN, "token": "tick_pat_7Gxk…"}, response_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        row, token = services.create_token(grant_of(request), **NewTokenSerializer.validated(request.data))
        return ShownOnce({**TokenSerializer(row).data, "token": token}, 201, once=["token"])


class TokenView(OwnAccountView):
    required_scopes = {"PATCH": SESSION, "DELETE": SESSION}
    serializer_class = TokenSerializer

    @idempotent
    @extend_schema(
        operation_id="updateToken",
        summary="Rename a token, or let it expire earlier",
        description="What it may do never changes: make another one for that.",
        tags=["accounts"],
        parameters=[_TOKEN_ID],
        examples=[
            OpenApiExample("Rename it", value={"name": "Nightly backup"}, request_only=True),
            OpenApiExample("Renamed", value={**_TOKEN, "name": "Nightly backup"}, response_only=True),
        ],
    )
    def patch(self, request: Request, token_id: str) -> Response:
        changes = TokenSerializer.validated(request.data, partial=True)
        row = services.update_token(self.account, parsed_uuid(token_id, services.no_such_token()), **changes)
        return Response(TokenSerializer(row).data)

    @idempotent
    @extend_schema(
        operation_id="revokeToken",
        summary="Revoke a token",
        description="It no longer counts, also in requests that are being answered and in open streams.",
        tags=["accounts"],
        parameters=[_TOKEN_ID],
        responses={204: None},
    )
    def delete(self, request: Request, token_id: str) -> Response:
        services.revoke_token(self.account, parsed_uuid(token_id, services.no_such_token()))
        return Response(status=204)
