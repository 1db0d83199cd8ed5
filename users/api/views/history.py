"""Views of the log: the history of an object and of all that a user has, and undo."""

from typing import cast

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from config.http.openapi.schema import also_answers
from config.http.pagination import next_link
from config.http.views import GenericAPIView, Response
from users.api.idempotency import idempotent
from users.api.operations import USER_ID, header
from users.api.resources import ResourceViewSet
from users.api.serializers import EntrySerializer, UndoneSerializer, UndoSerializer
from users.resources import history, undo
from users.resources.history import HistoryQuery, PageQuery
from users.resources.log import CursorExpired
from users.resources.resource import Resource
from users.tokens.callers import Caller

OPERATION = "Tickbase-Operation"
_ENTRY = {
    "version": 5,
    "operation": 5,
    "kind": "updated",
    "type": "task",
    "object_id": 42,
    "at": "2026-11-23T09:30:00.123456Z",
    "actor": "session:019ac5a2-7d8e-7c31-9a55-3f1f0f6b2c1d",
    "diff": {"priority": ["medium", "high"]},
    "undoes": None,
}
_UNDONE = {"operation": 6, "changed": [{"type": "task", "id": 42, "version": 6}]}
_LINK = header("Link", 'The next page: `<…>; rel="next"`, relative to the address of this one.', 200)
_EXPIRED = also_answers((CursorExpired, "What the cursor led to is no longer kept; begin anew without it."))


class HistoryView(GenericAPIView):
    serializer_class = EntrySerializer
    has_standing_in_statements = True

    @extend_schema(
        operation_id="listHistory",
        summary="What has changed, the newest first",
        description="An entry for each change of an object. Those that one request has made have its `operation`. "
        "Kept for 90 days, unless the operator has chosen another time.",
        tags=["history"],
        parameters=[USER_ID, HistoryQuery, _LINK],
        responses={200: EntrySerializer(many=True)},
        extensions=_EXPIRED,
        examples=[OpenApiExample("A change", value=_ENTRY, response_only=True)],
    )
    def get(self, request: Request, user_id: str) -> Response:
        caller, query = _caller(request), HistoryQuery.validated(request)
        caller.require_standing()
        return _answer(request, history.of_user(caller, query))


class ObjectHistoryViewSet(ResourceViewSet):
    def list(self, request: Request, **address: str) -> Response:
        query, pk = PageQuery.validated(request), self.row_id()
        self.caller.require_standing()
        return _answer(request, history.of_object(self.caller, self.resource.model, pk, query))


class UndoView(GenericAPIView):
    serializer_class = UndoSerializer
    has_standing_in_statements = True

    @idempotent
    @extend_schema(
        operation_id="undo",
        summary="Take back what a request has changed, all of it or nothing",
        description="Without `operation`, the last one of your session that is not undone. What was created goes to "
        "the trash, what was deleted comes back. It is an operation in turn: to undo it, send its number.",
        tags=["history"],
        parameters=[USER_ID, header(OPERATION, "The number of this operation.", 200, type=int)],
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
            OpenApiExample(
                "Undone",
                value={"operation": 6, "changed": [{"type": "task", "id": 42, "version": 6}]},
                response_only=True,
            ),
        ],
    )
    def post(self, request: Request, user_id: str) -> Response:
        rows = undo.undo(_caller(request), **UndoSerializer.validated(request.data))
        operation = rows[0].operation
        changed = [{"type": row.type_name(), "id": row.pk, "version": row.version} for row in rows]
        return Response({"operation": operation, "changed": changed}, headers={OPERATION: str(operation)})


def _caller(request: Request) -> Caller:
    """Permissions exclude anonymous ones."""
    return cast(Caller, request.user)


def _answer(request: Request, page: history.Page) -> Response:
    entries, following = page
    return Response(entries, headers={"Link": next_link(request, following)} if following else None)


def routes(resource: Resource) -> list[URLPattern]:
    """The URL pattern of the history of a resource's objects."""
    view = _object_history(resource).as_view({"get": "list"})
    place = f"api/<str:user_id>/{resource.plural}/<str:{resource.name}_id>/history"
    return [path(place, view, name=f"{resource.name}-history")]


def _object_history(resource: Resource) -> type[ObjectHistoryViewSet]:
    one, (member, value) = resource.name.replace("_", " "), next(iter(resource.example.items()))
    entry = {**_ENTRY, "type": resource.name, "diff": {member: [value, f"{value} again"]}}
    members = {"resource": resource, "serializer_class": EntrySerializer, "__module__": __name__}
    view = type(f"{resource.title}HistoryViewSet", (ObjectHistoryViewSet,), members)
    described = extend_schema(
        operation_id=f"list{resource.title}History",
        summary=f"What has happened to a {one}, the newest first",
        description=f"An entry for each change, also of a {one} in the trash. Empty for one that has not changed since "
        "the entries are kept.",
        tags=[resource.plural],
        parameters=[
            USER_ID,
            OpenApiParameter(f"{resource.name}_id", OpenApiTypes.INT64, OpenApiParameter.PATH),
            PageQuery,
            _LINK,
        ],
        responses={200: EntrySerializer(many=True)},
        extensions=_EXPIRED,
        examples=[OpenApiExample("A change", value=entry, response_only=True)],
    )
    return extend_schema_view(list=described)(view)
