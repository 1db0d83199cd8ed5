"""The OpenAPI operations of every resource: parameters, headers, examples and descriptions."""

from collections.abc import Mapping
from enum import Enum
from functools import partial
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema

from config.errors import LimitReached, SearchTooSlow
from config.http import conditional
from config.http.openapi.schema import also_answers
from users.api.queries import PageQuery
from users.api.serializers import EntrySerializer
from users.resources import errors
from users.resources.log import CursorExpired
from users.resources.models import MAX_UID
from users.resources.resource import Resource, registered

Examples = Mapping[str, list[OpenApiExample]]  # by action, in place of the resource's own


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
OPERATION = header(
    "Tickbase-Operation",
    "The number of the operation that this request was; absent when nothing has changed.",
    *(200, 201, 204),
    type=OpenApiTypes.INT64,
)
UID = OpenApiParameter(
    "uid",
    {"type": "string", "minLength": 1, "maxLength": MAX_UID},
    OpenApiParameter.PATH,
    description="Percent-encoded, also its slashes.",
)
LINK = header("Link", 'The next page: `<…>; rel="next"`, relative to the address of this one.', 200)
_LIST_HEADERS = [
    header("ETag", "Changes with any change of yours; absent when the list depends on the clock.", 200, 304),
    LINK,
    header("X-Total-Count", "With `total=true`.", 200, type=int),
]
CURSOR_EXPIRED = also_answers((CursorExpired, "What the cursor led to is no longer kept; begin anew without it."))
ENTRY = {
    "version": 5,
    "operation": 5,
    "kind": "updated",
    "type": "task",
    "object_id": 42,
    "at": "2026-11-23T09:30:00.123456Z",
    "actor": "session:019ac5a2-7d8e-7c31-9a55-3f1f0f6b2c1d",
    "diff": {"priority": ["medium", "high"]},
    "undoes": None,
}


def answered(resource: Resource, **changes: Any) -> dict[str, Any]:
    """The resource's example as an answer, with these members changed."""
    at = "2026-11-23T09:30:00.123456Z"
    stored = {"id": 42, "uid": "019ac5a2-7d8e-7c31-9a55-3f1f0f6b2c1d", "version": 5}
    row = resource.model(**stored, created_at=at, updated_at=at, **resource.example)
    values = {
        name: getattr(row, str(field.source))
        for name, field in resource.serializer().fields.items()
        if not field.write_only
    }
    plain = {name: value.value if isinstance(value, Enum) else value for name, value in values.items()}
    return {**plain, "user_id": "7", **changes}


def row_id(resource: Resource) -> OpenApiParameter:
    return OpenApiParameter(f"{resource.name}_id", OpenApiTypes.INT64, OpenApiParameter.PATH)


def of_collection(resource: Resource) -> dict[str, Any]:
    """By action: the list, and what makes a row."""
    one, many, serializer = _one(resource), resource.plural.replace("_", " "), _serializer(resource)
    required = " and ".join(f"`{name}`" for name, field in serializer().fields.items() if field.required)
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
            examples=[_answer(resource)],
        ),
        "create": extend_schema(
            operation_id=f"create{resource.title}",
            summary=f"Create a {one}",
            description=f"Only {required} is needed. Sent again with its `Idempotency-Key`, it creates no second "
            f"{one}.",
            parameters=[
                ETAG,
                OPERATION,
                header("Location", f"The {one}'s address, relative to this one: `{resource.plural}/42`.", 201),
            ],
            responses={201: serializer},
            extensions=_uid_taken(resource),
            examples=[_sent(resource), _answer(resource)],
        ),
    }


def of_row(resource: Resource, examples: Examples, place: OpenApiParameter, suffix: str = "") -> dict[str, Any]:
    """By action, of a row at this place in the path; the suffix is that of the operation ids."""
    one, serializer, title = _one(resource), _serializer(resource), f"{resource.title}{suffix}"
    describe = partial(extend_schema, parameters=[place, IF_MATCH, ETAG, OPERATION])
    sent, answer = _sent(resource), _answer(resource)
    return {
        "retrieve": extend_schema(
            operation_id=f"get{title}",
            summary=f"Get a {one}",
            description=f"With `If-None-Match`, an unchanged {one} is a 304 without a body.",
            parameters=[place, IF_NONE_MATCH, ETAG],
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
            description="Its address is a 404 from then on, and what is within it goes along to the trash. `If-Match` "
            "deletes it only as you have seen it.",
            parameters=[place, *([resource.delete_query] if resource.delete_query else []), IF_MATCH, OPERATION],
            responses={204: None},
        ),
    }


def by_id(resource: Resource, examples: Examples) -> dict[str, Any]:
    """By action: all that a resource has beside its own actions and the addresses by uid."""
    one, many, place = _one(resource), resource.plural.replace("_", " "), row_id(resource)
    return {
        **of_collection(resource),
        **of_row(resource, examples, place),
        "restore": extend_schema(
            operation_id=f"restore{resource.title}",
            summary=f"Take a {one} out of the trash",
            description="It is as it was when you deleted it. What is not in your trash is a 404.",
            parameters=[place, IF_MATCH, ETAG, OPERATION],
            request=None,
            responses={200: _serializer(resource)},
            extensions=also_answers((LimitReached, f"You have as many {many} as you may; delete some first.")),
            examples=[_answer(resource)],
        ),
        "history": extend_schema(
            operation_id=f"list{resource.title}History",
            summary=f"What has happened to a {one}, the newest first",
            description=f"An entry for each change, also of a {one} in the trash. Empty for one that has not changed "
            "since the entries are kept.",
            parameters=[place, PageQuery, LINK],
            responses={200: EntrySerializer(many=True)},
            extensions=CURSOR_EXPIRED,
            examples=[OpenApiExample("A change", value=_entry(resource), response_only=True)],
        ),
    }


def in_trash(resource: Resource, examples: Examples) -> dict[str, Any]:
    return {
        "destroy": extend_schema(
            operation_id=f"erase{resource.title}",
            summary=f"Erase a {_one(resource)} in the trash for good",
            description="Its text is gone at once, also from the history, and nothing brings it back. What is not in "
            "your trash is a 404.",
            parameters=[row_id(resource), IF_MATCH, OPERATION],
            responses={204: None},
        )
    }


def by_uid(resource: Resource, examples: Examples) -> dict[str, Any]:
    one = _one(resource)
    location = f"The {one}'s address by its id, relative to this one: `../42`."
    return {
        **of_row(resource, examples, UID, "ByUid"),
        "update": extend_schema(
            operation_id=f"put{resource.title}ByUid",
            summary=f"Change a {one}, or create it",
            description=f"A {one} that is there is changed, and absent members stay as they are. Else it is created "
            "with this uid, unless you send `If-Match`. So it can be sent again until it is answered.",
            parameters=[UID, IF_MATCH, ETAG, OPERATION, header("Location", location, 201)],
            request=_serializer(resource)(partial=True),
            responses={200: _serializer(resource), 201: _serializer(resource)},
            extensions=_uid_taken(resource),
            examples=[_sent(resource), _answer(resource)],
        ),
    }


def _one(resource: Resource) -> str:
    return resource.name.replace("_", " ")


def _serializer(resource: Resource) -> Any:
    return resource.serializer


def _sent(resource: Resource) -> OpenApiExample:
    return OpenApiExample(resource.example_title, value=dict(resource.example), request_only=True)


def _answer(resource: Resource) -> OpenApiExample:
    return OpenApiExample(f"A {_one(resource)}", value=answered(resource), response_only=True)


def _entry(resource: Resource) -> dict[str, Any]:
    member, value = next(iter(resource.example.items()))
    return {**ENTRY, "type": resource.name, "diff": {member: [value, f"{value} again"]}}


def _uid_taken(resource: Resource) -> dict[str, Any]:
    one, many = _one(resource), resource.plural.replace("_", " ")
    return also_answers(
        (
            errors.UidTaken,
            f"You have a {one} with this uid; `current` carries it, unless it was deleted. "
            f"Or `limit_reached`: you have as many {many} as you may.",
        )
    )


def describe_tags(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A postprocessing hook of drf-spectacular: each resource has a tag, before those of the settings."""
    tags = [{"name": each.plural, "description": f"A user's {each.plural}."} for each in registered()]
    return {**result, "tags": [*tags, *result["tags"]]}
