"""Views of the stream: wake-ups as server-sent events, and tickets for EventSource."""

import random
from typing import Any, ClassVar, cast

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request

from config.errors import TooManyAtOnce
from config.http.errors import InvalidHeader
from config.http.fields import TextField
from config.http.openapi.schema import also_answers
from config.http.serializers import QuerySerializer
from config.http.views import APIView, Response
from users.api import scopes
from users.api.operations import USER_ID, header
from users.api.queries import MAX_SYNC_CURSOR, SyncCursorField
from users.api.serializers import NothingSerializer
from users.sync import stream
from users.sync.cursors import Cursor
from users.tokens import tickets
from users.tokens.callers import Caller

CONTENT_TYPE = "text/event-stream"
LAST_EVENT_ID = "HTTP_LAST_EVENT_ID"
RETRY = (1500, 2500)  # milliseconds; clients of a server that stops shall not come back all at once
_EVENT = 'event: head\nid: AAAAAAAAAAcA…\ndata: {"cursor":"AAAAAAAAAAcA…"}\n\n'
_OFF = "The operator has switched streams off, or runs a server that cannot stream."


class StreamQuery(QuerySerializer):
    since = SyncCursorField(
        required=False, max_length=MAX_SYNC_CURSOR, help_text="The last cursor that you have; not told again."
    )
    ticket = TextField(
        required=False, max_length=tickets.MAX_TICKET, help_text="In place of the header `Authorization`."
    )


class TicketSerializer(serializers.Serializer):
    ticket = serializers.CharField(read_only=True)
    expires_in = serializers.IntegerField(read_only=True, help_text="Seconds.")


class StreamView(APIView):
    takes_tickets = True
    required_scopes = {"GET": scopes.reading_any()}
    event: ClassVar[Any] = staticmethod(stream.event_of)

    @extend_schema(
        operation_id="getStream",
        summary="Be woken when something changes",
        description="Server-sent events: `head`, whose `id` and `data.cursor` are the cursor of your newest change, "
        "once at the beginning unless `since` or `Last-Event-ID` is it, and after each change of yours, by whichever "
        "device; those that come close together may be one. Then ask for what has changed. A comment comes every 15 "
        "seconds. The stream ends with the token, by `expired`, and with the server, without it.",
        tags=["sync"],
        parameters=[
            USER_ID,
            StreamQuery,
            header("Last-Event-ID", "As `since`, which it goes before; EventSource sends it on its own."),
        ],
        responses={(200, CONTENT_TYPE): OpenApiResponse(OpenApiTypes.STR, description="The events, as they come.")},
        examples=[OpenApiExample("A change", value=_EVENT, response_only=True, media_type=CONTENT_TYPE)],
        extensions=also_answers(
            (stream.StreamsOff, _OFF),
            (TooManyAtOnce, "You have 10 streams open, or a rate limit is reached."),
        ),
    )
    def get(self, request: Request, user_id: str) -> Response:
        query, caller = StreamQuery.validated(request), cast(Caller, request.user)
        since = _last_event(request) or query.get("since")
        follow = stream.follow(request, caller, since, self.event)
        if "ticket" in query:
            tickets.spend(query["ticket"])
        response: Any = Response(
            headers={
                "Content-Type": CONTENT_TYPE,
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",  # nginx would keep events until its buffer is full
            }
        )
        if request.method != "HEAD":
            response.content = b"retry: %d\n\n" % random.randint(*RETRY)
            response.follow = follow
        return cast(Response, response)


def _last_event(request: Request) -> Cursor | None:
    """Raises InvalidHeader."""
    sent = request.META.get(LAST_EVENT_ID)
    if not sent:
        return None
    try:
        return Cursor.decode(sent)
    except ValueError as error:
        message = ErrorDetail("This is not the id of an event.", code="invalid_cursor")
        raise InvalidHeader({"Last-Event-ID": [message]}) from error


class TicketsView(APIView):
    required_scopes = {"POST": scopes.reading_any()}

    @extend_schema(
        operation_id="createStreamTicket",
        summary="Get a ticket for a stream",
        description="EventSource sends no headers: its address takes a ticket instead, `?ticket=`, once, within 30 "
        "seconds. The stream ends when the token does with which the ticket was got.",
        tags=["sync"],
        parameters=[USER_ID],
        request=NothingSerializer,
        responses={201: TicketSerializer},
        extensions=also_answers((stream.StreamsOff, _OFF)),
        examples=[OpenApiExample("A ticket", value={"ticket": "WzcsIjci…", "expires_in": 30}, response_only=True)],
    )
    def post(self, request: Request, user_id: str) -> Response:
        NothingSerializer.validated(request.data)
        stream.require_streams(request)
        ticket = tickets.make(cast(Caller, request.user))
        return Response({"ticket": ticket, "expires_in": tickets.SECONDS}, 201, {"Cache-Control": "no-store"})
