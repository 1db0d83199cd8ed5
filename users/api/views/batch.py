"""The view of batches: several writes in one request."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import orjson
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from config.errors import DomainError, OperationTooLarge
from config.http.errors import InvalidBody
from config.http.fields import BooleanField, ChoiceField, IntegerField, ListField, TextField
from config.http.openapi.schema import also_answers
from config.http.problems import exception_handler
from config.http.serializers import StrictSerializer
from config.http.views import GenericAPIView, Response
from config.server.bridge import Lane
from config.values import MAX_BIGINT
from users.api import scopes
from users.api.idempotency import idempotent
from users.api.operations import OPERATION, USER_ID
from users.api.queries import MAX_TYPE, TypeField
from users.api.resources import numbered
from users.resources import errors
from users.resources.models import MAX_UID, OwnedModel
from users.resources.resource import Resource, registered
from users.sync import batch
from users.sync.batch import MAX_STEPS, Step
from users.tokens.callers import Caller

_BY_NAME = {resource.name: resource for resource in registered()}
_ACTIONS = dict.fromkeys(name for resource in registered() for name in resource.actions)
_OPS = ["create", "update", "delete", "restore", *_ACTIONS]


class StepSerializer(StrictSerializer):
    op = ChoiceField(choices=_OPS)
    type = TypeField(max_length=MAX_TYPE)
    id = IntegerField(min_value=1, max_value=MAX_BIGINT, required=False, help_text="Of the object; not of a new one.")
    uid = TextField(
        max_length=MAX_UID, trim_whitespace=False, required=False, help_text="In place of id, also of an earlier step."
    )
    if_version = IntegerField(
        min_value=1, max_value=MAX_BIGINT, required=False, help_text="As If-Match: change only this version."
    )
    body = serializers.DictField(required=False, help_text="As the body of the single request.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        resource, op = _BY_NAME[attrs["type"]], attrs["op"]
        named: list[str] = [name for name in ("id", "uid") if name in attrs]
        if op in _ACTIONS and op not in resource.actions:
            raise _invalid("op", f"A {attrs['type']} cannot {op}.")
        if op == "create" and (named or "if_version" in attrs):
            raise _invalid((named or ["if_version"])[0], "A new object has none yet; its uid belongs into the body.")
        if op != "create" and len(named) != 1:
            raise _invalid("id", "Send the id or the uid of the object, one of them.")
        return attrs


class BatchSerializer(StrictSerializer):
    atomic = BooleanField(default=True, help_text="All or nothing; otherwise each step by itself.")
    operations = ListField(child=StepSerializer(), min_length=1, max_length=MAX_STEPS)


# Not by a serializer, whose members would all be required.
_RESULT = {
    "type": "object",
    "properties": {"status": {"type": "integer"}, "object": {"type": "object"}, "problem": {"type": "object"}},
    "required": ["status"],
}


@extend_schema_field({"type": "array", "items": _RESULT})
class ResultsField(serializers.ListField):
    pass


class BatchDoneSerializer(serializers.Serializer):
    results = ResultsField(help_text="Of each step: its status, and its object or its problem.")
    operation = serializers.IntegerField(allow_null=True, help_text="null if nothing has changed.")
    cursor = serializers.CharField(help_text="The position in `changes` after this; others may have written before.")


def _invalid(member: str, message: str) -> InvalidBody:
    return InvalidBody({member: [ErrorDetail(message, code="invalid")]})


def _step(sent: Mapping[str, Any]) -> Step:
    """Raises ValidationError, of the body's members."""
    resource: Resource = _BY_NAME[sent["type"]]
    body, op, options = sent.get("body", {}), sent["op"], {}
    service: Any
    content: Mapping[str, Any] | None = None
    if op == "create":
        service, content = resource.create, resource.serializer.validated(body)
    elif op == "update":
        service, content = resource.update, resource.serializer.validated(body, partial=True)
    elif op in resource.actions:
        serializer, service = resource.actions[op]
        content = serializer.validated(body)
    else:
        service = resource.delete if op == "delete" else resource.restore
        options = _options(resource if op == "delete" else None, body)
    expected = frozenset({sent["if_version"]}) if "if_version" in sent else None
    return Step(resource, service, content, options, sent.get("id"), sent.get("uid"), op == "restore", expected)


def _options(resource: Resource | None, body: Mapping[str, Any]) -> Any:
    """Those of DELETE, which are parameters there."""
    query = resource.delete_query if resource else None
    known = query._declared_fields if query else {}
    if unknown := [name for name in body if name not in known]:
        message = f"Unknown member; known are {', '.join(known) or 'none'}."
        raise InvalidBody({name: [ErrorDetail(message, code="unknown")] for name in unknown})
    return query._validating().run_validation(body) if query else {}


_EXAMPLE = {
    "operations": [
        {"op": "create", "type": "project", "body": {"uid": "trip", "name": "Trip"}},
        {"op": "create", "type": "task", "body": {"title": "Book the train", "project_uid": "trip"}},
        {"op": "complete", "type": "task", "id": 41, "if_version": 3, "body": {"completed": True}},
    ]
}


class BatchView(GenericAPIView):
    serializer_class = BatchSerializer
    lanes = {"POST": Lane.HEAVY}  # a hundred writes; those of one user wait for each other anyway
    has_standing_in_statements = True
    required_scopes = {"POST": scopes.writing_any()}

    def get_serializer(self, row: Any = None, **options: Any) -> Any:
        """Of the `current` object of a refusal."""
        if not isinstance(row, OwnedModel):
            return super().get_serializer(**options)
        return _BY_NAME[row.type_name()].serializer(row, context={"request": self.request})

    @idempotent
    @extend_schema(
        operation_id="batch",
        summary="Several writes at once",
        description="Up to 100, in their order: each sees what those before have written, and may name by uid what "
        "they have created. All or nothing: the first that is refused answers with its own status and its place, "
        "`/operations/3`, and nothing is stored. With `atomic: false` each stands by itself, and has a `status` and "
        "an `object` or a `problem`. All that is stored is one operation, which `undo` takes back. To create again "
        "what is there already, with the same content, answers that object: so a batch can be sent again.",
        tags=["sync"],
        parameters=[USER_ID, OPERATION],
        responses={200: BatchDoneSerializer},
        extensions=also_answers(
            (errors.RowNotFound, "A step is about what is not there; `code` says of which type."),
            (errors.StaleVersion, "A step's `if_version` is not the current one; `current` carries the object."),
            (OperationTooLarge, "All steps together would change too many objects, or take too long."),
        ),
        examples=[
            OpenApiExample("A project with a task, and one that is done", value=_EXAMPLE, request_only=True),
        ],
    )
    def post(self, request: Request, user_id: str) -> Response:
        caller, sent = cast(Caller, request.user), BatchSerializer.validated(request.data)
        scopes.require(request, scopes.writing(_concerned(sent["operations"])))
        steps, refused = _steps(sent["operations"])
        if refused and sent["atomic"]:
            places: Any = {str(index): {"body": error.detail} for index, error in refused.items()}
            raise InvalidBody({"operations": places})
        try:
            done, operation, cursor = batch.run(caller, [*steps.values()], is_atomic=sent["atomic"])
        except batch.StepFailed as failed:
            raise _placed(failed) from failed
        outcomes = dict(zip(steps, done, strict=True)) | refused
        results = [self._result(request, sent["operations"][index], outcomes[index]) for index in sorted(outcomes)]
        body = {"results": results, "operation": operation, "cursor": cursor.encode()}
        return Response(body, headers=numbered(operation))

    def _result(self, request: Request, sent: Mapping[str, Any], outcome: Any) -> dict[str, Any]:
        if isinstance(outcome, Exception):
            response = exception_handler(outcome, {"request": request, "view": self})
            assert response is not None
            return {"status": response.status_code, "problem": orjson.loads(response.content)}
        if sent["op"] == "delete":
            return {"status": 204}
        is_new = sent["op"] == "create" and outcome.operation is not None
        shown = _BY_NAME[sent["type"]].serializer.represent_row(outcome, cast(Caller, request.user).public_id)
        return {"status": 201 if is_new else 200, "object": shown}


def _concerned(sent: list[Mapping[str, Any]]) -> Iterator[Resource]:
    """The resources whose rows the operations change."""
    for type_, op in {(each["type"], each["op"]) for each in sent}:
        resource = _BY_NAME[type_]
        yield from scopes.deleted_along(resource) if op in ("delete", "restore") else [resource]


def _steps(sent: list[Mapping[str, Any]]) -> tuple[dict[int, Step], dict[int, ValidationError]]:
    """By index, the steps, and the errors of those whose bodies are invalid."""
    steps: dict[int, Step] = {}
    refused: dict[int, ValidationError] = {}
    for index, each in enumerate(sent):
        try:
            steps[index] = _step(each)
        except ValidationError as error:
            refused[index] = error
    return steps, refused


def _placed(failed: batch.StepFailed) -> DomainError:
    """The refusal of a step, which names its place in the batch."""
    error = failed.__cause__
    assert isinstance(error, DomainError)
    place = f"/operations/{failed.index}"
    error.pointer = f"{place}/body{error.pointer}" if error.pointer else place
    return error
