"""The REST API of every resource: its viewset and its routes."""

import re
from contextlib import nullcontext
from typing import Any, ClassVar, cast

from django.urls import URLPattern, path
from django.utils.module_loading import import_string
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework.request import Request

from config.database import session
from config.http import conditional
from config.http.pagination import next_link
from config.http.views import GenericViewSet, Response
from users.api import operations
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
    row_id = extend_schema(parameters=[operations.row_id(resource)])
    own = {action.__name__: row_id for action in view.get_extra_actions()}
    described: type[ResourceViewSet] = extend_schema_view(**operations.described(resource, base.examples), **own)(view)
    return extend_schema(tags=[resource.plural], parameters=[operations.USER_ID])(described)
