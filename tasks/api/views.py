"""The task resource."""

import re
from contextlib import nullcontext
from typing import Any, cast

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from config.database import session
from config.database.queries import Query
from config.errors import SearchTooSlow
from config.http import conditional
from config.http.openapi.schema import also_answers
from config.http.pagination import next_link
from tasks import feed, services, statements
from tasks.api import filters
from tasks.api.serializers import CompletionSerializer, TaskSerializer
from tasks.models import Task
from users.api.idempotency import idempotent
from users.models import User
from users.tokens.own import Grant

_SLOW = frozenset({"search", "tag", "overdue"})  # this one is known with the user's time zone
_MAX_ID = 2**63 - 1  # a bigint
_TASK_ID = re.compile(r"[1-9][0-9]{0,18}")


def header(name: str, description: str, *responses: int, type: Any = str) -> OpenApiParameter:
    """A header of the request, or of the named responses."""
    return OpenApiParameter(
        name, type, OpenApiParameter.HEADER, description=description, response=list(responses) or False
    )


USER_ID = OpenApiParameter(
    "user_id",
    str,
    OpenApiParameter.PATH,
    description="Your id, or `me`.",
    examples=[OpenApiExample("You", value="me")],
)
TASK_ID = OpenApiParameter("task_id", OpenApiTypes.INT64, OpenApiParameter.PATH)
IF_MATCH = header("If-Match", 'Change only this version: `"5"`.', type=conditional.HEADER)
IF_NONE_MATCH = header("If-None-Match", "Answer 304 if this is still the ETag.", type=conditional.HEADER)
ETAG = header("ETag", "The version in quotes.", 200, 201, 304)
LIST_HEADERS = [
    header("ETag", "Changes with any change of yours; absent when the list depends on the clock.", 200, 304),
    header("Link", 'The next page: `<…>; rel="next"`, relative to the address of this one.', 200),
    header("X-Total-Count", "With `total=true`.", 200, type=int),
]
_SENT = {"title": "Call the dentist", "priority": "high", "tags": ["health"], "due_date": "2026-12-01"}
_ANSWERED = {
    "id": 42,
    "uid": "019ac5a2-7d8e-7c31-9a55-3f1f0f6b2c1d",
    "user_id": "7",
    "title": "Call the dentist",
    "description": "",
    "status": "pending",
    "completed": False,
    "priority": "high",
    "tags": ["health"],
    "due_date": "2026-12-01",
    "due_at": None,
    "completed_at": None,
    "created_at": "2026-11-23T09:30:00.123456Z",
    "updated_at": "2026-11-23T09:30:00.123456Z",
    "version": 5,
}
SENT = OpenApiExample("Call the dentist", value=_SENT, request_only=True)
ANSWERED = OpenApiExample("A task", value=_ANSWERED, response_only=True)
_COMPLETED = {"status": "completed", "completed": True, "completed_at": _ANSWERED["updated_at"]}


@extend_schema(tags=["tasks"], parameters=[USER_ID])
class TaskViewSet(GenericViewSet):
    serializer_class = TaskSerializer
    lookup_url_kwarg = "task_id"

    @property
    def caller(self) -> User:
        """The permissions let nobody else through."""
        return cast(User, self.request.user)

    @property
    def default_response_headers(self) -> dict[str, str]:
        """`Allow` belongs to 405 and OPTIONS; DRF works it out for every answer."""
        method = str(self.request.method).lower()
        is_asked = method == "options" or not hasattr(self, method)
        return super().default_response_headers if is_asked else {}

    @property
    def grant(self) -> Grant:
        return cast(Grant, self.request.auth)

    def reads_ahead(self, user_id: int) -> Query[Task] | None:
        """What a get reads, or a list by its indexes, is known before the user is.

        It is read for whoever has a token of ours, also past the rate limit: so nothing that takes long. A list that
        may be unchanged reads nothing yet.
        """
        if self.action == "retrieve":
            return statements.get(user_id, _parsed_id(self.kwargs["task_id"]))
        if self.action == "list" and "If-None-Match" not in self.request.headers:
            query = filters.TaskListQuery.validated(self.request)
            return None if query["offset"] or query.keys() & _SLOW else filters.rows(user_id, query)
        return None

    @extend_schema(
        operation_id="listTasks",
        summary="List tasks",
        description="A bare JSON array, the newest first. All filters must match; `Link` leads to the next page.",
        parameters=[filters.TaskListQuery, filters.STATUS, IF_NONE_MATCH, *LIST_HEADERS],
        responses={200: TaskSerializer(many=True), 304: None},
        extensions=also_answers((SearchTooSlow, "The search took more than two seconds; `detail` says what to do.")),
        examples=[ANSWERED],
    )
    def list(self, request: Request, user_id: str) -> Response:
        query = filters.TaskListQuery.validated(request)
        # What is overdue changes with the clock, not with the feed. The tag is read before the rows: a change in
        # between makes it too old, never too new.
        etag = None if "overdue" in query else conditional.etag(feed.known_head(self.caller))
        if unchanged := conditional.not_modified(request, etag):
            return unchanged
        headers = {} if etag is None else {"ETag": etag}
        clock = filters.clock(self.caller, query)
        with session.search_timeout() if "search" in query else nullcontext():
            found = self.grant.read(filters.rows(self.caller.pk, query, **clock))
            total = filters.count(self.caller, query, **clock) if query.get("total") else None
        if cursor := filters.next_page(found, query):
            headers["Link"] = next_link(request, cursor)
        if total is not None:
            headers["X-Total-Count"] = str(total)
        return Response(self.get_serializer(found[: query["limit"]], many=True).data, headers=headers)

    @idempotent
    @extend_schema(
        operation_id="createTask",
        summary="Create a task",
        description="Only `title` is needed. Sent again with its `Idempotency-Key`, it creates no second task.",
        parameters=[ETAG, header("Location", "The task's address, relative to this one: `tasks/42`.", 201)],
        responses={201: TaskSerializer},
        extensions=also_answers(
            (
                services.UidTaken,
                "You have a task with this uid; `current` carries it, unless it was deleted. "
                "Or `limit_reached`: you have as many tasks as you may.",
            )
        ),
        examples=[SENT, ANSWERED],
    )
    def create(self, request: Request, user_id: str) -> Response:
        task = services.create_task(self.caller, **TaskSerializer.validated(request.data))
        response = self._answer(task, status=201)
        response["Location"] = f"tasks/{task.pk}"  # beside this address, wherever a proxy has put it
        return response

    @extend_schema(
        operation_id="getTask",
        summary="Get a task",
        description="With `If-None-Match`, an unchanged task is a 304 without a body.",
        parameters=[TASK_ID, IF_NONE_MATCH, ETAG],
        responses={200: TaskSerializer, 304: None},
        examples=[ANSWERED],
    )
    def retrieve(self, request: Request, user_id: str, task_id: str) -> Response:
        found = self.grant.read(statements.get(self.caller.pk, _parsed_id(task_id)))
        if not found:
            raise services.no_such_task()
        task = found[0]
        return conditional.not_modified(request, conditional.etag(task.version)) or self._answer(task)

    @extend_schema(
        operation_id="putTask",
        summary="Change a task; absent members stay as they are",
        description=(
            "Read-only members are ignored, so a task can be sent back as it came. `If-Match` keeps you from "
            "overwriting what another device has changed."
        ),
        request=TaskSerializer(partial=True),
        parameters=[TASK_ID, IF_MATCH, ETAG],
        examples=[SENT, ANSWERED],
    )
    def update(self, request: Request, user_id: str, task_id: str) -> Response:
        return self._update(task_id)

    @idempotent
    @extend_schema(
        operation_id="updateTask",
        summary="Change some members of a task (RFC 7396)",
        description=(
            "Members that you send are changed, absent ones stay, `null` clears. `If-Match` keeps you from overwriting "
            "what another device has changed."
        ),
        parameters=[TASK_ID, IF_MATCH, ETAG],
        examples=[
            OpenApiExample("Start it", value={"status": "in_progress"}, request_only=True),
            OpenApiExample("Started", value={**_ANSWERED, "status": "in_progress"}, response_only=True),
        ],
    )
    def partial_update(self, request: Request, user_id: str, task_id: str) -> Response:
        return self._update(task_id)

    @extend_schema(
        operation_id="deleteTask",
        summary="Delete a task",
        description="Its address is a 404 from then on. `If-Match` deletes it only as you have seen it.",
        parameters=[TASK_ID, IF_MATCH],
        responses={204: None},
    )
    def destroy(self, request: Request, user_id: str, task_id: str) -> Response:
        expected = conditional.if_match(request)
        services.delete_task(self.caller, _parsed_id(task_id), expected_version=expected)
        return Response(status=204)

    @idempotent
    @extend_schema(
        operation_id="completeTask",
        summary="Complete or reopen a task; without a body, toggle it",
        description="Send `completed` to be sure of the outcome: a toggle that is sent twice takes itself back.",
        parameters=[TASK_ID, IF_MATCH, ETAG],
        request=CompletionSerializer,
        responses=TaskSerializer,
        examples=[
            OpenApiExample("Complete it", value={"completed": True}, request_only=True),
            OpenApiExample("Completed", value={**_ANSWERED, **_COMPLETED}, response_only=True),
        ],
    )
    def complete(self, request: Request, user_id: str, task_id: str) -> Response:
        completed = CompletionSerializer.validated(request.data).get("completed")
        expected = conditional.if_match(request)
        task = services.complete_task(self.caller, _parsed_id(task_id), completed, expected_version=expected)
        return self._answer(task)

    def _update(self, task_id: str) -> Response:
        changes = TaskSerializer.validated(self.request.data, partial=True)
        expected = conditional.if_match(self.request)
        task = services.update_task(self.caller, _parsed_id(task_id), changes, expected_version=expected)
        return self._answer(task)

    def _answer(self, task: Task, status: int = 200) -> Response:
        headers = {"ETag": conditional.etag(task.version)}
        return Response(self.get_serializer(task).data, status=status, headers=headers)


def _parsed_id(task_id: str) -> int:
    """Raises TaskNotFound for what cannot be an id, as for an id that does not exist."""
    if not _TASK_ID.fullmatch(task_id) or int(task_id) > _MAX_ID:
        raise services.no_such_task()
    return int(task_id)
