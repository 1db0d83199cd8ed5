"""Views of completions and of previews of a rule; those of one task are in `tasks.api`."""

from typing import Any, cast

from django.urls import path
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request

from config.http.pagination import Cursor, next_link
from config.http.views import GenericAPIView, Response
from tasks import recurring
from tasks.completions import Completion, CompletionQuerySet
from tasks.filters import PROJECT
from tasks.resource import TASKS
from tasks.series_serializers import (
    CompletionSerializer,
    CompletionsQuery,
    OccurrencesSerializer,
    PreviewSerializer,
)
from users.api import scopes
from users.api.idempotency import idempotent
from users.api.operations import LINK, USER_ID
from users.tokens.callers import Caller

EXAMPLE = {
    "id": 7,
    "task_id": 42,
    "at": "2026-11-23T09:30:00.123456Z",
    "occurrence_date": "2026-11-23",
    "occurrence_at": None,
    "kind": "completed",
    "missed": 0,
    "revoked_at": None,
}
_PREVIEWED = {"recurrence": {"rule": "FREQ=MONTHLY;BYDAY=-1FR"}, "due_date": "2026-11-27", "limit": 3}
OCCURRENCES = {
    "rule": "FREQ=MONTHLY;BYDAY=-1FR",
    "occurrences": ["2026-11-27", "2026-12-25", "2027-01-29"],
    "ends": False,
    "text": "every month on the last Friday",
}


def completions_page(request: Request, rows: CompletionQuerySet, query: Any) -> Response:
    """The newest first."""
    limit = query["limit"]
    if "cursor" in query:
        rows = rows.after(*query["cursor"])
    found = list(rows.newest_first().values(*CompletionSerializer().fields)[: limit + 1])
    headers = {}
    if len(found) > limit:
        last = found[limit - 1]
        headers["Link"] = next_link(request, Cursor("at", last["at"].isoformat(), last["id"]))
    return Response(found[:limit], headers=headers)


class CompletionsView(GenericAPIView):
    required_scopes = {"GET": scopes.reading([TASKS])}
    serializer_class = CompletionSerializer
    has_standing_in_statements = True

    @extend_schema(
        operation_id="listCompletions",
        summary="What was completed and skipped, the newest first",
        description="A row for each time, also of tasks that do not recur. What was taken back, by reopening the task "
        "or by undo, has a `revoked_at`.",
        tags=["tasks"],
        parameters=[USER_ID, CompletionsQuery, PROJECT, LINK],
        responses={200: CompletionSerializer(many=True)},
        examples=[OpenApiExample("Completed", value=EXAMPLE, response_only=True)],
    )
    def get(self, request: Request, user_id: str) -> Response:
        caller, query = cast(Caller, request.user), CompletionsQuery.validated(request)
        caller.require_standing()
        return completions_page(request, Completion.objects.for_user(caller).narrowed(caller, query), query)


class PreviewView(GenericAPIView):
    required_scopes = {"POST": scopes.reading([TASKS])}
    serializer_class = PreviewSerializer
    has_standing_in_statements = True

    @idempotent
    @extend_schema(
        operation_id="previewRecurrence",
        summary="The dues of a rule, before a task has it",
        description="For a picker: how the rule would be stored, the dues that would follow if each is done in time, "
        "and the rule in words. A rule that is refused here is refused by a task, too.",
        tags=["tasks"],
        parameters=[USER_ID],
        responses={200: OccurrencesSerializer},
        examples=[
            OpenApiExample("The last Friday of each month", value=_PREVIEWED, request_only=True),
            OpenApiExample("Its first three", value=OCCURRENCES, response_only=True),
        ],
    )
    def post(self, request: Request, user_id: str) -> Response:
        caller, sent = cast(Caller, request.user), PreviewSerializer.validated(request.data)
        caller.require_standing()
        due = sent.get("due_at") or sent.get("due_date")
        return Response(recurring.preview(recurring.anchored(sent["recurrence"], due, caller), due, sent["limit"]))


routes = [
    path("api/<str:user_id>/completions", CompletionsView.as_view(), name="completions"),
    path("api/<str:user_id>/recurrence/preview", PreviewView.as_view(), name="recurrence-preview"),
]
