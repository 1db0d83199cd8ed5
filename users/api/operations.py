"""The OpenAPI operations of every resource: parameters, headers, examples and descriptions."""

from enum import Enum
from functools import partial
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema

from config.errors import SearchTooSlow
from config.http import conditional
from config.http.openapi.schema import also_answers
from users.resources import writes
from users.resources.resource import Resource, registered


def header(name: str, description: str, *responses: int, type: Any = str) -> OpenApiParameter:
    """A header of the request, or of the responses with these status codes."""
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
IF_MATCH = header("If-Match", 'Change only this version: `"5"`.', type=conditional.HEADER)
IF_NONE_MATCH = header("If-None-Match", "Answer 304 if this is still the ETag.", type=conditional.HEADER)
ETAG = header("ETag", "The version in quotes.", 200, 201, 304)
_LIST_HEADERS = [
    header("ETag", "Changes with any change of yours; absent when the list depends on the clock.", 200, 304),
    header("Link", 'The next page: `<…>; rel="next"`, relative to the address of this one.', 200),
    header("X-Total-Count", "With `total=true`.", 200, type=int),
]


def answered(resource: Resource, **changes: Any) -> dict[str, Any]:
    """The resource's example as an answer, with these members changed."""
    at = "2026-11-23T09:30:00.123456Z"
    stored = {"id": 42, "uid": "019ac5a2-7d8e-7c31-9a55-3f1f0f6b2c1d", "version": 5}
    row = resource.model(**stored, created_at=at, updated_at=at, **resource.example)
    values = {name: getattr(row, str(field.source)) for name, field in resource.serializer().fields.items()}
    plain = {name: value.value if isinstance(value, Enum) else value for name, value in values.items()}
    return {**plain, "user_id": "7", **changes}


def row_id(resource: Resource) -> OpenApiParameter:
    return OpenApiParameter(f"{resource.name}_id", OpenApiTypes.INT64, OpenApiParameter.PATH)


def described(resource: Resource, examples: dict[str, list[OpenApiExample]]) -> dict[str, Any]:
    one, many, title = resource.name.replace("_", " "), resource.plural.replace("_", " "), resource.title
    serializer: Any = resource.serializer
    describe = partial(extend_schema, parameters=[row_id(resource), IF_MATCH, ETAG])
    sent = OpenApiExample(resource.example_title, value=dict(resource.example), request_only=True)
    answer = OpenApiExample(f"A {one}", value=answered(resource), response_only=True)
    required = " and ".join(f"`{name}`" for name, field in serializer().fields.items() if field.required)
    conflicts = also_answers(
        (
            writes.UidTaken,
            f"You have a {one} with this uid; `current` carries it, unless it was deleted. "
            f"Or `limit_reached`: you have as many {many} as you may.",
        )
    )
    return {
        "list": extend_schema(
            operation_id=f"list{resource.titles}",
            summary=f"List {many}",
            description="A bare JSON array, the newest first. All filters must match; `Link` leads to the next page.",
            parameters=[resource.list_query, *resource.list_query.described, IF_NONE_MATCH, *_LIST_HEADERS],
            responses={200: serializer(many=True), 304: None},
            extensions=also_answers((SearchTooSlow, "The search took more than two seconds; `detail` says what to do."))
            if "search" in resource.list_query._declared_fields
            else {},
            examples=[answer],
        ),
        "create": extend_schema(
            operation_id=f"create{title}",
            summary=f"Create a {one}",
            description=f"Only {required} is needed. Sent again with its `Idempotency-Key`, it creates no second "
            f"{one}.",
            parameters=[
                ETAG,
                header("Location", f"The {one}'s address, relative to this one: `{resource.plural}/42`.", 201),
            ],
            responses={201: serializer},
            extensions=conflicts,
            examples=[sent, answer],
        ),
        "retrieve": extend_schema(
            operation_id=f"get{title}",
            summary=f"Get a {one}",
            description=f"With `If-None-Match`, an unchanged {one} is a 304 without a body.",
            parameters=[row_id(resource), IF_NONE_MATCH, ETAG],
            responses={200: serializer, 304: None},
            examples=[answer],
        ),
        "update": describe(
            operation_id=f"put{title}",
            summary=f"Change a {one}; absent members stay as they are",
            description=f"Read-only members are ignored, so a {one} can be sent back as it came. `If-Match` keeps you "
            "from overwriting what another device has changed.",
            request=serializer(partial=True),
            examples=[sent, answer],
        ),
        "partial_update": describe(
            operation_id=f"update{title}",
            summary=f"Change some members of a {one} (RFC 7396)",
            description="Members that you send are changed, absent ones stay, `null` clears. `If-Match` keeps you from "
            "overwriting what another device has changed.",
            examples=examples.get("partial_update", [sent, answer]),
        ),
        "destroy": extend_schema(
            operation_id=f"delete{title}",
            summary=f"Delete a {one}",
            description="Its address is a 404 from then on. `If-Match` deletes it only as you have seen it.",
            parameters=[row_id(resource), IF_MATCH],
            responses={204: None},
        ),
    }


def describe_tags(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A postprocessing hook of drf-spectacular: each resource has a tag, before those of the settings."""
    tags = [{"name": each.plural, "description": f"A user's {each.plural}."} for each in registered()]
    return {**result, "tags": [*tags, *result["tags"]]}
