"""Views of the caller's webhooks."""

import re
from typing import Any, cast

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from config.errors import LimitReached
from config.http import conditional
from config.http.fields import BooleanField, ChoiceField, InstantField, IntegerField, ListField, TextField
from config.http.openapi.schema import also_answers
from config.http.serializers import StrictSerializer
from config.http.views import Response
from config.values import MAX_BIGINT
from users.api import scopes
from users.api.idempotency import ShownOnce, idempotent
from users.api.operations import ETAG, IF_MATCH, USER_ID, header
from users.api.serializers import NothingSerializer
from users.api.views.base import AccountView
from users.models import User
from users.resources.log import Cursor
from users.resources.resource import registered
from users.tokens.callers import Caller
from users.tokens.scopes import WEBHOOKS, need
from users.webhooks import services
from users.webhooks.models import ALL, KEPT, MAX_URL, STATUSES, Delivery, Endpoint

_ID = OpenApiParameter("webhook_id", OpenApiTypes.INT64, OpenApiParameter.PATH)
_WEBHOOK: dict[str, Any] = {
    "id": 7,
    "url": "https://example.com/hooks/tickbase",
    "events": [f"{each.name}.created" for each in registered()[:1]],
    "project_ids": None,
    "active": True,
    "status": "active",
    "cursor": "AAAAAAAAAAcAAAAAAAAABQ",
    "next_attempt_at": None,
    "failures": 0,
    "last_error": "",
    "old_secret_until": None,
    "created_at": "2026-11-23T09:30:00.123456Z",
    "updated_at": "2026-11-23T09:30:00.123456Z",
    "version": 1,
}
_SECRET = {"secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD…"}
_DELIVERY = {
    "at": "2026-11-23T09:31:00.123456Z",
    "event": _WEBHOOK["events"][0] if _WEBHOOK["events"] else "webhook.test",
    "webhook_id": "msg_ph7kaxzrxhmjvkppd6aqc2cxvyucf2mp",
    "status": 204,
    "reason": "",
    "milliseconds": 83,
    "attempt": 1,
}
_ANSWER = OpenApiExample("A webhook", value=_WEBHOOK, response_only=True)
_NAMES = services.event_names()


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "const": ALL},
            {"type": "array", "items": {"type": "string", "enum": _NAMES}, "minItems": 1, "maxItems": len(_NAMES)},
        ]
    }
)
class EventsField(serializers.Field):
    """`*`, or a list of names."""

    default_error_messages = {"invalid": "Send `*`, or a list of names."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._names = ListField(child=ChoiceField(choices=_NAMES), min_length=1, max_length=len(_NAMES))

    def to_internal_value(self, data: Any) -> list[str]:
        if data == ALL:
            return [ALL]
        if not isinstance(data, list):
            self.fail("invalid")
        return sorted({*self._names.run_validation(data)})

    def to_representation(self, value: list[str]) -> Any:
        return ALL if value == [ALL] else value


class WebhookSerializer(StrictSerializer):
    id = serializers.IntegerField(read_only=True)
    url = TextField(
        max_length=MAX_URL, trim_whitespace=False, help_text="Where events are sent, by https; see the guide."
    )
    events = EventsField(required=False, help_text="What is sent: `*`, or names. By default all.")
    project_ids = ListField(
        child=IntegerField(min_value=1, max_value=MAX_BIGINT),
        required=False,
        allow_null=True,
        min_length=1,
        max_length=services.MAX_PROJECTS,
        help_text="Only what belongs to these projects, or did before a change; null for all, also what is in none.",
    )
    active = BooleanField(source="is_active", required=False, help_text="False pauses it; it goes on at its cursor.")
    status = serializers.ChoiceField(
        STATUSES,
        read_only=True,
        help_text="`disabled` after the last attempt, or by staff; `paused` by you.",
    )
    cursor = serializers.SerializerMethodField(help_text="Where it is in the log; grows as events are accepted.")
    next_attempt_at = InstantField(read_only=True, allow_null=True, help_text="While it is failing.")
    failures = serializers.IntegerField(read_only=True, help_text="Attempts since an event was accepted.")
    last_error = serializers.CharField(read_only=True, help_text="Why the last attempt failed; empty if it did not.")
    old_secret_until = InstantField(read_only=True, allow_null=True, help_text="The former secret signs along so long.")
    created_at = InstantField(read_only=True)
    updated_at = InstantField(read_only=True, help_text="When its members were changed, not when it was used.")
    version = serializers.IntegerField(read_only=True, help_text="Grows with every change; in quotes, the ETag.")

    def get_cursor(self, row: Endpoint) -> str:
        return Cursor(row.cursor_epoch, row.cursor_version).encode()


class SecretWebhookSerializer(WebhookSerializer):
    secret = serializers.CharField(
        read_only=True, allow_null=True, help_text="Signs what is sent, shown this once: null in a replayed answer."
    )


class ReplaySerializer(StrictSerializer):
    version = IntegerField(
        required=False, min_value=0, max_value=MAX_BIGINT, help_text="Send again what came after this `version`."
    )
    since = InstantField(required=False, help_text="Send again what has happened since.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Send either `version` or `since`.", code="conflicting_members")
        return attrs


class DeliverySerializer(serializers.Serializer):
    at = InstantField()
    event = serializers.CharField()
    webhook_id = serializers.CharField(help_text="The same for each attempt to deliver an event.")
    status = serializers.IntegerField(allow_null=True, help_text="The status of the answer; null without one.")
    reason = serializers.CharField(help_text="Why it failed; empty if it was accepted.")
    milliseconds = serializers.IntegerField()
    attempt = serializers.IntegerField()


class WebhooksBase(AccountView):
    serializer_class: type[serializers.Serializer] = WebhookSerializer

    @property
    def account(self) -> User:
        return cast(Caller, self.request.user).grant.user

    @property
    def pk(self) -> int:
        """Raises WebhookNotFound for malformed ids, as for those that do not exist."""
        text = self.kwargs["webhook_id"]
        return min(int(text), MAX_BIGINT) if re.fullmatch("[1-9][0-9]{0,18}", text) else 0

    def require_reading(self, events: list[str]) -> None:
        """A token gets by a webhook no more than it may read. Raises InsufficientScope."""
        names = {services.ABOUT.get(event, event.partition(".")[0]) for event in events}
        scopes.require(
            self.request, scopes.reading(each for each in registered() if ALL in names or each.name in names)
        )


def _answer(row: Endpoint, status: int = 200) -> Response:
    return Response(WebhookSerializer(row).data, status, headers={"ETag": conditional.etag(row.version)})


def _with_secret(row: Endpoint, status: int) -> Response:
    answer = ShownOnce({**WebhookSerializer(row).data, "secret": row.secret}, status, once=["secret"])
    answer["ETag"] = conditional.etag(row.version)
    return answer


class WebhooksView(WebhooksBase):
    required_scopes = {"GET": need(WEBHOOKS), "POST": need(WEBHOOKS)}

    @extend_schema(
        operation_id="listWebhooks",
        summary="Your webhooks",
        description="The oldest first, at most ten; never their secrets.",
        tags=["webhooks"],
        parameters=[USER_ID],
        responses={200: WebhookSerializer(many=True)},
        examples=[_ANSWER],
    )
    def get(self, request: Request, user_id: str) -> Response:
        rows = Endpoint.objects.for_user(self.account).order_by("pk")
        return Response(WebhookSerializer(rows, many=True).data)

    @idempotent
    @extend_schema(
        operation_id="createWebhook",
        summary="Make a webhook",
        description="What happens from now on is sent to its `url`, in order, as Standard Webhooks 1.0 says; the guide "
        "has the rules for addresses, and a receiver. The `secret` is shown once. A personal token also needs to be "
        "allowed to read what the events are about.",
        tags=["webhooks"],
        parameters=[USER_ID, ETAG, header("Location", "Its address, relative to this one: `webhooks/7`.", 201)],
        responses={201: SecretWebhookSerializer},
        extensions=also_answers((LimitReached, "You have ten webhooks; delete one first.")),
        examples=[
            OpenApiExample(
                "To this address",
                value={name: _WEBHOOK[name] for name in ("url", "events")},
                request_only=True,
            ),
            OpenApiExample("Made", value={**_WEBHOOK, **_SECRET}, response_only=True),
        ],
    )
    def post(self, request: Request, user_id: str) -> Response:
        fields = WebhookSerializer.validated(request.data)
        self.require_reading(fields.get("events", [ALL]))
        row = services.create_webhook(self.account, **fields)
        response = _with_secret(row, 201)
        response["Location"] = f"webhooks/{row.pk}"
        return response


class WebhookView(WebhooksBase):
    required_scopes = dict.fromkeys(("GET", "PATCH", "DELETE"), need(WEBHOOKS))

    @extend_schema(
        operation_id="getWebhook",
        summary="Get a webhook",
        description="Its state changes with each delivery; the ETag only with what you change.",
        tags=["webhooks"],
        parameters=[USER_ID, _ID, header("ETag", "The version in quotes, for `If-Match`.", 200)],
        examples=[_ANSWER],
    )
    def get(self, request: Request, user_id: str, webhook_id: str) -> Response:
        return _answer(services.find(self.account, self.pk))

    @idempotent
    @extend_schema(
        operation_id="updateWebhook",
        summary="Change a webhook, pause it, or enable it again",
        description="With `active` true, one that was disabled goes on from where it was. A personal token also needs "
        "to be allowed to read what the events are about.",
        tags=["webhooks"],
        parameters=[USER_ID, _ID, IF_MATCH, ETAG],
        examples=[OpenApiExample("Enable it", value={"active": True}, request_only=True), _ANSWER],
    )
    def patch(self, request: Request, user_id: str, webhook_id: str) -> Response:
        changes = WebhookSerializer.validated(request.data, partial=True)
        expected = conditional.if_match(request)
        if "url" in changes or "events" in changes:
            self.require_reading(changes.get("events") or services.find(self.account, self.pk).events)
        return _answer(services.update_webhook(self.account, self.pk, changes, expected=expected))

    @idempotent
    @extend_schema(
        operation_id="deleteWebhook",
        summary="Delete a webhook",
        description="Nothing more is sent to it, but for what is on its way.",
        tags=["webhooks"],
        parameters=[USER_ID, _ID, IF_MATCH],
        responses={204: None},
    )
    def delete(self, request: Request, user_id: str, webhook_id: str) -> Response:
        services.delete_webhook(self.account, self.pk, expected=conditional.if_match(request))
        return Response(status=204)


class WebhookSecretView(WebhooksBase):
    required_scopes = {"POST": need(WEBHOOKS)}

    @idempotent
    @extend_schema(
        operation_id="rotateWebhookSecret",
        summary="Get a new secret",
        description="The former one signs along for 24 hours: what is sent then has two signatures.",
        tags=["webhooks"],
        parameters=[USER_ID, _ID, ETAG],
        request=None,
        responses={200: SecretWebhookSerializer},
        examples=[OpenApiExample("A new one", value={**_WEBHOOK, **_SECRET, "version": 2}, response_only=True)],
    )
    def post(self, request: Request, user_id: str, webhook_id: str) -> Response:
        NothingSerializer.validated(request.data)
        return _with_secret(services.rotate_secret(self.account, self.pk), 200)


class WebhookTestView(WebhooksBase):
    required_scopes = {"POST": need(WEBHOOKS)}

    @idempotent
    @extend_schema(
        operation_id="testWebhook",
        summary="Send a test event",
        description="An event `webhook.test`, after what is waiting for this webhook, which is tried at once. "
        "The deliveries say what became of it.",
        tags=["webhooks"],
        parameters=[USER_ID, _ID],
        request=None,
        responses={202: WebhookSerializer},
        extensions=also_answers((services.WebhookInactive, "It is not active; change `active` to true first.")),
        examples=[_ANSWER],
    )
    def post(self, request: Request, user_id: str, webhook_id: str) -> Response:
        NothingSerializer.validated(request.data)
        return Response(WebhookSerializer(services.send_test(self.account, self.pk)).data, 202)


class WebhookReplayView(WebhooksBase):
    required_scopes = {"POST": need(WEBHOOKS)}

    @idempotent
    @extend_schema(
        operation_id="replayWebhook",
        summary="Send again what was sent before",
        description="From a `version` of your log on, or from a time on. Each event has the `webhook-id` that it had, "
        "so that a receiver passes over those that it has.",
        tags=["webhooks"],
        parameters=[USER_ID, _ID],
        request=ReplaySerializer,
        responses={202: WebhookSerializer},
        extensions=also_answers((services.ReplayExpired, "What came after this version is no longer kept.")),
        examples=[
            OpenApiExample("Of this day", value={"since": "2026-11-23T00:00:00Z"}, request_only=True),
            _ANSWER,
        ],
    )
    def post(self, request: Request, user_id: str, webhook_id: str) -> Response:
        place = ReplaySerializer.validated(request.data)
        return Response(WebhookSerializer(services.replay(self.account, self.pk, **place)).data, 202)


class DeliveriesView(WebhooksBase):
    required_scopes = {"GET": need(WEBHOOKS)}
    serializer_class = DeliverySerializer

    @extend_schema(
        operation_id="listWebhookDeliveries",
        summary="The last attempts to deliver to a webhook",
        description="The newest first, at most a hundred; what was answered only by its status.",
        tags=["webhooks"],
        parameters=[USER_ID, _ID],
        responses={200: DeliverySerializer(many=True)},
        examples=[OpenApiExample("Accepted", value=_DELIVERY, response_only=True)],
    )
    def get(self, request: Request, user_id: str, webhook_id: str) -> Response:
        row = services.find(self.account, self.pk)
        rows = Delivery.objects.for_user(self.account).filter(endpoint=row).order_by("-pk")
        return Response(DeliverySerializer(rows[:KEPT], many=True).data)
