"""The viewset of projects: that of every resource, with the action `move`."""

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request

from config.http import conditional
from config.http.views import Response
from tasks.fields import PlaceSerializer
from tasks.projects import services
from tasks.projects.resource import PROJECTS
from tasks.projects.serializers import ProjectSerializer
from users.api.idempotency import idempotent
from users.api.operations import ETAG, IF_MATCH, OPERATION, answered
from users.api.resources import ResourceViewSet

_MOVE = [
    OpenApiExample("Within another, after a sibling", value={"parent_id": 41, "after_id": 43}, request_only=True),
    OpenApiExample("Moved", value=answered(PROJECTS, parent_id=41, position="a1V"), response_only=True),
]


class ProjectViewSet(ResourceViewSet):
    @idempotent
    @extend_schema(
        operation_id="moveProject",
        summary="Move a project, with those within it",
        description="To another parent, or to another place among its siblings; all as one operation.",
        parameters=[IF_MATCH, ETAG, OPERATION],
        request=PlaceSerializer,
        responses=ProjectSerializer,
        examples=_MOVE,
    )
    @action(detail=True, methods=["post"])
    def move(self, request: Request, **address: str) -> Response:
        place, expected = PlaceSerializer.validated(request.data), conditional.if_match(request)
        return self.answer(services.move_project(self.caller, self.row_id(), place, expected_version=expected))
