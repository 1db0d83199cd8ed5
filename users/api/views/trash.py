"""The views of the trash; those of a single row in it are the resource's (`users.api.resources`)."""

from typing import Any, cast

from drf_spectacular.utils import (
    OpenApiExample,
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework.request import Request

from config.errors import OperationTooLarge
from config.http.fields import ChoiceField, InstantField
from config.http.openapi.schema import also_answers
from config.http.pagination import Cursor, next_link
from config.http.views import APIView, Response
from config.server.bridge import Lane
from users.api import scopes
from users.api.idempotency import idempotent
from users.api.operations import LINK, OPERATION, USER_ID, answered
from users.api.queries import TYPE, TrashQuery, TypeQuery, chosen
from users.api.resources import numbered
from users.resources import trash
from users.resources.resource import Resource, registered
from users.resources.serializers import ResourceSerializer
from users.tokens.callers import Caller

_DELETED_AT = "2026-11-23T11:10:00.654321Z"


def _serializer(resource: Resource) -> type[ResourceSerializer]:
    """For the OpenAPI document."""
    more = {"type": ChoiceField(choices=[resource.name], read_only=True), "deleted_at": InstantField(read_only=True)}
    return type(f"Trashed{resource.title}Serializer", (resource.serializer,), more)


_TRASHED: Any = {resource.name: _serializer(resource) for resource in registered()}


class TrashView(APIView):
    lanes = {"DELETE": Lane.HEAVY}
    required_scopes = {"GET": scopes.reading_any(), "DELETE": scopes.writing_any()}

    @extend_schema(
        operation_id="listTrash",
        summary="What you have deleted",
        description="Objects of all types, the last deleted first, until they are restored or erased. Each has its "
        "`type` and `deleted_at` beside its own members; `Link` leads to the next page.",
        tags=["trash"],
        parameters=[USER_ID, TrashQuery, TYPE, LINK],
        responses={
            200: PolymorphicProxySerializer(
                component_name="Trashed", serializers=_TRASHED, resource_type_field_name="type", many=True
            )
        },
        examples=[
            OpenApiExample(
                f"A {resource.name.replace('_', ' ')}",
                value=answered(resource, type=resource.name, deleted_at=_DELETED_AT),
                response_only=True,
            )
            for resource in registered()
        ],
    )
    def get(self, request: Request, user_id: str) -> Response:
        user, query = cast(Caller, request.user), TrashQuery.validated(request)
        scopes.require(request, scopes.reading(chosen(query)))
        limit = query["limit"]
        found = trash.page(user, chosen(query), limit + 1, query.get("cursor"))
        headers = {}
        if len(found) > limit:
            deleted_at, name, pk = found[limit - 1].key
            headers["Link"] = next_link(request, Cursor(name, deleted_at.isoformat(), pk))
        return Response([_shown(each, user.public_id) for each in found[:limit]], headers=headers)

    @idempotent
    @extend_schema(
        operation_id="emptyTrash",
        summary="Empty the trash",
        description="Erases all that is in it, or all of one type, for good: the text is gone at once, also from the "
        "history. It is one operation, and nothing brings it back.",
        tags=["trash"],
        parameters=[USER_ID, TYPE, OPERATION],
        responses={204: None},
        extensions=also_answers(
            (OperationTooLarge, "There are more objects than one operation may change; erase those of one type.")
        ),
    )
    def delete(self, request: Request, user_id: str) -> Response:
        resources = chosen(TypeQuery.validated(request))
        scopes.require(request, scopes.writing(resources))
        operation = trash.empty(cast(Caller, request.user), resources)
        return Response(status=204, headers=numbered(operation))


def _shown(trashed: trash.Trashed, public_id: str) -> dict[str, Any]:
    (shown,) = trashed.resource.serializer.represent([trashed.row], public_id)
    return {"type": trashed.resource.name, **shown, "deleted_at": trashed.key.deleted_at}
