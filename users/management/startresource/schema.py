"""The JSON Schema of a spec, for editors, made of the parser's own tables: docs/resource.schema.json."""

from typing import Any

from users.management.startresource import columns, names, parsing, spec

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_NAME = {"type": "string", "pattern": f"^{names.NAME}$", "maxLength": names.MAX_NAME}
_KINDS: dict[str, dict[str, Any]] = {
    "required": {"type": "boolean"},
    "null": {"type": "boolean"},
    "search": {"type": "boolean"},
    "help": {"type": "string", "minLength": 1, "maxLength": 200},
    "pattern": {"type": "string", "maxLength": 200},
    "digits": {"type": "integer", "minimum": 1, "maximum": 30},
    "places": {"type": "integer", "minimum": 0, "maximum": 20},
    "each": {"type": "integer", "minimum": 1, "maximum": 1000},
    "values": {
        "type": "array",
        "items": {"type": "string", "pattern": f"^[a-z][a-z0-9_]{{0,{columns.MAX_VALUE - 1}}}$"},
        "minItems": 2,
        "maxItems": columns.MAX_VALUES,
        "uniqueItems": True,
    },
    "default": {},
    "example": {},
}
_BOUND: dict[str, Any] = {
    "text": {"type": "integer", "minimum": 0, "maximum": columns.MAX_TEXT},
    "int": {"type": "integer", "minimum": -columns.MAX_INT, "maximum": columns.MAX_INT},
    "decimal": {"type": ["number", "string"]},
    "text[]": {"type": "integer", "minimum": 1, "maximum": 1000},
}


def _field(kind: str) -> dict[str, Any]:
    described = {**columns.COMMON, **columns.OWN[kind]}
    members = {key: {**_KINDS.get(key, _BOUND.get(kind, {})), "description": text} for key, text in described.items()}
    required = ["type", "values"] if kind == "enum" else ["type"]
    return _object({**members, "type": {"const": kind}}, required)


def _object(members: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": required, "additionalProperties": False}


def _names(most: int = parsing.MAX_LISTED, least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string"}, "minItems": least, "maxItems": most, "uniqueItems": True}


def schema() -> dict[str, Any]:
    relation = _object(
        {
            "to": {"type": "string", "description": parsing.RELATION_KEYS["to"]},
            "null": {"type": "boolean"},
            "on_delete": {"enum": [*spec.ON_DELETE, None], "description": parsing.RELATION_KEYS["on_delete"]},
            "max_depth": {"type": "integer", "minimum": 2, "maximum": 10},
            "max_children": {"type": "integer", "minimum": 1, "maximum": 10_000},
            "help": _KINDS["help"],
            "many": {"type": "boolean", "description": parsing.RELATION_KEYS["many"]},
            "max": {"type": "integer", "minimum": 2, "maximum": parsing.MAX_MANY},
        },
        ["to"],
    )
    unique = _object({"unique": _names(5, 1), "when": {"enum": ["live", "always"]}}, ["unique"])
    check = _object({"check": {"type": "string", "maxLength": 300}}, ["check"])
    listed = {"type": "array", "maxItems": parsing.MAX_LISTED}
    members: dict[str, Any] = {
        "resource": _NAME,
        "plural": _NAME,
        "icon": {"type": "string", "pattern": "^[a-z0-9_]{1,40}$"},
        "fields": {
            "type": "object",
            "propertyNames": _NAME,
            "minProperties": 1,
            "maxProperties": parsing.MAX_FIELDS,
            "additionalProperties": {"oneOf": [_field(kind) for kind in columns.OWN]},
        },
        "relations": {
            "type": "object",
            "propertyNames": _NAME,
            "maxProperties": parsing.MAX_RELATIONS,
            "additionalProperties": relation,
        },
        "constraints": {**listed, "items": {"oneOf": [unique, check]}},
        "indexes": {**listed, "items": _names(5, 1)},
        "filters": _names(),
        "sort": _names(),
        "default_sort": {"type": "string", "pattern": "^-?[a-z]"},
        "limits": _object({"per_user": {"type": "integer", "minimum": 1, "maximum": parsing.MAX_ROWS}}, ["per_user"]),
    }
    described = {key: {**members[key], "description": text} for key, text in parsing.KEYS.items()}
    return {"$schema": DRAFT, "title": "A resource of Tickbase", **_object(described, ["resource", "fields"])}
