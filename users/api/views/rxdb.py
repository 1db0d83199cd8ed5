"""The views of RxDB's replication protocol, of every resource: its documents are named by uid."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar, cast

from django.urls import URLPattern, path
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from config.errors import OperationTooLarge
from config.http.errors import InvalidBody, InvalidParameter
from config.http.fields import BooleanField, ListField, TextField
from config.http.openapi.schema import also_answers
from config.http.serializers import QuerySerializer, StrictSerializer
from config.http.views import GenericAPIView, Response
from users.api import scopes
from users.api.idempotency import idempotent
from users.api.operations import CURSOR_EXPIRED, OPERATION, USER_ID, answered
from users.api.queries import MAX_SYNC_CURSOR, SyncCursorField, VersionField
from users.api.resources import numbered
from users.api.views.stream import CONTENT_TYPE, StreamView
from users.resources.lists import CountField
from users.resources.models import MAX_UID
from users.resources.resource import Resource, registered
from users.sync import changes, rxdb
from users.sync.cursors import Cursor
from users.sync.rxdb import DELETED, MAX_WRITES, Assumed, Write
from users.tokens.callers import Caller
from users.tokens.scopes import need

DEFAULT_LIMIT = 100  # RxDB's
_EVENT = b'id: %b\ndata: "RESYNC"\n\n'


# --- Pull -------------------------------------------------------------------------------------------


class PullQuery(QuerySerializer):
    filters = frozenset({"id"})

    lwt = VersionField(min_value=0, default=0, help_text="Of the last checkpoint; 0 at first.")
    id = SyncCursorField(
        required=False,
        allow_blank=True,
        max_length=MAX_SYNC_CURSOR,
        help_text="Of the last checkpoint; empty at first.",
    )
    limit = CountField(
        min_value=1, max_value=changes.MAX_LIMIT, default=DEFAULT_LIMIT, help_text="The batch size: documents at most."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["lwt"] != (attrs["id"].version if "id" in attrs else 0):
            raise _invalid_checkpoint("lwt", "It belongs to another checkpoint; send lwt and id as you got them.")
        return attrs

    @classmethod
    def of_caller(cls, request: Request, caller: Caller, resource: Resource) -> Mapping[str, Any]:
        """The validated parameters of their request. Raises InvalidParameter, also for what another user got."""
        query = cls.validated(request)
        if "id" in query and (query["id"].user_id != caller.pk or query["id"].type not in ("", resource.name)):
            raise InvalidParameter(_invalid_checkpoint("id", "It belongs to another user or collection.").detail)
        return query


def _invalid_checkpoint(parameter: str, message: str) -> ValidationError:
    return ValidationError({parameter: [ErrorDetail(message, code="invalid_cursor")]})


class CheckpointSerializer(serializers.Serializer):
    lwt = serializers.IntegerField(help_text="A number of the change counter.")
    id = serializers.CharField()
    epoch = serializers.CharField(help_text="Another one after the server was set back to a backup.")


class PullView(GenericAPIView):
    resource: ClassVar[Resource]
    has_standing_in_statements = True

    def get(self, request: Request, user_id: str) -> Response:
        caller = cast(Caller, request.user)
        query = PullQuery.of_caller(request, caller, self.resource)
        documents, cursor = rxdb.pull(caller, self.resource, query["limit"], query.get("id"))
        return Response({"documents": documents, "checkpoint": _checkpoint(cursor)})


def _checkpoint(cursor: Cursor) -> dict[str, Any]:
    # As text, since JavaScript would round the number.
    return {"lwt": cursor.version, "id": cursor.encode(), "epoch": str(cursor.epoch)}


# --- Push -------------------------------------------------------------------------------------------


class DocumentField(serializers.DictField):
    default_error_messages = {"not_a_dict": "Send a JSON object."}


class NewDocumentSerializer(serializers.Serializer):
    """What a document has beside the members of its resource."""

    uid = TextField(max_length=MAX_UID, trim_whitespace=False)
    _deleted = BooleanField(required=False)


class WriteSerializer(StrictSerializer):
    newDocumentState = DocumentField(help_text="The whole document; read-only members are not looked at.")  # noqa: N815
    assumedMasterState = DocumentField(  # noqa: N815
        required=False, allow_null=True, help_text="The document as it was read or pushed last; none of a new one."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        try:
            NewDocumentSerializer().run_validation(attrs["newDocumentState"])
        except ValidationError as error:
            raise ValidationError({"newDocumentState": error.detail}) from error
        return attrs


class PushView(GenericAPIView):
    resource: ClassVar[Resource]
    has_standing_in_statements = True
    rows: ClassVar[ListField] = ListField(child=WriteSerializer(), min_length=1, max_length=MAX_WRITES)

    @idempotent
    def post(self, request: Request, user_id: str) -> Response:
        writes = [self._write(index, row) for index, row in enumerate(self._rows(request.data))]
        kept, operation = rxdb.push(cast(Caller, request.user), self.resource, writes)
        return Response(kept, headers=numbered(operation))

    def _rows(self, sent: Any) -> Any:
        """Raises InvalidBody."""
        try:
            return self.rows.run_validation(sent)
        except ValidationError as error:
            raise InvalidBody(error.detail) from error

    def _write(self, index: int, row: Mapping[str, Any]) -> Write:
        document, assumed = row["newDocumentState"], row.get("assumedMasterState")
        changed = {
            name: value for name, value in document.items() if assumed is None or assumed.get(name, ...) != value
        }
        self._require_known(index, changed)
        return Write(
            document,
            document.get(DELETED) is True,
            self._validated(document),
            self._validated(changed, partial=True),
            None if assumed is None else self._assumed(assumed),
        )

    def _assumed(self, document: Mapping[str, Any]) -> Assumed:
        version = document.get("version")
        return Assumed(
            version if type(version) is int else None,
            document.get(DELETED) is True,
            self._validated(document, partial=True),
        )

    def _require_known(self, index: int, changed: Mapping[str, Any]) -> None:
        """Raises InvalidBody: nothing a user did, and so nothing to be taken back."""
        known = {*self.resource.serializer._declared_fields, DELETED}
        if unknown := [name for name in changed if name not in known]:
            error = ErrorDetail("Unknown member; leave it out of what you send.", code="unknown")
            raise InvalidBody({str(index): {"newDocumentState": {name: [error] for name in unknown}}})

    def _validated(self, document: Mapping[str, Any], *, partial: bool = False) -> Mapping[str, Any] | None:
        """Its content, None if it is invalid.

        Of a reference by id and by uid, the uid counts unless it is null. In a whole document, null says nothing: a
        client knows neither the id of what it has made, nor what a parent hands down.
        """
        known = self.resource.serializer._declared_fields
        sent = {name: value for name, value in document.items() if name in known}
        for member, reference in rxdb.uid_members(self.resource).items():
            pair = {name: sent.pop(name) for name in (reference.attname, member) if name in sent}
            if named := [(name, value) for name, value in pair.items() if value is not None]:
                sent |= named[-1:]
            elif pair and partial:
                sent[reference.attname] = None
        try:
            content: Mapping[str, Any] = self.resource.serializer.validated(sent, partial=partial)
        except ValidationError:
            return None
        return content


# --- Stream -----------------------------------------------------------------------------------------


def _resync(head: Cursor) -> bytes:
    return _EVENT % head.encode().encode()


class PullStreamView(StreamView):
    event: ClassVar[Any] = staticmethod(_resync)


# --- Routes and their OpenAPI -----------------------------------------------------------------------


def urlpatterns() -> list[URLPattern]:
    return [route for resource in registered() for route in routes(resource)]


def routes(resource: Resource) -> list[URLPattern]:
    # 0 is the version of the documents' schema, by RxDB's custom.
    place, name = f"api/<str:user_id>/sync/{resource.plural}/0", f"{resource.name}-rxdb"
    document = _document(resource)
    views: dict[str, tuple[type[Any], Any]] = {
        "pull": (PullView, {"get": _describe_pull(resource, document)}),
        "push": (PushView, {"post": _describe_push(resource, document)}),
        "pullStream": (PullStreamView, {"get": _describe_stream(resource)}),
    }
    return [
        path(f"{place}/{step}", _view(base, resource, described).as_view(), name=f"{name}-{step}")
        for step, (base, described) in views.items()
    ]


def _view(base: type[Any], resource: Resource, described: dict[str, Any]) -> Any:
    # A push answers documents that it does not write, and may delete.
    pushing = need(resource.read_scope, *scopes.writing(scopes.deleted_along(resource)).scopes)
    declared = {"GET": scopes.reading([resource]), "POST": pushing}
    members = {"resource": resource, "required_scopes": declared, "__module__": base.__module__}
    return extend_schema_view(**described)(type(f"{resource.title}{base.__name__}", (base,), members))


def _document(resource: Resource) -> type[serializers.Serializer]:
    declared = deepcopy(resource.serializer._declared_fields)
    members = {name: field for name, field in declared.items() if not field.write_only}
    for member in rxdb.uid_members(resource):
        members[member] = serializers.CharField(allow_null=True, help_text="What the id of the same name refers to.")
    members[DELETED] = serializers.BooleanField()
    return type(f"{resource.title}DocumentSerializer", (serializers.Serializer,), members)


def _example(resource: Resource, **changes: Any) -> dict[str, Any]:
    return {**answered(resource), **dict.fromkeys(rxdb.uid_members(resource)), DELETED: False, **changes}


def _describe_pull(resource: Resource, document: Any) -> Any:
    members = {
        "documents": document(many=True),
        "checkpoint": CheckpointSerializer(help_text="Where the next documents begin."),
    }
    checkpoint = {"lwt": 5, "id": "AAAAAAAAAAcAASjC5Vh3hA…", "epoch": "4611686018427387905"}
    return extend_schema(
        operation_id=f"pull{resource.titles}",
        summary=f"RxDB: read {_many(resource)}",
        description=f"The {_many(resource)} that have changed since a checkpoint, in their order; at first all "
        "that are there. Deleted ones have `_deleted`. Fewer than `limit` are all.",
        tags=["sync"],
        parameters=[USER_ID, PullQuery],
        responses={200: type(f"{resource.titles}PullSerializer", (serializers.Serializer,), members)},
        extensions=CURSOR_EXPIRED,
        examples=[
            OpenApiExample(
                "A document", value={"documents": [_example(resource)], "checkpoint": checkpoint}, response_only=True
            )
        ],
    )


def _describe_push(resource: Resource, document: Any) -> Any:
    new = {
        "type": "object",
        "properties": {"uid": {"type": "string", "minLength": 1, "maxLength": MAX_UID}, DELETED: {"type": "boolean"}},
        "required": ["uid"],
        "description": "The whole document; read-only members are not looked at.",
    }
    assumed = {
        "type": ["object", "null"],
        "description": "The document as it was read or pushed last; none of a new one.",
    }
    row = {
        "type": "object",
        "properties": {"newDocumentState": new, "assumedMasterState": assumed},
        "required": ["newDocumentState"],
        "additionalProperties": False,
    }
    sent = {"newDocumentState": {"uid": "made-offline", **resource.example, DELETED: False}}
    return extend_schema(
        operation_id=f"push{resource.titles}",
        summary=f"RxDB: write {_many(resource)}",
        description="Each document is created, changed, deleted or taken out of the trash, if it is still as you "
        "assume. Of those that are not, or are invalid, the answer has the server's document; of an invalid new one, "
        "yours, as deleted. All that is stored is one operation.",
        tags=["sync"],
        parameters=[USER_ID, OPERATION],
        request={"application/json": {"type": "array", "minItems": 1, "maxItems": MAX_WRITES, "items": row}},
        responses={200: document(many=True)},
        extensions=also_answers(
            (rxdb.ReferenceNotStored, "A document refers by uid to what was never here; send it again later."),
            (OperationTooLarge, "All documents together would change too many objects."),
        ),
        examples=[
            OpenApiExample("A new document", value=[sent], request_only=True),
            OpenApiExample("One that another device has changed", value=_example(resource), response_only=True),
        ],
    )


def _describe_stream(resource: Resource) -> Any:
    return extend_schema(
        operation_id=f"stream{resource.titles}",
        summary="RxDB: be woken when something changes",
        description="As `getStream`, in RxDB's form: each event is `RESYNC`, upon which RxDB pulls. Any change of "
        "yours wakes, so one stream is enough for all collections.",
        tags=["sync"],
        examples=[
            OpenApiExample(
                "A change", value='id: AAAAAAAAAAcA…\ndata: "RESYNC"\n\n', response_only=True, media_type=CONTENT_TYPE
            )
        ],
    )


def _many(resource: Resource) -> str:
    return resource.plural.replace("_", " ")
