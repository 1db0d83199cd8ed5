"""The part `webhooks` of the OpenAPI document: what is sent to the endpoints of users."""

from typing import Any

from users.models import Kind
from users.resources.resource import Resource, registered
from users.webhooks.messages import GAP, TEST
from users.webhooks.services import OTHER_EVENTS

Schema = dict[str, Any]

_DELETED: Schema = {
    "type": "object",
    "properties": {
        "id": {"type": "integer", "format": "int64"},
        "uid": {"type": "string"},
        "deleted": {"type": "boolean", "const": True},
    },
    "required": ["id", "uid", "deleted"],
}
_DIFF: Schema = {
    "type": "object",
    "additionalProperties": {"type": "array", "items": {}, "minItems": 2, "maxItems": 2},
    "description": "By member, the value before and after; absent where the object is deleted.",
}
_HEADERS = {
    "webhook-id": "The same for each attempt: pass over what you have had.",
    "webhook-timestamp": "When it was sent, in seconds since 1970; refuse what is older than five minutes.",
    "webhook-signature": "`v1,` and an HMAC-SHA256 in Base64; with spaces between, where a secret is being rotated.",
}


def describe_events(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """A postprocessing hook of drf-spectacular: a schema for the events of each resource, and one for the others."""
    schemas = result["components"]["schemas"]
    schemas["DeletedObject"] = _DELETED
    for resource in registered():
        schemas[f"{resource.title}Event"] = _event([f"{resource.name}.{kind}" for kind in Kind.values], _data(resource))
    schemas["OtherEvent"] = _event([*OTHER_EVENTS, TEST, GAP], {"type": "object"})
    result["components"]["schemas"] = dict(sorted(schemas.items()))
    sent = {
        **{f"{each.name}Changed": (f"{each.title}Event", f"A {each.name} has changed") for each in registered()},
        "other": ("OtherEvent", "Something else has happened"),
    }
    return {**result, "webhooks": {name: {"post": _operation(*described)} for name, described in sent.items()}}


def _event(names: list[str], data: Schema) -> Schema:
    properties = {
        "type": {"type": "string", "enum": names},
        "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
        "data": data,
    }
    return {"type": "object", "properties": properties, "required": [*properties]}


def _data(resource: Resource) -> Schema:
    number = {"type": "integer", "format": "int64"}
    shapes = [{"$ref": f"#/components/schemas/{name}"} for name in (resource.title, "DeletedObject")]
    properties: Schema = {
        "object": {"oneOf": shapes, "description": "As it is when it is sent: its `version` may be a later one."},
        "version": {**number, "description": "That of this change."},
        "operation": {**number, "description": "What one request has done, as `undo` takes it."},
        "actor": {"type": "string", "description": "Who has done it, as in the history."},
        "diff": _DIFF,
    }
    return {"type": "object", "properties": properties, "required": [name for name in properties if name != "diff"]}


def _operation(schema: str, summary: str) -> Schema:
    return {
        "operationId": f"on{schema}",
        "summary": summary,
        "description": "Sent to your webhooks that want it, in order, until one answers 2xx (Standard Webhooks 1.0).",
        "tags": ["webhooks"],
        "security": [],
        "parameters": [
            {"in": "header", "name": name, "schema": {"type": "string"}, "required": True, "description": description}
            for name, description in _HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
        },
        "responses": {"2XX": {"description": "Accepted. Anything else is tried again; 410 disables the webhook."}},
    }
