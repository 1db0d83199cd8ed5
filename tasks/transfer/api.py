"""The views of import and export."""

from typing import Any, cast
from zoneinfo import ZoneInfo

from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request

from config.errors import LimitReached, NotFound, OperationTooLarge
from config.http.json import CONTENT_TYPE, FORM
from config.http.openapi.schema import also_answers
from config.http.pagination import Cursor, next_link
from config.http.serializers import QuerySerializer
from config.http.views import APIView, GenericAPIView, Response
from config.server.bridge import Lane
from config.values import MAX_BIGINT
from tasks.comments.resource import COMMENTS
from tasks.filters import PROJECT
from tasks.formats import ics
from tasks.projects.resource import PROJECTS
from tasks.resource import TASKS
from tasks.transfer import exports, services
from tasks.transfer.models import Import
from tasks.transfer.serializers import ExportQuery, ImportedSerializer, ImportQuery, ImportSerializer, ImportsQuery
from tasks.transfer.uploads import MAX_BODY, UploadRequest
from users.api import scopes
from users.api.idempotency import idempotent
from users.api.operations import LINK, OPERATION, USER_ID, header
from users.api.resources import numbered
from users.api.views.base import PathTokenView
from users.tokens.callers import Caller
from users.tokens.scopes import FEEDS_READ, IMPORT, InsufficientScope, need

SECONDS = 20  # that an import may take within its request

_ID = OpenApiParameter("import_id", OpenApiTypes.INT64, OpenApiParameter.PATH)
_SHOWN = ("id", "created_at", "format", "status", "total", "done", "operation", "operations", "error", "report")
_REPORT: dict[str, Any] = {
    "format": "todoist-csv",
    "counts": {"projects": 1, "tasks": 42, "completions": 0, "comments": 0, "skipped": 0, "degraded": 1, "warnings": 0},
    "created": 43,
    "updated": 0,
    "unchanged": 0,
    "skipped": [],
    "degraded": [{"row": 7, "field": "recurrence", "from": "every full moon", "to": None}],
    "warnings": [],
}
_KEPT = {**_REPORT, "degraded": [{"row": 7, "field": "recurrence"}]}
_STORED = {
    "id": 3,
    "created_at": "2026-11-23T09:30:00.123456Z",
    "format": "todoist-csv",
    "status": "done",
    "total": 43,
    "done": 43,
    "operation": 48,
    "operations": [48],
    "error": "",
    "report": _KEPT,
}
_RAW = "application/octet-stream"
_FILE = "TYPE,CONTENT,PRIORITY\ntask,Buy milk,1\n"
_BINARY = {"type": "string", "contentMediaType": _RAW}
_JSON = {"oneOf": [{"type": "object"}, {"type": "array", "items": {}}]}  # Taskwarrior's is a list
_FORM = {"type": "object", "properties": {"file": _BINARY}, "required": ["file"]}


class NoSuchImport(NotFound):
    code = "import_not_found"
    title = "No such import"


class ImportsView(GenericAPIView):
    serializer_class = ImportSerializer
    required_scopes = {"GET": need(IMPORT), "POST": need(IMPORT)}
    lanes = {"POST": Lane.HEAVY}
    max_bodies = {"POST": MAX_BODY}

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return UploadRequest(request, self)

    @idempotent
    @extend_schema(
        operation_id="importTasks",
        summary="Import tasks and projects from a file",
        description="The file is the body, whatever its type, or the only part of a form; at most 20 MiB. What it says "
        "is stored as one operation, which `undo` takes back; the report tells of each field that did not land as it "
        "is. To import a file again changes nothing but what is newer in it. A dry run answers the report with 200, "
        "and stores nothing. More than 2,000 tasks, projects and comments are left to a worker, which makes an "
        "operation of each 500 tasks: the answer is 202, and `GET` of the import shows how far it is.",
        tags=["transfer"],
        parameters=[
            USER_ID,
            ImportQuery,
            OPERATION,
            header("Location", "The import's address, relative to this one: `imports/3`.", 201, 202),
        ],
        request={_RAW: _BINARY, FORM: _FORM},
        responses={200: ImportedSerializer, 201: ImportedSerializer, 202: ImportSerializer},
        extensions=also_answers(
            (services.TooLargeAtOnce, "It is larger than 20 MiB, or takes too long; `code` tells which."),
            (LimitReached, "There are more tasks or projects in it than you may have, or three imports wait already."),
            (OperationTooLarge, "It has more than 100,000 tasks and projects."),
        ),
        examples=[
            OpenApiExample("A file", value=_FILE, request_only=True, media_type=_RAW),
            OpenApiExample("A form", value={"file": _FILE}, request_only=True, media_type=FORM),
            OpenApiExample("Imported", value={**_REPORT, "id": 3, "operation": 48}, response_only=True),
        ],
    )
    def post(self, request: Request, user_id: str) -> Response:
        caller, query = cast(Caller, request.user), ImportQuery.validated(request)
        upload = cast(UploadRequest, request).upload
        zone = ZoneInfo(query["zone"]) if "zone" in query else caller.zone
        services.require_bounded(upload.data)
        document, source = services.read(upload.data, upload.name, query["format"], zone, seconds=SECONDS)
        if not query["dry_run"] and services.rows_of(document) > services.AT_ONCE:
            waiting = services.queue_import(caller, document, source, data=upload.data, name=upload.name, zone=zone)
            shown = {name: getattr(waiting, name) for name in _SHOWN}
            return Response(shown, status=202, headers={"Location": f"imports/{waiting.pk}"})
        report, row = services.import_document(caller, document, source, dry_run=query["dry_run"], seconds=SECONDS)
        answer = {**report.as_json(), "id": row and row.pk, "operation": row and row.operation}
        if row is None:
            return Response(answer)
        return Response(answer, status=201, headers={"Location": f"imports/{row.pk}", **numbered(row.operation)})

    @extend_schema(
        operation_id="listImports",
        summary="What you have imported, the newest first",
        description="Kept for 90 days; without the values that the report had.",
        tags=["transfer"],
        parameters=[USER_ID, ImportsQuery, LINK],
        responses={200: ImportSerializer(many=True)},
        examples=[OpenApiExample("An import", value=_STORED, response_only=True)],
    )
    def get(self, request: Request, user_id: str) -> Response:
        query = ImportsQuery.validated(request)
        limit = query["limit"]
        rows = Import.objects.for_user(cast(Caller, request.user)).order_by("-pk")
        if "cursor" in query:
            rows = rows.filter(pk__lt=query["cursor"].id)
        found = list(rows.values(*_SHOWN)[: limit + 1])
        headers = {}
        if len(found) > limit:
            headers["Link"] = next_link(request, Cursor("id", None, found[limit - 1]["id"]))
        return Response(found[:limit], headers=headers)


class ImportView(GenericAPIView):
    serializer_class = ImportSerializer
    required_scopes = {"GET": need(IMPORT)}

    @extend_schema(
        operation_id="getImport",
        summary="Get an import",
        description="One that the operator runs from a file shows how far it is.",
        tags=["transfer"],
        parameters=[USER_ID, _ID],
        responses={200: ImportSerializer},
        examples=[OpenApiExample("An import", value=_STORED, response_only=True)],
    )
    def get(self, request: Request, user_id: str, import_id: str) -> Response:
        QuerySerializer.validated(request)
        pk = int(import_id) if import_id.isascii() and import_id.isdecimal() and len(import_id) < 20 else 0
        rows = Import.objects.for_user(cast(Caller, request.user)).filter(pk=min(pk, MAX_BIGINT))
        found = rows.values(*_SHOWN).first()
        if found is None:
            raise NoSuchImport("You have no import with this id.")
        return Response(found)


class ExportView(APIView):
    serializer_class = None
    lanes = {"GET": Lane.HEAVY}
    required_scopes = {"GET": scopes.reading([TASKS, PROJECTS, COMMENTS])}

    @extend_schema(
        operation_id="exportTasks",
        summary="Export tasks and projects as a file",
        description="`tickbase` is what another Tickbase imports as it is; other formats lack some members. With "
        "a project come those within it. What is in the trash is left out.",
        tags=["transfer"],
        parameters=[
            USER_ID,
            ExportQuery,
            PROJECT,
            header("Content-Disposition", 'A name for the file: `attachment; filename="tasks.csv"`.', 200),
        ],
        responses={
            (200, media_type): _JSON if media_type == CONTENT_TYPE else OpenApiTypes.BINARY
            for media_type in dict.fromkeys(each.MEDIA_TYPE for each in exports.WRITABLE.values())
        },
    )
    def get(self, request: Request, user_id: str) -> StreamingHttpResponse:
        caller, query = cast(Caller, request.user), ExportQuery.validated(request)
        chosen = exports.WRITABLE[query["format"]]
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="tasks.{chosen.EXTENSION}"',
        }
        pieces = exports.write(caller, caller.zone, chosen, query.get("project"))
        response = StreamingHttpResponse(pieces, content_type=chosen.MEDIA_TYPE, headers=headers)
        response.starts_early = True  # type: ignore[attr-defined]  # for the bridge
        return response


class CalendarView(PathTokenView):
    required_scopes = {"GET": need(FEEDS_READ)}

    @extend_schema(
        operation_id="getCalendar",
        summary="Your dues as a calendar to subscribe to",
        description="The address has a personal token with the scope `feeds:read`, as calendars send no headers: keep "
        "it secret, and revoke the token to close it. Open tasks with a due are events, and those that recur from "
        "their due repeat.",
        tags=["transfer"],
        auth=[],  # OpenAPI has no word for a secret path
        parameters=[OpenApiParameter("token", OpenApiTypes.STR, OpenApiParameter.PATH)],
        responses={(200, ics.MEDIA_TYPE): OpenApiTypes.STR},
        extensions=also_answers((InsufficientScope, "The token lacks the scope `feeds:read`; make one that has it.")),
    )
    def get(self, request: Request, token: str) -> StreamingHttpResponse:
        caller = cast(Caller, request.user)
        pieces = exports.calendar(caller, caller.zone)
        return StreamingHttpResponse(pieces, content_type=ics.MEDIA_TYPE, headers={"Cache-Control": "no-store"})


ROUTES = [
    path("feeds/<str:token>.ics", CalendarView.as_view(), name="calendar"),
    path("api/<str:user_id>/imports", ImportsView.as_view(), name="imports"),
    path("api/<str:user_id>/imports/<str:import_id>", ImportView.as_view(), name="import"),
    path("api/<str:user_id>/export", ExportView.as_view(), name="export-tasks"),
]
