"""The action `move`, which tasks and projects have in common."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request

from config.http import conditional
from config.http.views import Response
from users.api.idempotency import idempotent
from users.api.operations import ETAG, IF_MATCH, OPERATION, answered
from users.api.resources import ResourceViewSet
from users.resources.resource import Resource


def move_of(resource: Resource) -> Any:
    """The method of a viewset, for the action of this name that the resource declares."""
    serializer, service = resource.actions["move"]

    @idempotent
    @extend_schema(
        operation_id=f"move{resource.title}",
        summary=f"Move a {resource.name}, with those within it",
        description="What the body leaves out stays as it is; all is one operation.",
        parameters=[IF_MATCH, ETAG, OPERATION],
        request=serializer,
        responses=resource.serializer,
        examples=[
            OpenApiExample(
                "Within another, after a sibling", value={"parent_id": 41, "after_id": 43}, request_only=True
            ),
            OpenApiExample("Moved", value=answered(resource, parent_id=41, position="a1V"), response_only=True),
        ],
    )
    @action(detail=True, methods=["post"])
    def move(self: ResourceViewSet, request: Request, **address: str) -> Response:
        place, expected = serializer.validated(request.data), conditional.if_match(request)
        return self.answer(service(self.caller, self.row_id(), place, expected_version=expected))

    return move
