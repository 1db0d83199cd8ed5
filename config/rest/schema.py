"""What drf-spectacular cannot see by itself: problems, and members that only requests may leave out."""

from typing import Any

from drf_spectacular import openapi
from rest_framework import serializers

from config.rest.fields import Clearable
from config.rest.parsers import JSONParser
from config.rest.problems import CONTENT_TYPE

Schema = dict[str, Any]

_EXTENSION = "x-problems"

PROBLEM: Schema = {
    "type": "object",
    "description": "RFC 9457 problem details: the one format of every error.",
    "properties": {
        "type": {"type": "string", "description": "A URI for the kind of problem."},
        "title": {"type": "string", "description": "The kind of problem in a few words."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "One sentence about this very case."},
        "code": {"type": "string", "description": "Stable, for programs.", "examples": ["invalid"]},
        "request_id": {"type": "string", "description": "Quote it when you report the problem."},
        "errors": {
            "type": "array",
            "description": "With 400: what is wrong, each with its place.",
            "items": {"$ref": "#/components/schemas/ProblemError"},
        },
        "current": {
            "type": "object",
            "description": "With 409 and 412: the object as it is stored now.",
            "additionalProperties": True,
        },
    },
    "required": ["type", "title", "status", "detail", "code", "request_id"],
}
PROBLEM_ERROR: Schema = {
    "type": "object",
    "properties": {
        "pointer": {
            "type": "string",
            "description": "RFC 6901 pointer into the body.",
            "examples": ["/title"],
        },
        "parameter": {"type": "string", "description": "A query parameter."},
        "header": {"type": "string", "description": "A request header."},
        "code": {"type": "string", "examples": ["blank"]},
        "detail": {"type": "string"},
    },
    "required": ["code", "detail"],
}
DESCRIPTIONS = {
    400: "Something in the request is invalid; `errors` name it.",
    401: "No valid token; sign in and send `Authorization: Bearer …`.",
    403: "The path names another user, whether or not that user exists.",
    404: "Not yours, or not there.",
    409: "It exists already; `current` carries it.",
    412: "It has changed since; `current` carries it as it is now.",
    413: "The body is larger than 1 MiB.",
    415: "The body must be JSON.",
    503: "The database is away; try again after `Retry-After` seconds.",
}


class AutoSchema(openapi.AutoSchema):
    """drf-spectacular's, for fields that take null in requests but never answer it."""

    def _get_serializer_field_meta(self, field: serializers.Field, direction: str) -> Schema:
        meta: Schema = super()._get_serializer_field_meta(field, direction)
        if direction == "response" and isinstance(field, Clearable):
            meta.pop("nullable", None)
        return meta

    def map_parsers(self) -> list[str]:
        parsers: list[str] = super().map_parsers()
        return parsers if self.method == "PATCH" else [JSONParser.media_type]


def also_answers(*statuses: int) -> Schema:
    """For `extend_schema(extensions=…)`: the problems that the operation's shape does not imply."""
    return {_EXTENSION: statuses}


def declare_problems(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """Postprocessing hook: every operation declares the problems that its shape implies."""
    result["components"]["schemas"] |= {"Problem": PROBLEM, "ProblemError": PROBLEM_ERROR}
    for path, operations in result["paths"].items():
        for operation in operations.values():
            for status in sorted(_implied_statuses(path, operation)):
                operation["responses"].setdefault(str(status), _problem_response(status))
    return result


def _implied_statuses(path: str, operation: Schema) -> set[int]:
    places = {parameter["in"] for parameter in operation.get("parameters", [])}
    headers = {parameter["name"] for parameter in operation.get("parameters", [])}
    statuses: set[int] = {503} if path != "/healthz" else set()
    statuses.update(operation.pop(_EXTENSION, ()))
    if "requestBody" in operation:
        statuses |= {400, 413, 415}
    if places & {"query", "header"}:
        statuses.add(400)
    if "If-Match" in headers:
        statuses.add(412)
    if any(operation.get("security", [])):
        statuses.add(401)
    if "{user_id}" in path:
        statuses.add(403)
    if "{task_id}" in path:
        statuses.add(404)
    return statuses


def _problem_response(status: int) -> Schema:
    response: Schema = {
        "description": DESCRIPTIONS[status],
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status == 401:
        response["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    if status == 503:
        response["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return response


def require_answered_members(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """Postprocessing hook: answers always carry all of their members, so clients need not check for them."""
    for name, schema in result["components"]["schemas"].items():
        if "properties" in schema and not name.endswith("Request") and not name.startswith("Problem"):
            schema["required"] = list(schema["properties"])
    return result
