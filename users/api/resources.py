"""The REST API of every resource: its routes, its viewset, and their OpenAPI operations."""

import re
from contextlib import nullcontext
from enum import Enum
from functools import partial
from typing import Any, ClassVar, cast

from django.urls import URLPattern, path
from django.utils.module_loading import import_string
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from config.database import session
from config.errors import SearchTooSlow
from config.http import conditional
from config.http.openapi.schema import also_answers
from config.http.pagination import next_link
from config.http.views import GenericViewSet, Response
from users.api.idempotency import idempotent
from users.resources import feed, writes
from users.resources.models import OwnedModel
from users.resources.resource import Resource, registered
from users.tokens.callers import Caller

_MAX_ID = 2**63 - 1  # a bigint
_ID = re.compile(r"[1-9][0-9]{0,18}")
_COLLECTION: Any = {"get": "list", "post": "create"}
_ITEM: Any = {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}


class ResourceViewSet(GenericViewSet):
    """The six actions of every resource; a subclass adds its own."""

    resource: ClassVar[Resource]
    examples: ClassVar[dict[str, list[OpenApiExample]]] = {}  # by action, in place of the resource's example

    has_standing_in_statements = True

    @property
    def caller(self) -> Caller:
        """Who asks; permissions exclude anonymous ones."""
        return cast(Caller, self.request.user)

    @property
    def default_response_headers(self) -> dict[str, str]:
        """`Allow` only for 405 and OPTIONS; DRF computes it for every response."""
        method = str(self.request.method).lower()
        is_needed = method == "options" or not hasattr(self, method)
        return super().default_response_headers if is_needed else {}

    def row_id(self) -> int:
        """Raises RowNotFound for malformed ids, as for those that do not exist."""
        text = self.kwargs[f"{self.resource.name}_id"]
        if not _ID.fullmatch(text) or int(text) > _MAX_ID:
            raise writes.no_such(self.resource.model)
        return int(text)

    def list(self, request: Request, **address: str) -> Response:
        user, lists, columns = self.caller, self.resource.list_query, self.resource.serializer.columns()
        query, tags = lists.validated(request), conditional.if_none_match(request)
        clock = lists.clock(user, query)
        # A list that depends on the clock has no ETag, which is the change counter.
        if tags and not clock and (unchanged := conditional.not_modified(tags, feed.current_version(user))):
            return unchanged
        with session.search_timeout() if "search" in query else nullcontext():
            version, found = lists.page(user, query, columns, **clock)
            total = lists.count(user, query, **clock) if query.get("total") else None
        headers = {} if clock else {"ETag": conditional.etag(version)}
        if cursor := lists.next_page(found, query, columns):
            headers["Link"] = next_link(request, cursor)
        if total is not None:
            headers["X-Total-Count"] = str(total)
        rows = [row[: len(columns)] for row in found[: query["limit"]]]
        return Response(self.resource.serializer.represent(rows, user.public_id), headers=headers)

    @idempotent
    def create(self, request: Request, **address: str) -> Response:
        row = self.resource.create(self.caller, **self.resource.serializer.validated(request.data))
        response = self.answer(row, status=201)
        response["Location"] = f"{self.resource.plural}/{row.pk}"  # relative, so that it holds behind any proxy path
        return response

    def retrieve(self, request: Request, **address: str) -> Response:
        serializer, tags = self.resource.serializer, conditional.if_none_match(request)
        row = writes.show(self.caller, self.resource.model, self.row_id(), serializer.columns())
        (shown,) = serializer.represent([row], self.caller.public_id)
        if unchanged := conditional.not_modified(tags, shown["version"]):
            return unchanged
        return Response(shown, headers={"ETag": conditional.etag(shown["version"])})

    def update(self, request: Request, **address: str) -> Response:
        return self._changed(request)

    @idempotent
    def partial_update(self, request: Request, **address: str) -> Response:
        return self._changed(request)

    def _changed(self, request: Request) -> Response:
        changes = self.resource.serializer.validated(request.data, partial=True)
        expected = conditional.if_match(request)
        return self.answer(self.resource.update(self.caller, self.row_id(), changes, expected_version=expected))

    def destroy(self, request: Request, **address: str) -> Response:
        expected = conditional.if_match(request)
        self.resource.delete(self.caller, self.row_id(), expected_version=expected)
        return Response(status=204)

    def answer(self, row: OwnedModel, status: int = 200) -> Response:
        headers = {"ETag": conditional.etag(row.version)}
        return Response(self.resource.serializer.represent_row(row, self.caller.public_id), status, headers=headers)


def routes(resource: Resource) -> list[URLPattern]:
    """The URL patterns of a resource, with those of its extra actions."""
    view = viewset(resource)
    collection = f"api/<str:user_id>/{resource.plural}"
    item = f"{collection}/<str:{resource.name}_id>"
    actions: list[Any] = view.get_extra_actions()
    return [
        path(collection, view.as_view(_COLLECTION), name=resource.plural),
        path(item, view.as_view(_ITEM), name=resource.name),
        *(
            path(f"{item}/{each.url_path}", view.as_view({**each.mapping}), name=f"{resource.name}-{each.url_path}")
            for each in actions
        ),
    ]


def urlpatterns() -> list[URLPattern]:
    return [route for resource in registered() for route in routes(resource)]


def viewset(resource: Resource) -> type[ResourceViewSet]:
    """The resource's subclass of its viewset, with OpenAPI descriptions."""
    base: type[ResourceViewSet] = import_string(resource.viewset)
    members = {
        "resource": resource,
        "serializer_class": resource.serializer,
        "lookup_url_kwarg": f"{resource.name}_id",
        "__module__": base.__module__,
    }
    view: type[ResourceViewSet] = type(f"{resource.title}ViewSet", (base,), members)
    own = {action.__name__: extend_schema(parameters=[_row_id(resource)]) for action in view.get_extra_actions()}
    operations = _operations(resource, base.examples)
    described: type[ResourceViewSet] = extend_schema_view(**operations, **own)(view)
    return extend_schema(tags=[resource.plural], parameters=[USER_ID])(described)


# --- OpenAPI ----------------------------------------------------------------------------------------


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


def _row_id(resource: Resource) -> OpenApiParameter:
    return OpenApiParameter(f"{resource.name}_id", OpenApiTypes.INT64, OpenApiParameter.PATH)


def _operations(resource: Resource, examples: dict[str, list[OpenApiExample]]) -> dict[str, Any]:
    one, many, title = resource.name.replace("_", " "), resource.plural.replace("_", " "), resource.title
    serializer: Any = resource.serializer
    describe = partial(extend_schema, parameters=[_row_id(resource), IF_MATCH, ETAG])
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
            parameters=[_row_id(resource), IF_NONE_MATCH, ETAG],
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
            parameters=[_row_id(resource), IF_MATCH],
            responses={204: None},
        ),
    }


def describe_tags(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A postprocessing hook of drf-spectacular: each resource has a tag, before those of the settings."""
    tags = [{"name": each.plural, "description": f"A user's {each.plural}."} for each in registered()]
    return {**result, "tags": [*tags, *result["tags"]]}
