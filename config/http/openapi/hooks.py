"""Postprocessing hooks of drf-spectacular, which complete the document: problems, rate limits, order and required."""

import re
from typing import Any

from config.http import problems
from config.http.limits.throttling import LIMITED
from config.http.openapi import components
from config.http.openapi.components import Answer, Schema
from config.http.openapi.schema import PROBLEMS_EXTENSION

_NULL_ENUM = "NullEnum"
# drf-spectacular's own order is that of a set.
_METHODS = ["get", "post", "put", "patch", "delete"]


def close_objects(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """Requests take no unknown members, as StrictSerializer; responses have all of theirs, and may get new ones."""
    for name, schema in result["components"]["schemas"].items():
        if name.endswith("Request"):
            schema["additionalProperties"] = False
        elif "properties" in schema:
            schema["required"] = list(schema["properties"])
    return result


def inline_null(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """Nullable enums as `TaskPriority | null`, without a named type for null."""
    schemas = result["components"]["schemas"]
    schemas.pop(_NULL_ENUM, None)
    members = [member for schema in schemas.values() for member in schema.get("properties", {}).values()]
    for option in (option for member in members for option in member.get("oneOf", [])):
        if option == {"$ref": f"#/components/schemas/{_NULL_ENUM}"}:
            option.clear()
            option["type"] = "null"
    return result


def declare_answers(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """The problems that the shape of an operation implies, rate limit headers, and a description of each success."""
    declared = result["components"]
    declared["schemas"] |= {
        "Problem": components.PROBLEM,
        "ProblemChange": components.PROBLEM_CHANGE,
        "ProblemError": components.PROBLEM_ERROR,
    }
    declared["responses"] = {}
    declared["headers"] = components.RATE_LIMIT_HEADERS
    enums = {str(schema["enum"]): name for name, schema in declared["schemas"].items() if "enum" in schema}
    for path, operations in result["paths"].items():
        result["paths"][path] = operations = dict(sorted(operations.items(), key=lambda item: _METHODS.index(item[0])))
        resource = _resource(operations, declared["schemas"]) if "{user_id}" in path else None
        for operation in operations.values():
            _tidy(operation, enums, components.RATE_LIMITS if path.startswith(LIMITED) else {})
            described = operation.pop(PROBLEMS_EXTENSION, {})
            for status in sorted({*_implied_statuses(path, operation), *described}):
                operation["responses"][str(status)] = _declare(declared, status, resource, described.get(status))
    for kind in ("schemas", "responses"):
        declared[kind] = dict(sorted(declared[kind].items()))
    return result


def _resource(operations: dict[str, Schema], schemas: dict[str, Schema]) -> str | None:
    """The name of the response schema of the operations of one path, if that is an object with a version."""
    for operation in operations.values():
        for response in operation["responses"].values():
            for media in response.get("content", {}).values():
                name = str(media["schema"].get("$ref", "")).rpartition("/")[2]
                if "version" in schemas.get(name, {}).get("properties", {}):
                    return name
    return None


def _tidy(operation: Schema, enums: dict[str, str], rate_limits: Schema) -> None:
    if operation.get("security") in (None, [{}]):
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
            response["description"] = components.SUCCESSES[int(status)]


def _place(parameter: Schema) -> int:
    """The sort key of a parameter: the path's first, those of an Idempotency-Key last."""
    return 2 if parameter["name"].startswith("Idempotency-") else int(parameter.get("in") != "path")


def _implied_statuses(path: str, operation: Schema) -> set[int]:
    headers = {parameter["name"] for parameter in operation.get("parameters", [])}
    implied = {
        400: True,  # also for a Host that is not allowed
        401: bool(operation.get("security")),
        403: "{user_id}" in path or bool(operation.get("security")),
        404: "{" in path.replace("{user_id}", ""),
        409: "Idempotency-Key" in headers,
        412: "If-Match" in headers,
        408: "requestBody" in operation,
        413: "requestBody" in operation,
        415: "requestBody" in operation,
        422: "Idempotency-Key" in headers,
        429: path.startswith(LIMITED),
        503: path != "/healthz",
    }
    return {status for status, is_implied in implied.items() if is_implied}


def _declare(declared: Schema, status: int, resource: str | None, own: Answer | None) -> Schema:
    """The response of one status: shared, unless the operation describes it in its own words."""
    answer = own or components.PROBLEMS[status]
    problem, suffix = "Problem", ""
    # A conflict that the operation describes is with an object of its resource, which the problem carries.
    if resource is not None and (status == 412 or (status == 409 and own is not None)):
        problem, suffix = f"{resource}Problem", resource
        properties = {"current": {"$ref": f"#/components/schemas/{resource}"}}
        declared["schemas"][problem] = {
            "allOf": [{"$ref": "#/components/schemas/Problem"}, {"type": "object", "properties": properties}]
        }
    media: Schema = {"schema": {"$ref": f"#/components/schemas/{problem}"}}
    if answer.detail is not None:
        name = "object" if resource is None else re.sub(r"\B(?=[A-Z])", " ", resource).lower()
        detail = answer.detail.replace("{name}", name)
        media["example"] = answer.kind.body(detail, "019ac5a2-7d8e-7c31-9a55-3f1f0f6b2c1d", **answer.members)
    response: Schema = {"description": answer.description, "content": {problems.CONTENT_TYPE: media}}
    if status in components.HEADERS:
        response["headers"] = components.HEADERS[status]
    if own is not None:
        return response
    declared["responses"][answer.name + suffix] = response
    return {"$ref": f"#/components/responses/{answer.name}{suffix}"}
