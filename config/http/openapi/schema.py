"""What drf-spectacular cannot see by itself: problems, and members that only requests may leave out."""

import threading
from collections.abc import Mapping
from copy import copy
from typing import Any, ClassVar, NamedTuple

from drf_spectacular import openapi
from drf_spectacular.drainage import get_override
from drf_spectacular.generators import SchemaGenerator
from rest_framework import exceptions, serializers

from config.errors import BodyTooSlow, DomainError, KeyInFlight, KeyReused, PreconditionFailed
from config.http import problems
from config.http.fields import Clearable, EmptyIsNull
from config.http.parsers import JSONParser

Schema = dict[str, Any]

_EXTENSION = "x-problems"
_NULL_ENUM = "NullEnum"

PROBLEM: Schema = {
    "type": "object",
    "description": "RFC 9457 problem details: the one format of every error.",
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "A URI for the kind of problem."},
        "title": {"type": "string", "description": "The kind of problem in a few words."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "One sentence about this very case."},
        "code": {"type": "string", "description": "Stable, for programs.", "examples": ["invalid"]},
        "request_id": {"type": "string", "description": "Quote it when you report the problem."},
        "errors": {
            "type": "array",
            "description": "What is wrong, each with its place.",
            "items": {"$ref": "#/components/schemas/ProblemError"},
        },
        "limit": {"type": "integer", "description": "With `limit_reached`: how many there may be."},
    },
    "required": ["type", "title", "status", "detail", "code", "request_id"],
}
PROBLEM_ERROR: Schema = {
    "type": "object",
    "description": "One thing that is wrong: in the body, in a query parameter or in a header.",
    "properties": {
        "pointer": {"type": "string", "description": "RFC 6901 pointer into the body.", "examples": ["/title"]},
        "parameter": {"type": "string", "description": "A query parameter."},
        "header": {"type": "string", "description": "A request header."},
        "code": {"type": "string", "description": "Stable, for programs.", "examples": ["blank"]},
        "detail": {"type": "string", "description": "One sentence for people."},
    },
    "required": ["code", "detail"],
}


class Shared(NamedTuple):
    """A problem that many operations answer alike."""

    name: str
    kind: problems.Kind
    description: str
    detail: str | None = None  # of the example; without one, its code is the resource's own
    members: Mapping[str, Any] = {}  # of the example


_SHARED = (
    Shared(
        "Invalid",
        problems.INVALID,
        "Something in the request is invalid; `errors` name it.",
        "/title: This field may not be blank.",
        {"errors": [{"pointer": "/title", "code": "blank", "detail": "This field may not be blank."}]},
    ),
    Shared(
        "Unauthenticated",
        problems.KINDS[exceptions.NotAuthenticated],
        "No valid token; sign in and send `Authorization: Bearer …`.",
        problems.DETAILS[exceptions.NotAuthenticated],
    ),
    Shared(
        "Forbidden",
        problems.FORBIDDEN,
        "The path names another user, whether or not that user exists; or `email_unverified`, where that is required.",
        "This address belongs to another user; use your own id or 'me'.",
    ),
    Shared("NotFound", problems.NOT_FOUND, "Not yours, or not there."),
    Shared(
        "Stale",
        problems.Kind.of(PreconditionFailed),
        "It has changed since; `current` carries it as it is now.",
        "The task is at version 6 now; merge your change into `current` and try again.",
    ),
    Shared(
        "InFlight",
        problems.Kind.of(KeyInFlight),
        "A request with this `Idempotency-Key` is still being answered; or `limit_reached`: too many answers are kept.",
        "A request with this Idempotency-Key is being answered; wait for it or try again.",
    ),
    Shared(
        "KeyReused",
        problems.Kind.of(KeyReused),
        "This `Idempotency-Key` came with another body before.",
        "This Idempotency-Key came with another body before; choose a new key.",
    ),
    Shared(
        "TooSlow",
        problems.Kind.of(BodyTooSlow),
        "The body did not arrive within 30 seconds.",
        "The body did not arrive within 30 seconds; send it again.",
    ),
    Shared(
        "TooLarge",
        problems.TOO_LARGE,
        "The body is larger than 1 MiB.",
        "The body is larger than 1 MiB; send less at a time.",
    ),
    Shared(
        "NotJSON",
        problems.KINDS[exceptions.UnsupportedMediaType],
        "The body must be JSON.",
        problems.DETAILS[exceptions.UnsupportedMediaType],
    ),
    Shared(
        "Throttled",
        problems.THROTTLED,
        "Too many requests; try again after `Retry-After` seconds.",
        "Too many requests; try again in 42 seconds.",
    ),
    Shared(
        "Unavailable",
        problems.OUTAGE,
        "The database is away, or the service is overloaded; try again after `Retry-After` seconds.",
        "The database cannot answer now; try again in a moment.",
    ),
)
PROBLEMS = {shared.kind.status: shared for shared in _SHARED}
SUCCESSES = {
    200: "Success.",
    201: "Created.",
    202: "Accepted; the answer is empty.",
    204: "Done; the answer is empty.",
    304: "Unchanged since that ETag; use what you have.",
}
RATE_LIMIT_HEADERS: Schema = {
    "RateLimit-Policy": {
        "schema": {"type": "string"},
        "description": "The limits that this request counts towards: `q` requests in `w` seconds.",
        "example": '"user";q=3000;w=60',
    },
    "RateLimit": {
        "schema": {"type": "string"},
        "description": "What is left of each: `r` requests in the next `t` seconds.",
        "example": '"user";r=2999;t=60',
    },
}
_SECONDS: Schema = {"schema": {"type": "integer"}, "description": "Seconds."}
_RATE_LIMITS: Schema = {name: {"$ref": f"#/components/headers/{name}"} for name in RATE_LIMIT_HEADERS}
HEADERS: dict[int, Schema] = {
    401: {
        "WWW-Authenticate": {
            "schema": {"type": "string"},
            "description": 'Bearer; with `error="invalid_token"` where the token that came is not valid.',
        }
    },
    429: {"Retry-After": _SECONDS, **_RATE_LIMITS},
    503: {"Retry-After": _SECONDS},
}
# The order in which people think of them; drf-spectacular's own is that of a set.
_METHODS = ["get", "post", "put", "patch", "delete"]


class Generator(SchemaGenerator):
    """Makes the document once: it takes long, and two first requests at a time fail over what is loaded lazily."""

    _lock = threading.Lock()
    _documents: ClassVar[dict[bool, Schema]] = {}

    def get_schema(self, request: Any = None, public: bool = False) -> Schema:
        with self._lock:
            if public not in self._documents:
                self._documents[public] = super().get_schema(request, public)
            return self._documents[public]


class AutoSchema(openapi.AutoSchema):
    """drf-spectacular's, with the types that clients meet."""

    def _get_serializer_field_meta(self, field: serializers.Field, direction: str) -> Schema:
        """What a field says of itself stands, against what would follow from its not being blank."""
        meta: Schema = super()._get_serializer_field_meta(field, direction)
        if isinstance(own := get_override(field, "field"), dict):
            return {name: value for name, value in meta.items() if name not in own}
        return meta

    def _map_serializer_field(
        self, field: serializers.Field, direction: str, bypass_extensions: bool = False
    ) -> Schema | None:
        if direction == "response" and isinstance(field, Clearable):
            field = copy(field)
            field.allow_null = False
        schema: Schema | None = super()._map_serializer_field(field, direction, bypass_extensions)
        if schema is None:
            return None
        if len(schema.get("enum", ())) == 1:  # a word that never varies needs no named type
            (schema["const"],) = schema.pop("enum")
        if schema.get("type") == "integer" and getattr(field, "max_value", None) is None:
            schema["format"] = "int64"
        if direction == "request" and isinstance(field, EmptyIsNull):
            description = schema.pop("description", "")
            return {"anyOf": [schema, {"type": "string", "const": ""}], "description": description}
        return schema

    def _get_serializer_name(
        self, serializer: serializers.BaseSerializer, direction: str, bypass_extensions: bool = False
    ) -> str:
        """A shape without required members is the same in a PATCH as elsewhere."""
        name: str = super()._get_serializer_name(serializer, direction, bypass_extensions)
        fields = getattr(serializer, "fields", {})
        return name if any(field.required for field in fields.values()) else name.removeprefix("Patched")

    def _get_request_body(self, direction: str = "request") -> Schema | None:
        """drf-spectacular knows no body of a DELETE; a view that takes one names its serializer."""
        if self.method != "DELETE" or not hasattr(self.view, "delete_serializer_class"):
            declared: Schema | None = super()._get_request_body(direction)
            return declared
        self.method = "POST"
        try:
            body: Schema = super()._get_request_body(direction)
        finally:
            self.method = "DELETE"
        body.pop("required", None)
        return body

    def map_parsers(self) -> list[str]:
        """PATCH takes merge patches by their own name too, which would give clients the same type twice."""
        return [JSONParser.media_type]


def also_answers(*refusals: tuple[type[DomainError], str]) -> Schema:
    """For `extend_schema(extensions=…)`: errors that the shape of the operation does not tell, and when they come."""
    return {_EXTENSION: {error.status: (error, description) for error, description in refusals}}


# --- Postprocessing hooks ---------------------------------------------------------------------------


def refuse_unknown_members(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """Bodies are parsed by a StrictSerializer; those of answers may grow."""
    for name, schema in result["components"]["schemas"].items():
        if name.endswith("Request"):
            schema["additionalProperties"] = False
    return result


def require_answered_members(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """Answers always carry all of their members, so clients need not check for them."""
    for name, schema in result["components"]["schemas"].items():
        if "properties" in schema and not name.endswith("Request"):
            schema["required"] = list(schema["properties"])
    return result


def inline_null(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """A nullable enum is `TaskPriority | null`, without a named type for null."""
    schemas = result["components"]["schemas"]
    if schemas.pop(_NULL_ENUM, None) is None:
        return result
    members = [member for schema in schemas.values() for member in schema.get("properties", {}).values()]
    for option in (option for member in members for option in member.get("oneOf", [])):
        if option == {"$ref": f"#/components/schemas/{_NULL_ENUM}"}:
            option.clear()
            option["type"] = "null"
    return result


def declare_answers(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """Every operation declares the problems that its shape implies, and every success says a word."""
    components = result["components"]
    components["schemas"] |= {"Problem": PROBLEM, "ProblemError": PROBLEM_ERROR}
    components["responses"] = {}
    components["headers"] = RATE_LIMIT_HEADERS
    enums = {str(schema["enum"]): name for name, schema in components["schemas"].items() if "enum" in schema}
    for path, operations in result["paths"].items():
        result["paths"][path] = operations = dict(sorted(operations.items(), key=_method_order))
        resource = _resource(operations) if "{user_id}" in path else None
        for operation in operations.values():
            _tidy(operation, enums)
            if _is_limited(path):
                _declare_rate_limits(operation)
            described = operation.pop(_EXTENSION, {})
            for status in sorted({*_implied_statuses(path, operation), *described}):
                operation["responses"][str(status)] = _declare(components, status, resource, described.get(status))
    for kind in ("schemas", "responses"):
        components[kind] = dict(sorted(components[kind].items()))
    return result


def _method_order(operation: tuple[str, Schema]) -> int:
    return _METHODS.index(operation[0])


def _resource(operations: dict[str, Schema]) -> str | None:
    """The name of the schema that the operations of one path answer."""
    for operation in operations.values():
        for response in operation["responses"].values():
            for media in response.get("content", {}).values():
                if reference := media["schema"].get("$ref"):
                    return str(reference.rpartition("/")[2])
    return None


def _tidy(operation: Schema, enums: dict[str, str]) -> None:
    if operation.get("security") == [{}]:
        operation["security"] = []  # for code generators, [{}] is a kind of sign-in
    for parameter in operation.get("parameters", []):
        schema = parameter["schema"]
        if name := enums.get(str(schema.get("enum"))):
            parameter["schema"] = {"$ref": f"#/components/schemas/{name}"}
        elif "enum" in schema:
            schema.pop("minLength", None)
    for status, response in operation["responses"].items():
        if response["description"] in ("", "No response body"):
            response["description"] = SUCCESSES[int(status)]


def _is_limited(path: str) -> bool:
    return path.startswith("/api/")


def _declare_rate_limits(operation: Schema) -> None:
    """On successes; that errors carry the headers too, the description of the whole document says once."""
    for response in operation["responses"].values():
        response["headers"] = {**response.get("headers", {}), **_RATE_LIMITS}


def _implied_statuses(path: str, operation: Schema) -> set[int]:
    headers = {parameter["name"] for parameter in operation.get("parameters", [])}
    implied = {
        400: True,  # also for a host that is not served
        401: bool(operation.get("security")),
        403: "{user_id}" in path,
        404: "_id}" in path.replace("{user_id}", ""),
        409: "Idempotency-Key" in headers,
        412: "If-Match" in headers,
        408: "requestBody" in operation,
        413: "requestBody" in operation,
        415: "requestBody" in operation,
        422: "Idempotency-Key" in headers,
        429: _is_limited(path),
        503: path != "/healthz",
    }
    return {status for status, is_implied in implied.items() if is_implied}


def _declare(
    components: Schema, status: int, resource: str | None, own: tuple[type[DomainError], str] | None
) -> Schema:
    """The response of one status: shared, unless the operation describes it in its own words."""
    problem, suffix = "Problem", ""
    # A conflict that the operation describes is with its own kind of object.
    if resource is not None and (status == 412 or (status == 409 and own is not None)):
        problem, suffix = f"{resource}Problem", resource
        components["schemas"][problem] = _problem_with(resource)
    media: Schema = {"schema": {"$ref": f"#/components/schemas/{problem}"}}
    if own is not None:
        error, description = own
        kind = problems.Kind.of(error)
        media["example"] = _example(Shared(error.__name__, kind, description, description.replace("`", "")))
        return _response(status, description, media)
    shared = PROBLEMS[status]
    if shared.detail is not None:
        media["example"] = _example(shared)
    components["responses"][shared.name + suffix] = _response(status, shared.description, media)
    return {"$ref": f"#/components/responses/{shared.name}{suffix}"}


def _response(status: int, description: str, media: Schema) -> Schema:
    response: Schema = {"description": description, "content": {problems.CONTENT_TYPE: media}}
    return {**response, "headers": HEADERS[status]} if status in HEADERS else response


def _problem_with(resource: str) -> Schema:
    """A problem that carries the object which stands in the way, as it is stored now."""
    current = {"$ref": f"#/components/schemas/{resource}"}
    return {"allOf": [{"$ref": "#/components/schemas/Problem"}, {"type": "object", "properties": {"current": current}}]}


def _example(shared: Shared) -> Schema:
    return {
        "type": f"urn:tickbase:problem:{shared.kind.code}",
        "title": shared.kind.title,
        "status": shared.kind.status,
        "detail": shared.detail,
        "code": shared.kind.code,
        "request_id": "019ac5a2-7d8e-7c31-9a55-3f1f0f6b2c1d",
        **shared.members,
    }
