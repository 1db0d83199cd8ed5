"""Postprocessing hooks of drf-spectacular, which complete the document: problems, rate limits, order and required."""

from typing import Any

from config.errors import DomainError
from config.http import problems
from config.http.openapi.components import (
    HEADERS,
    PROBLEM,
    PROBLEM_ERROR,
    PROBLEMS,
    RATE_LIMIT_HEADERS,
    RATE_LIMITS,
    SUCCESSES,
    Schema,
    Shared,
)
from config.http.openapi.schema import PROBLEMS_EXTENSION

_NULL_ENUM = "NullEnum"
# drf-spectacular's own order is that of a set.
_METHODS = ["get", "post", "put", "patch", "delete"]


def refuse_unknown_members(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """`additionalProperties: false` for request bodies, as of StrictSerializer; responses may get new members."""
    for name, schema in result["components"]["schemas"].items():
        if name.endswith("Request"):
            schema["additionalProperties"] = False
    return result


def require_answered_members(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """`required` for all members of responses: clients need not check for absence."""
    for name, schema in result["components"]["schemas"].items():
        if "properties" in schema and not name.endswith("Request"):
            schema["required"] = list(schema["properties"])
    return result


def inline_null(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """Nullable enums as `TaskPriority | null`, without a named type for null."""
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
    """The problems that the shape of an operation implies, rate limit headers, and a description of each success."""
    components = result["components"]
    components["schemas"] |= {"Problem": PROBLEM, "ProblemError": PROBLEM_ERROR}
    components["responses"] = {}
    components["headers"] = RATE_LIMIT_HEADERS
    enums = {str(schema["enum"]): name for name, schema in components["schemas"].items() if "enum" in schema}
    for path, operations in result["paths"].items():
        result["paths"][path] = operations = dict(sorted(operations.items(), key=lambda item: _METHODS.index(item[0])))
        resource = _resource(operations) if "{user_id}" in path else None
        for operation in operations.values():
            _tidy(operation, enums, RATE_LIMITS if _is_limited(path) else {})
            described = operation.pop(PROBLEMS_EXTENSION, {})
            for status in sorted({*_implied_statuses(path, operation), *described}):
                operation["responses"][str(status)] = _declare(components, status, resource, described.get(status))
    for kind in ("schemas", "responses"):
        components[kind] = dict(sorted(components[kind].items()))
    return result


def _resource(operations: dict[str, Schema]) -> str | None:
    """The name of the response schema of the operations of one path."""
    for operation in operations.values():
        for response in operation["responses"].values():
            for media in response.get("content", {}).values():
                if reference := media["schema"].get("$ref"):
                    return str(reference.rpartition("/")[2])
    return None


def _tidy(operation: Schema, enums: dict[str, str], rate_limits: Schema) -> None:
    if operation.get("security") == [{}]:
        operation["security"] = []  # code generators take [{}] for a security scheme
    parameters = operation.get("parameters", [])
    parameters.sort(key=_place)  # whatever the order of the decorators
    for parameter in parameters:
        schema = parameter["schema"]
        if name := enums.get(str(schema.get("enum"))):
            parameter["schema"] = {"$ref": f"#/components/schemas/{name}"}
        elif "enum" in schema:
            schema.pop("minLength", None)
    for status, response in operation["responses"].items():
        # Errors have rate limit headers, too, as the description of the whole document says.
        headers = sorted(response.get("headers", {}).items(), key=lambda item: _place({"name": item[0]}))
        if headers or rate_limits:
            response["headers"] = {**dict(headers), **rate_limits}
        if response["description"] in ("", "No response body"):
            response["description"] = SUCCESSES[int(status)]


def _place(parameter: Schema) -> int:
    """The sort key of a parameter: the path's first, those of an Idempotency-Key last."""
    return 2 if parameter["name"].startswith("Idempotency-") else int(parameter.get("in") != "path")


def _is_limited(path: str) -> bool:
    return path.startswith("/api/")


def _implied_statuses(path: str, operation: Schema) -> set[int]:
    headers = {parameter["name"] for parameter in operation.get("parameters", [])}
    implied = {
        400: True,  # also for a Host that is not allowed
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
    # A conflict that the operation describes is with an object of its resource, which the problem carries.
    if resource is not None and (status == 412 or (status == 409 and own is not None)):
        problem, suffix = f"{resource}Problem", resource
        properties = {"current": {"$ref": f"#/components/schemas/{resource}"}}
        components["schemas"][problem] = {
            "allOf": [{"$ref": "#/components/schemas/Problem"}, {"type": "object", "properties": properties}]
        }
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
