"""The viewset of tasks: that of every resource, with the actions `complete` and `move`; and the routes beside it."""

from typing import cast

from django.urls import path
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request

from config.http import conditional
from config.http.serializers import QuerySerializer
from config.http.views import GenericAPIView, Response
from tasks import counts, services, tags
from tasks.choices import Status
from tasks.resource import TASKS
from tasks.serializers import CompletionSerializer, CountsSerializer, TaskPlaceSerializer, TaskSerializer
from users.api.idempotency import idempotent
from users.api.operations import ETAG, IF_MATCH, OPERATION, USER_ID, answered
from users.api.resources import ResourceViewSet
from users.tokens.callers import Caller

_COMPLETED = {"status": "completed", "completed": True, "completed_at": "2026-11-23T09:30:00.123456Z"}
_COMPLETE = [
    OpenApiExample("Complete it", value={"completed": True}, request_only=True),
    OpenApiExample("Completed", value=answered(TASKS, **_COMPLETED), response_only=True),
]
_START = [
    OpenApiExample("Start it", value={"status": Status.IN_PROGRESS.value}, request_only=True),
    OpenApiExample("Started", value=answered(TASKS, status=Status.IN_PROGRESS.value), response_only=True),
]
_MOVE = [
    OpenApiExample("Within another, after a sibling", value={"parent_id": 41, "after_id": 43}, request_only=True),
    OpenApiExample("Moved", value=answered(TASKS, parent_id=41, position="a1V"), response_only=True),
]
_COUNTS = {
    "inbox": {"open": 3, "completed": 12},
    "projects": {"41": {"open": 7, "completed": 5}, "43": {"open": 0, "completed": 0}},
    "tags": {"health": 1, "errands": 4},
    "today": 2,
    "overdue": 1,
}


class TaskViewSet(ResourceViewSet):
    examples = {"partial_update": _START}

    @idempotent
    @extend_schema(
        operation_id="completeTask",
        summary="Complete or reopen a task; without a body, toggle it",
        description="Send `completed` to be sure of the outcome: a toggle that is sent twice takes itself back.",
        parameters=[IF_MATCH, ETAG, OPERATION],
        request=CompletionSerializer,
        responses=TaskSerializer,
        examples=_COMPLETE,
    )
    @action(detail=True, methods=["patch"])
    def complete(self, request: Request, **address: str) -> Response:
        sent, expected = CompletionSerializer.validated(request.data), conditional.if_match(request)
        task = services.complete_as_sent(self.caller, self.row_id(), sent, expected_version=expected)
        return self.answer(task)

    @idempotent
    @extend_schema(
        operation_id="moveTask",
        summary="Move a task, with the subtasks within it",
        description="To another parent, another project, or another place among its siblings; all as one operation.",
        parameters=[IF_MATCH, ETAG, OPERATION],
        request=TaskPlaceSerializer,
        responses=TaskSerializer,
        examples=_MOVE,
    )
    @action(detail=True, methods=["post"])
    def move(self, request: Request, **address: str) -> Response:
        place, expected = TaskPlaceSerializer.validated(request.data), conditional.if_match(request)
        return self.answer(services.move_task(self.caller, self.row_id(), place, expected_version=expected))


class CountsView(GenericAPIView):
    serializer_class = CountsSerializer
    has_standing_in_statements = True

    @extend_schema(
        operation_id="getCounts",
        summary="How many tasks there are, by project and by tag",
        description="Open ones are pending or in progress. `today` and `overdue` count open tasks outside of archived "
        "projects, and change with the clock: so there is no `ETag`.",
        tags=["tasks"],
        parameters=[USER_ID],
        responses=CountsSerializer,
        examples=[OpenApiExample("Counts", value=_COUNTS, response_only=True)],
    )
    def get(self, request: Request, user_id: str) -> Response:
        QuerySerializer.validated(request)
        return Response(counts.of_user(cast(Caller, request.user)))


_USER = "api/<str:user_id>"
ROUTES = [
    path(f"{_USER}/counts", CountsView.as_view(), name="counts"),
    path(f"{_USER}/tags", tags.TagsView.as_view(), name="tags"),
    path(f"{_USER}/tags/rename", tags.RenameTagView.as_view(), {"tag": "rename"}, name="rename-tag"),
    path(f"{_USER}/tags/<uid:tag>", tags.TagView.as_view(), name="tag"),
]
