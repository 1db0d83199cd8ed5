"""The viewset of tasks: that of every resource, with the action `complete`."""

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request

from config.http import conditional
from config.http.views import Response
from tasks import services
from tasks.choices import Status
from tasks.resource import TASKS
from tasks.serializers import CompletionSerializer, TaskPlaceSerializer, TaskSerializer
from users.api.idempotency import idempotent
from users.api.operations import ETAG, IF_MATCH, OPERATION, answered
from users.api.resources import ResourceViewSet

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
