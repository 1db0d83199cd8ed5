"""Views of when the reminders of a task fire, and the page that ends their mails."""

import json
import re
from typing import Any, cast

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import path
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from config.errors import NotFound
from config.http.openapi.schema import also_answers
from config.http.serializers import QuerySerializer
from config.http.views import APIView, GenericAPIView, Response
from config.values import MAX_BIGINT, is_storable
from tasks.models import Task
from tasks.reminders import mails, services
from tasks.reminders.models import Reminder
from tasks.reminders.serializers import ReminderSerializer, SnoozeSerializer
from tasks.resource import TASKS
from users.api import scopes
from users.api.idempotency import idempotent
from users.api.operations import USER_ID, row_id
from users.resources import errors, writes
from users.resources.models import MAX_UID
from users.tokens.callers import Caller

_ID = re.compile(r"[1-9][0-9]{0,18}")
_UID = OpenApiParameter(
    "uid", {"type": "string", "minLength": 1, "maxLength": MAX_UID}, OpenApiParameter.PATH, description="Of a reminder."
)
_EXAMPLE = {
    "uid": "019ac5a2-7d8e-7c31-9a55-3f1f0f6b2c1d",
    "remind_at": "2026-12-01T08:30:00Z",
    "snoozed_until": None,
    "sent_at": None,
    "missed_at": None,
}
_SNOOZED = {**_EXAMPLE, "remind_at": "2026-12-01T08:45:00Z", "snoozed_until": "2026-12-01T08:45:00Z"}
_TITLES = {mails.REMINDER: "Reminders by mail", mails.DIGEST: "The daily mail of what is due"}


class _OfTask(GenericAPIView):
    serializer_class: Any = ReminderSerializer
    has_standing_in_statements = True

    def task(self, task_id: str) -> tuple[int, list[str]]:
        """The id of a visible task, and the uids of its reminders. Raises RowNotFound."""
        if not _ID.fullmatch(task_id) or int(task_id) > MAX_BIGINT:
            raise errors.no_such(Task)
        pk, reminders = writes.show(cast(Caller, self.request.user), Task, int(task_id), ("id", "reminders"))
        return int(pk), [each["uid"] for each in json.loads(reminders or "[]")]


class RemindersView(_OfTask):
    required_scopes = {"GET": scopes.reading([TASKS])}

    @extend_schema(
        operation_id="listTaskReminders",
        summary="When the reminders of a task fire, and what became of them",
        description="In the order of the task's `reminders`. It has no `ETag`, as it changes with the clock.",
        tags=["tasks"],
        parameters=[USER_ID, row_id(TASKS)],
        responses={200: ReminderSerializer(many=True)},
        examples=[OpenApiExample("Half an hour before", value=_EXAMPLE, response_only=True)],
    )
    def get(self, request: Request, user_id: str, task_id: str) -> Response:
        QuerySerializer.validated(request)
        pk, uids = self.task(task_id)
        rows = {row.uid: row for row in Reminder.objects.for_user(cast(Caller, request.user)).filter(task=pk)}
        return Response([rows[uid].shown() for uid in uids if uid in rows])


class SnoozeView(_OfTask):
    required_scopes = {"POST": scopes.writing([TASKS])}
    serializer_class = SnoozeSerializer

    @idempotent
    @extend_schema(
        operation_id="snoozeReminder",
        summary="Be reminded again, or later",
        description="Also of one that was sent. The task does not change; the snooze ends when its due or the reminder "
        "does.",
        tags=["tasks"],
        parameters=[USER_ID, row_id(TASKS), _UID],
        responses={200: ReminderSerializer},
        extensions=also_answers(
            (services.ReminderMuted, "The task is closed, or in an archived project: it is not reminded of.")
        ),
        examples=[
            OpenApiExample("In a quarter of an hour", value={"minutes": 15}, request_only=True),
            OpenApiExample("Snoozed", value=_SNOOZED, response_only=True),
        ],
    )
    def post(self, request: Request, user_id: str, task_id: str, uid: str) -> Response:
        sent, (pk, _) = SnoozeSerializer.validated(request.data), self.task(task_id)
        if len(uid) > MAX_UID or not is_storable(uid):
            raise services.no_such_reminder()
        return Response(services.snooze(cast(Caller, request.user), pk, uid, **sent).shown())


class UnsubscribeView(APIView):
    """For mail programs (RFC 8058), which POST without signing in and without cookies, and for people, who are asked
    first: programs that scan mails open their links."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(exclude=True)
    def get(self, request: Request, token: str) -> HttpResponse:
        _, kind = self._named(token)
        return self._page(request, f"{_TITLES[kind]}: no more of them?", is_done=False)

    @extend_schema(exclude=True)
    def post(self, request: Request, token: str) -> HttpResponse:
        user_id, kind = self._named(token)
        services.unsubscribe(user_id, kind)
        return self._page(request, f"{_TITLES[kind]} are off.", is_done=True)

    def _named(self, token: str) -> tuple[int, str]:
        named = services.unsubscribed_by(token)
        if named is None or named[1] not in _TITLES:
            raise NotFound("This link is damaged; use the one of the mail.")
        return named

    def _page(self, request: Request, title: str, *, is_done: bool) -> HttpResponse:
        context = {"title": title, "is_done": is_done}
        response = render(request._request, "reminders/unsubscribe.html", context)
        response["Cache-Control"] = "no-store"
        return response


ROUTES = [
    path("api/<str:user_id>/tasks/<str:task_id>/reminders", RemindersView.as_view(), name="reminders"),
    path("api/<str:user_id>/tasks/<str:task_id>/reminders/<uid:uid>/snooze", SnoozeView.as_view(), name="snooze"),
    path("unsubscribe/<str:token>", UnsubscribeView.as_view(), name="unsubscribe"),
]
