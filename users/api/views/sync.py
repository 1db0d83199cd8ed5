"""The views of sync: what a user has, and what has changed since."""

from typing import Any, cast

from drf_spectacular.utils import OpenApiExample, PolymorphicProxySerializer, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from config.http import conditional
from config.http.fields import ChoiceField
from config.http.views import GenericAPIView, Response
from users.api import scopes
from users.api.operations import CURSOR_EXPIRED, IF_NONE_MATCH, USER_ID, answered, header
from users.api.queries import TYPES, ChangesQuery
from users.resources.resource import Resource, registered
from users.sync import changes, stream
from users.tokens.callers import Caller

_CURSOR = "AAAAAAAAAAcAASjC5Vh3hAAAAAAAAAAGAAAAAAAAAACqMYqx"
_DELETED = {"type": "task", "version": 6, "deleted": True, "id": 41, "uid": "019ac5a2-7d8e-7c31-9a55-3f1f0f6b2c1c"}


def _change(resource: Resource) -> type[serializers.Serializer]:
    """For the OpenAPI document."""
    members = {
        "type": ChoiceField(choices=[resource.name]),
        "version": serializers.IntegerField(),
        "object": resource.serializer(),
    }
    return type(f"{resource.title}ChangeSerializer", (serializers.Serializer,), members)


class TombstoneSerializer(serializers.Serializer):
    type = serializers.CharField(help_text="The name of the object's resource.")
    version = serializers.IntegerField()
    deleted = ChoiceField(choices=[True])
    id = serializers.IntegerField()
    uid = serializers.CharField()


class ChangesSerializer(serializers.Serializer):
    changes: Any = PolymorphicProxySerializer(
        component_name="ObjectChange",
        serializers=[*(_change(resource) for resource in registered()), TombstoneSerializer],
        resource_type_field_name=None,
        many=True,
    )
    cursor = serializers.CharField(help_text="Send it as `since` the next time.")
    more = serializers.BooleanField(help_text="Whether to ask again at once.")


class ChangesView(GenericAPIView):
    serializer_class = ChangesSerializer
    has_standing_in_statements = True
    required_scopes = {"GET": scopes.reading_any()}

    @extend_schema(
        operation_id="listChanges",
        summary="What has changed since a cursor, or all that there is",
        description="Without `since`, all live objects, page by page; then what changes from then on. Each object as "
        "it is now, in its place in the order of versions; what changes while you read comes later. What was deleted "
        "is told by its `id` and `uid`. With `If-None-Match`, it is a 304 when nothing is new.",
        tags=["sync"],
        parameters=[
            USER_ID,
            ChangesQuery,
            TYPES,
            IF_NONE_MATCH,
            header("ETag", "Changes with any change of yours.", 200, 304),
        ],
        responses={200: ChangesSerializer, 304: None},
        extensions=CURSOR_EXPIRED,
        examples=[
            OpenApiExample(
                "A changed task, and a deleted one",
                value={
                    "changes": [
                        *(
                            {"type": resource.name, "version": 5, "object": answered(resource)}
                            for resource in registered()
                            if resource.name == _DELETED["type"]
                        ),
                        _DELETED,
                    ],
                    "cursor": _CURSOR,
                    "more": False,
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request, user_id: str) -> Response:
        caller = cast(Caller, request.user)
        query, tags = ChangesQuery.of_caller(request, caller), conditional.if_none_match(request)
        names = query.get("types") or changes.types()
        scopes.require(request, scopes.reading(each for each in registered() if each.name in names))
        since = query.get("since")
        found = changes.page(caller, query["limit"], since, query.get("types"))
        # A tag may come from another page, so it counts only where nothing is new.
        unchanged = conditional.not_modified(tags, found.head) if found.cursor == since else None
        body = {"changes": found.changes, "cursor": found.cursor.encode(), "more": found.more}
        response: Any = unchanged or Response(body, headers={"ETag": conditional.etag(found.head)})
        if query["wait"] and found.cursor == since:
            response.follow = stream.wait(request, caller, found.cursor, query["wait"])
        return cast(Response, response)
