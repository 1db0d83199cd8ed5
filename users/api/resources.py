"""The REST API of every resource: its viewset and its routes."""

import re
from collections.abc import Callable
from contextlib import nullcontext
from itertools import chain
from typing import Any, ClassVar, cast

from django.urls import URLPattern, path, register_converter
from django.urls.converters import StringConverter
from django.utils.module_loading import import_string
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request

from config.database import session
from config.http import conditional
from config.http.pagination import next_link
from config.http.views import GenericViewSet, Response
from config.values import MAX_BIGINT, is_storable, nfc
from users.api import operations, scopes
from users.api.idempotency import idempotent
from users.api.queries import PageQuery
from users.api.scopes import Scopes
from users.api.serializers import NothingSerializer
from users.resources import errors, feed, history, trash, writes
from users.resources.models import MAX_UID, ImmutableUid, OwnedModel
from users.resources.resource import Resource, registered
from users.tokens.callers import Caller

Refusal = Callable[[type[OwnedModel]], errors.RowNotFound]

_ID = re.compile(r"[1-9][0-9]{0,18}")
_COLLECTION: Any = {"get": "list", "post": "create"}
_ITEM: Any = {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}


class UidConverter(StringConverter):
    regex = "(?s:.+)"  # any text, also with slashes and line ends


register_converter(UidConverter, "uid")


def numbered(operation: int | None) -> dict[str, str]:
    """The header that names an operation; none if nothing has changed."""
    return {} if operation is None else {"Tickbase-Operation": str(operation)}


def entries_page(request: Request, page: history.Page) -> Response:
    """The answer of a page of the log."""
    entries, following = page
    return Response(entries, headers={"Link": next_link(request, following)} if following else None)


class ResourceViewSet(GenericViewSet):
    """The actions of every resource; a subclass adds its own."""

    resource: ClassVar[Resource]
    key: ClassVar[str] = "id"  # the column by which the address names a row
    examples: ClassVar[dict[str, list[OpenApiExample]]] = {}  # by action, in place of the resource's example

    describe: ClassVar[Any] = staticmethod(operations.by_id)  # its OpenAPI, by action
    taking_along: ClassVar[frozenset[str]] = frozenset({"destroy", "restore"})  # actions that change other rows, too

    has_standing_in_statements = True

    @property
    def required_scopes(self) -> Scopes:
        """Of the action of this request, whichever its method is."""
        takes_along = self.action in self.taking_along
        writing = scopes.writing(scopes.deleted_along(self.resource) if takes_along else [self.resource])
        return {"GET": scopes.reading([self.resource]), **dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), writing)}

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

    def row_id(self, refusal: Refusal = errors.no_such) -> int:
        """Raises RowNotFound for malformed ids, as for those that do not exist."""
        text = self.kwargs[f"{self.resource.name}_id"]
        if not _ID.fullmatch(text) or int(text) > MAX_BIGINT:
            raise refusal(self.resource.model)
        return int(text)

    row_key: ClassVar[Any] = row_id  # a method: the value of `key`; raises RowNotFound, too

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
        width = len(columns)
        rows = [row[:width] for row in found[: query["limit"]]]
        return Response(self.resource.serializer.represent(rows, user.public_id), headers=headers)

    @idempotent
    def create(self, request: Request, **address: str) -> Response:
        row = self.resource.create(self.caller, **self.resource.serializer.validated(request.data))
        response = self.answer(row, status=201)
        response["Location"] = f"{self.resource.plural}/{row.pk}"  # relative, so that it holds behind any proxy path
        return response

    def retrieve(self, request: Request, **address: str) -> Response:
        serializer, tags = self.resource.serializer, conditional.if_none_match(request)
        row = writes.show(self.caller, self.resource.model, self.row_key(), serializer.columns(), self.key)
        (shown,) = serializer.represent([row], self.caller.public_id)
        if unchanged := conditional.not_modified(tags, shown["version"]):
            return unchanged
        return Response(shown, headers={"ETag": conditional.etag(shown["version"])})

    @idempotent
    def update(self, request: Request, **address: str) -> Response:
        return self._changed(request)

    @idempotent
    def partial_update(self, request: Request, **address: str) -> Response:
        return self._changed(request)

    def _changed(self, request: Request) -> Response:
        changes = self.resource.serializer.validated(request.data, partial=True)
        expected = conditional.if_match(request)
        return self.answer(self.resource.update(self.caller, self.row_id(), changes, expected_version=expected))

    @idempotent
    def destroy(self, request: Request, **address: str) -> Response:
        expected, query = conditional.if_match(request), self.resource.delete_query
        options = query.validated(request) if query else {}
        row = self.resource.delete(self.caller, self.row_id(), expected_version=expected, **options)
        return Response(status=204, headers=numbered(row.operation))

    @idempotent
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, **address: str) -> Response:
        NothingSerializer.validated(request.data)
        expected, pk = conditional.if_match(request), self.row_id(errors.not_in_trash)
        return self.answer(self.resource.restore(self.caller, pk, expected_version=expected))

    @action(detail=True)
    def history(self, request: Request, **address: str) -> Response:
        query, pk = PageQuery.validated(request), self.row_id()
        self.caller.require_standing()
        return entries_page(request, history.of_object(self.caller, self.resource.model, pk, query))

    def answer(self, row: OwnedModel, status: int = 200) -> Response:
        headers = {"ETag": conditional.etag(row.version), **numbered(row.operation)}
        return Response(self.resource.serializer.represent_row(row, self.caller.public_id), status, headers=headers)


class ByUid(ResourceViewSet):
    """The same for rows that are named by their uid, before the resource's own viewset."""

    key = "uid"
    describe = staticmethod(operations.by_uid)

    def row_key(self) -> str:
        """In NFC, as it is stored. Bytes that are not UTF-8 come percent-encoded, by Django."""
        uid: str = self.kwargs["uid"]
        if len(uid) > MAX_UID or not is_storable(uid):
            raise errors.no_such(self.resource.model, self.key)
        return nfc(uid)

    def row_id(self, refusal: Refusal = errors.no_such) -> int:
        (pk,) = writes.show(self.caller, self.resource.model, self.row_key(), ("id",), self.key)
        return int(pk)

    @idempotent
    def update(self, request: Request, **address: str) -> Response:
        """Change the row, or create it where nobody expects one to be there."""
        while True:
            try:
                return self._changed(request)
            except errors.RowNotFound:
                if "HTTP_IF_MATCH" in request.META:
                    raise
            try:
                return self._created(request)
            except errors.UidTaken as taken:
                if taken.current is None:
                    raise  # else another request was faster: there is a row to change now

    def _created(self, request: Request) -> Response:
        body: Any = request.data
        row = self.resource.serializer.validated({**body, "uid": self.kwargs["uid"]})
        if nfc(body.get("uid", row["uid"])) != nfc(row["uid"]):
            raise ImmutableUid("This is not the uid of the address; leave it out.", pointer="/uid")
        created = self.resource.create(self.caller, **row)
        response = self.answer(created, status=201)
        response["Location"] = f"../{created.pk}"
        return response


class InTrash(ResourceViewSet):
    """A row in the trash; `restore` is at its own address."""

    describe = staticmethod(operations.in_trash)
    taking_along = frozenset()

    @idempotent
    def destroy(self, request: Request, **address: str) -> Response:
        expected, pk = conditional.if_match(request), self.row_id(errors.not_in_trash)
        return Response(status=204, headers=numbered(trash.erase(self.caller, self.resource.model, pk, expected)))


def routes(resource: Resource) -> list[URLPattern]:
    """The URL patterns of a resource, with those of its extra actions."""
    view, by_uid, in_trash = (viewset(resource, *mixin) for mixin in ([], [ByUid], [InTrash]))
    collection, row_id = f"api/<str:user_id>/{resource.plural}", f"<str:{resource.name}_id>"
    item, trashed = f"{collection}/{row_id}", f"api/<str:user_id>/trash/{resource.name}/{row_id}"
    # The changes of rows first, which are asked for most.
    actions: list[Any] = sorted(view.get_extra_actions(), key=lambda each: each.__name__ not in resource.actions)
    return [
        path(collection, view.as_view(_COLLECTION), name=resource.plural),
        path(item, view.as_view(_ITEM), name=resource.name),
        # Before the actions, whose names are uids, too.
        path(f"{collection}/by-uid/<uid:uid>", by_uid.as_view(_ITEM), name=f"{resource.name}-by-uid"),
        *(
            path(f"{item}/{each.url_path}", view.as_view({**each.mapping}), name=f"{resource.name}-{each.url_path}")
            for each in actions
        ),
        path(trashed, in_trash.as_view({"delete": "destroy"}), name=f"{resource.name}-in-trash"),
    ]


def urlpatterns() -> list[URLPattern]:
    """Django tries one after the other: what is asked for most of each resource comes before the rest of all."""
    own = [import_string(resource.routes) for resource in registered() if resource.routes]
    first, rest = [], []
    for resource in registered():
        made, often = routes(resource), len(("collection", "item", "by uid")) + len(resource.actions)
        first += made[:often]
        rest += made[often:]
    return [*first, *rest, *chain.from_iterable(own)]


def viewset(resource: Resource, *mixin: type[ResourceViewSet]) -> type[ResourceViewSet]:
    """The resource's subclass of its viewset, with OpenAPI descriptions."""
    own: type[ResourceViewSet] = import_string(resource.viewset)
    members = {
        "resource": resource,
        "serializer_class": resource.serializer,
        "lookup_url_kwarg": f"{resource.name}_id",
        "__module__": own.__module__,
    }
    name = "".join(each.__name__ for each in mixin)
    view: type[ResourceViewSet] = type(f"{resource.title}{name}ViewSet", (*mixin, own), members)
    row_id = extend_schema(parameters=[operations.row_id(resource)])
    actions = {each.__name__: row_id for each in view.get_extra_actions()}
    described = view.describe(resource, own.examples)
    documented: type[ResourceViewSet] = extend_schema_view(**{**actions, **described})(view)
    return extend_schema(tags=[resource.plural], parameters=[operations.USER_ID])(documented)
