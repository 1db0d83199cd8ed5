"""The views of tags: the list, and what changes a tag on all tasks."""

from typing import cast

from django.urls import path
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request

from config.errors import OperationTooLarge
from config.http import conditional
from config.http.openapi.schema import also_answers
from config.http.serializers import QuerySerializer
from config.http.views import GenericAPIView, Response
from config.server.bridge import Lane
from tasks import counts, services
from tasks.models import MAX_TAG
from tasks.resource import TASKS
from tasks.serializers import TagRenamedSerializer, TagRenameSerializer, TagSerializer
from tasks.services import TagNotFound
from users.api import scopes
from users.api.idempotency import idempotent
from users.api.operations import ETAG, IF_NONE_MATCH, OPERATION, USER_ID
from users.api.resources import numbered
from users.resources import feed
from users.tokens.callers import Caller

_TAG = OpenApiParameter(
    "tag",
    {"type": "string", "minLength": 1, "maxLength": MAX_TAG},
    OpenApiParameter.PATH,
    description="In any case; percent-encoded, also its slashes.",
    examples=[OpenApiExample("A tag", value="errands")],
)
_REFUSALS = also_answers(
    (TagNotFound, "None of your tasks has this tag; those in the trash do not count."),
    (OperationTooLarge, "More tasks have it than one operation may change."),
)


class TagsView(GenericAPIView):
    required_scopes = {"GET": scopes.reading([TASKS])}
    serializer_class = TagSerializer
    has_standing_in_statements = True

    @extend_schema(
        operation_id="listTags",
        summary="List the tags of your tasks",
        description="A bare JSON array in the order of the tags, regardless of case.",
        tags=["tasks"],
        parameters=[USER_ID, IF_NONE_MATCH, ETAG],
        responses={200: TagSerializer(many=True), 304: None},
        examples=[OpenApiExample("A tag", value={"tag": "errands", "open": 4, "completed": 9}, response_only=True)],
    )
    def get(self, request: Request, user_id: str) -> Response:
        QuerySerializer.validated(request)
        user, tags = cast(Caller, request.user), conditional.if_none_match(request)
        if tags and (unchanged := conditional.not_modified(tags, feed.current_version(user))):
            return unchanged
        version, found = counts.of_tags(user)
        return Response([each._asdict() for each in found], headers={"ETag": conditional.etag(version)})


class TagView(GenericAPIView):
    required_scopes = {"DELETE": scopes.writing([TASKS])}
    serializer_class = TagSerializer
    has_standing_in_statements = True

    @idempotent
    @extend_schema(
        operation_id="deleteTag",
        summary="Take a tag off all tasks",
        description="As one operation, which can be undone.",
        tags=["tasks"],
        parameters=[USER_ID, _TAG, OPERATION],
        responses={204: None},
        extensions=_REFUSALS,
    )
    def delete(self, request: Request, user_id: str, tag: str) -> Response:
        QuerySerializer.validated(request)
        changed = services.delete_tag(cast(Caller, request.user), tag)
        return Response(status=204, headers=numbered(changed[0].operation))


class RenameTagView(GenericAPIView):
    """At the address of a tag of this name, which so is taken off by the name in other letters: `Rename`."""

    required_scopes = {"POST": scopes.writing([TASKS])}
    serializer_class = TagSerializer
    has_standing_in_statements = True
    lanes = {"POST": Lane.HEAVY}

    @idempotent
    @extend_schema(
        operation_id="renameTag",
        summary="Rename a tag on all tasks, or merge it with another",
        description="As one operation, which can be undone. A task that has both keeps one.",
        tags=["tasks"],
        parameters=[USER_ID, OPERATION],
        request=TagRenameSerializer,
        responses={200: TagRenamedSerializer},
        extensions=_REFUSALS,
        examples=[
            OpenApiExample("Rename it", value={"from": "shopping", "to": "errands"}, request_only=True),
            OpenApiExample("Renamed", value={"changed": 4}, response_only=True),
        ],
    )
    def post(self, request: Request, user_id: str) -> Response:
        QuerySerializer.validated(request)
        sent = TagRenameSerializer.validated(request.data)
        changed = services.rename_tag(cast(Caller, request.user), sent["from"], sent["to"])
        return Response({"changed": len(changed)}, headers=numbered(changed[0].operation if changed else None))


_TAGS = "api/<str:user_id>/tags"
routes = [
    path(_TAGS, TagsView.as_view(), name="tags"),
    path(f"{_TAGS}/rename", RenameTagView.as_view(), name="rename-tag"),
    path(f"{_TAGS}/<uid:tag>", TagView.as_view(), name="tag"),
]
