"""Views of all that a user has changed, and undo. The history of one object is in `users.api.resources`."""

from typing import cast

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request

from config.http.openapi.schema import also_answers
from config.http.views import GenericAPIView, Response
from config.server.bridge import Lane
from users.api import scopes
from users.api.idempotency import idempotent
from users.api.operations import CURSOR_EXPIRED, ENTRY, LINK, OPERATION, USER_ID
from users.api.queries import TYPE, HistoryQuery, chosen
from users.api.resources import entries_page, numbered
from users.api.serializers import EntrySerializer, UndoneSerializer, UndoSerializer
from users.resources import history, undo
from users.tokens.callers import Caller

_UNDONE = {"operation": 6, "changed": [{"type": "task", "id": 42, "version": 6}]}


class HistoryView(GenericAPIView):
    required_scopes = {"GET": scopes.reading_any()}
    serializer_class = EntrySerializer
    has_standing_in_statements = True

    @extend_schema(
        operation_id="listHistory",
        summary="What has changed, the newest first",
        description="An entry for each change of an object. Those that one request has made have its `operation`. "
        "Kept for 90 days, unless the operator has chosen another time.",
        tags=["history"],
        parameters=[USER_ID, HistoryQuery, TYPE, LINK],
        responses={200: EntrySerializer(many=True)},
        extensions=CURSOR_EXPIRED,
        examples=[OpenApiExample("A change", value=ENTRY, response_only=True)],
    )
    def get(self, request: Request, user_id: str) -> Response:
        caller, query = cast(Caller, request.user), HistoryQuery.validated(request)
        scopes.require(request, scopes.reading(chosen(query)))
        caller.require_standing()
        return entries_page(request, history.of_user(caller, query))


class UndoView(GenericAPIView):
    required_scopes = {"POST": scopes.writing_any()}
    serializer_class = UndoSerializer
    has_standing_in_statements = True
    lanes = {"POST": Lane.HEAVY}  # what one operation has changed may be all that a user has

    @idempotent
    @extend_schema(
        operation_id="undo",
        summary="Take back what a request has changed, all of it or nothing",
        description="Without `operation`, the last one of your session that is not undone. What was created goes to "
        "the trash, what was deleted comes back. It is an operation in turn: to undo it, send its number.",
        tags=["history"],
        parameters=[USER_ID, OPERATION],
        responses={200: UndoneSerializer},
        extensions=also_answers(
            (undo.NoSuchOperation, "You have no operation with this number."),
            (
                undo.ChangedSince,
                "Something has changed since; `changes` names it. Or `nothing_to_undo`; or `limit_reached`: you have "
                "as many as you may of what would come back.",
            ),
            (undo.TooOldToUndo, "The operation is no longer kept."),
        ),
        examples=[
            OpenApiExample("The last one", value={}, request_only=True),
            OpenApiExample("This one", value={"operation": 5}, request_only=True),
            OpenApiExample("Undone", value=_UNDONE, response_only=True),
        ],
    )
    def post(self, request: Request, user_id: str) -> Response:
        rows = undo.undo(cast(Caller, request.user), **UndoSerializer.validated(request.data))
        operation = rows[0].operation
        changed = [{"type": row.type_name(), "id": row.pk, "version": row.version} for row in rows]
        return Response({"operation": operation, "changed": changed}, headers=numbered(operation))
