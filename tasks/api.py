"""The viewset of tasks: that of every resource, with actions of its own; and the routes beside it."""

from typing import cast

from django.urls import path
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request

from config.http import conditional
from config.http.openapi.schema import also_answers
from config.http.serializers import QuerySerializer
from config.http.views import GenericAPIView, Response
from tasks import counts, recurring, series_api, services, tags_api
from tasks.choices import Status
from tasks.completions import Completion
from tasks.models import Task
from tasks.place_api import move_of
from tasks.projects.resource import PROJECTS
from tasks.reminders import api as reminders
from tasks.resource import TASKS
from tasks.serializers import CountsSerializer, TaskSerializer
from tasks.series_api import EXAMPLE, OCCURRENCES, completions_page
from tasks.series_serializers import (
    CompletingSerializer,
    CompletionSerializer,
    CompletionsOfTaskQuery,
    OccurrencesQuery,
    OccurrencesSerializer,
    SkippingSerializer,
)
from tasks.transfer import api as transfer
from users.api import scopes
from users.api.idempotency import idempotent
from users.api.operations import ETAG, IF_MATCH, LINK, OPERATION, USER_ID, answered, header
from users.api.resources import ResourceViewSet
from users.resources import writes
from users.resources.models import OwnedModel
from users.tokens.callers import Caller

ADVANCED_HEADER = "Tickbase-Advanced"
_COMPLETED = {"status": "completed", "completed": True, "completed_at": "2026-11-23T09:30:00.123456Z"}
_COMPLETE = [
    OpenApiExample("Complete it", value={"completed": True}, request_only=True),
    OpenApiExample("Completed", value=answered(TASKS, **_COMPLETED), response_only=True),
]
_DAILY = {"rule": "FREQ=DAILY", "zone": "Europe/Berlin", "from": "due"}
_SKIP = [
    OpenApiExample("This one", value={"occurrence": "2026-11-30"}, request_only=True),
    OpenApiExample("Skipped", value=answered(TASKS, due_date="2026-12-01", recurrence=_DAILY), response_only=True),
]
ADVANCED = header(ADVANCED_HEADER, "`true` when a task that recurs has gone on to its next due.", 200, type=bool)
_NOT_CURRENT = also_answers((services.NotCurrent, "The `occurrence` is not the present due; `current` has it."))
_START = [
    OpenApiExample("Start it", value={"status": Status.IN_PROGRESS.value}, request_only=True),
    OpenApiExample("Started", value=answered(TASKS, status=Status.IN_PROGRESS.value), response_only=True),
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
    move = move_of(TASKS)

    def answer(self, row: OwnedModel, status: int = 200) -> Response:
        response = super().answer(row, status)
        if isinstance(row, Task) and row.step is not None and row.step.has_advanced:
            response[ADVANCED_HEADER] = "true"
        return response

    @idempotent
    @extend_schema(
        operation_id="completeTask",
        summary="Complete or reopen a task; without a body, toggle it",
        description="Send `completed` to be sure of the outcome: a toggle that is sent twice takes itself back. A task "
        "that recurs goes on to its next due and stays open; send its present due as `occurrence`, or `If-Match`, to "
        "be sure which one you complete.",
        parameters=[IF_MATCH, ETAG, OPERATION, ADVANCED],
        request=CompletingSerializer,
        responses=TaskSerializer,
        extensions=_NOT_CURRENT,
        examples=_COMPLETE,
    )
    @action(detail=True, methods=["patch"])
    def complete(self, request: Request, **address: str) -> Response:
        sent, expected = CompletingSerializer.validated(request.data), conditional.if_match(request)
        task = services.complete_as_sent(self.caller, self.row_id(), sent, expected_version=expected)
        return self.answer(task)

    @idempotent
    @extend_schema(
        operation_id="skipTask",
        summary="Skip the present occurrence of a task that recurs",
        description="It goes on to the next due, and does not count. After the last one the task is completed.",
        parameters=[IF_MATCH, ETAG, OPERATION],
        request=SkippingSerializer,
        responses=TaskSerializer,
        extensions=also_answers(
            (services.NotRecurring, "It does not recur, or has ended. Or `not_current`: it has another due now.")
        ),
        examples=_SKIP,
    )
    @action(detail=True, methods=["post"])
    def skip(self, request: Request, **address: str) -> Response:
        sent, expected = SkippingSerializer.validated(request.data), conditional.if_match(request)
        return self.answer(services.skip_task(self.caller, self.row_id(), sent, expected_version=expected))

    @extend_schema(
        operation_id="listTaskCompletions",
        summary="When a task was completed and skipped, the newest first",
        description="A row for each time. What was taken back, by reopening the task or by undo, has a `revoked_at`.",
        parameters=[CompletionsOfTaskQuery, LINK],
        responses={200: CompletionSerializer(many=True)},
        examples=[OpenApiExample("Completed", value=EXAMPLE, response_only=True)],
    )
    @action(detail=True)
    def completions(self, request: Request, **address: str) -> Response:
        query = CompletionsOfTaskQuery.validated(request)
        (pk,) = writes.show(self.caller, Task, self.row_id(), ("id",))
        return completions_page(request, Completion.objects.for_user(self.caller).filter(task=pk), query)

    @extend_schema(
        operation_id="listTaskOccurrences",
        summary="The next dues of a task that recurs",
        description="Its due, and those that follow if each is done in time; none of a task that does not recur.",
        parameters=[OccurrencesQuery],
        responses={200: OccurrencesSerializer},
        examples=[OpenApiExample("The next three", value=OCCURRENCES, response_only=True)],
    )
    @action(detail=True)
    def occurrences(self, request: Request, **address: str) -> Response:
        query, columns = OccurrencesQuery.validated(request), ("id", "status", "due_date", "due_at", "recurrence")
        row = writes.show(self.caller, Task, self.row_id(), columns)
        return Response(recurring.occurrences(Task.from_db(None, columns, row), query["limit"]))


class CountsView(GenericAPIView):
    required_scopes = {"GET": scopes.reading([TASKS, PROJECTS])}
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


ROUTES = [
    path("api/<str:user_id>/counts", CountsView.as_view(), name="counts"),
    *tags_api.routes,
    *series_api.routes,
    *transfer.ROUTES,
    *reminders.ROUTES,
]
