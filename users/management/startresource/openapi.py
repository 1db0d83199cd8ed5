"""A schema of another OpenAPI document, 3.0 or 3.1, as a spec: fields, types, bounds, enums, required, nullable."""

import re
from collections.abc import Mapping
from typing import Any

from users.management.startresource import columns, documents, names
from users.management.startresource.documents import Node, SpecError

_FORMATS = {"date": "date", "date-time": "instant", "uuid": "uuid"}
_TYPES = {"string": "text", "integer": "int", "number": "decimal", "boolean": "bool", "object": "json"}
_MAX = 200  # characters of a text without a bound


def read(content: bytes, schema: str | None, *, is_json: bool) -> tuple[Node, list[str]]:
    """The spec, and sentences about what it leaves out. Raises SpecError."""
    root = documents.read(content, is_json=is_json, is_long=True)
    document = root.plain()
    if not isinstance(document, dict) or not re.match(r"3\.[01]\.", str(document.get("openapi", ""))):
        root.refuse("This is no OpenAPI document of 3.0 or 3.1: it lacks `openapi: 3.1.0`.")
    found = _at(document, "components", "schemas")
    if not schema or schema not in found:
        root.refuse(f"Say which schema with --schema: {', '.join(sorted(found)[:20]) or 'it has none'}.")
    return _spec(schema, _flat(document, found[schema], 0), document)


def _at(value: Any, *path: str) -> dict[str, Any]:
    for name in path:
        value = value.get(name, {}) if isinstance(value, dict) else {}
    return value if isinstance(value, dict) else {}


def _flat(document: Mapping[str, Any], schema: Any, depth: int) -> dict[str, Any]:
    """Without references and `allOf`. Raises SpecError for those that do not end."""
    if depth > 20:
        raise SpecError("Its schemas refer to each other without an end.")
    if not isinstance(schema, dict):
        return {}
    if isinstance(reference := schema.get("$ref"), str):
        if not reference.startswith("#/"):
            raise SpecError(f"{reference} is in another file; bundle them first.")
        target = _at(document, *reference.removeprefix("#/").split("/"))
        return _flat(document, target, depth + 1)
    merged: dict[str, Any] = {}
    for part in schema.get("allOf", []):
        flat = _flat(document, part, depth + 1)
        merged["properties"] = {**merged.get("properties", {}), **flat.pop("properties", {})}
        merged["required"] = [*merged.get("required", []), *flat.pop("required", [])]
        merged |= flat
    own = {name: value for name, value in schema.items() if name != "allOf"}
    own["properties"] = {**merged.get("properties", {}), **own.get("properties", {})}
    own["required"] = [*merged.get("required", []), *own.get("required", [])]
    return {**merged, **own}


def _spec(name: str, schema: Mapping[str, Any], document: Mapping[str, Any]) -> tuple[Node, list[str]]:
    fields: dict[str, Any] = {}
    omitted: list[str] = []
    for member, described in schema.get("properties", {}).items():
        field_name = snake(member)
        if names.taken(field_name):
            omitted.append(f"{member}: {names.taken(field_name)}")
            continue
        field = _field(_flat(document, described, 0), member in schema.get("required", []))
        if field is None:
            omitted.append(f"{member}: its type has no counterpart")
        else:
            fields[field_name] = field
    _give_title(fields)
    return documents.of({"resource": snake(name), "fields": fields}), omitted


def snake(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")


def _field(schema: Mapping[str, Any], required: bool) -> dict[str, Any] | None:
    kinds = schema.get("type", "object" if schema.get("properties") else None)
    kinds = [kinds] if isinstance(kinds, str) else list(kinds or [])
    null = schema.get("nullable") is True or "null" in kinds
    kind = next((each for each in kinds if each != "null"), None)
    made = _of_kind(kind, schema)
    if made is None:
        return None
    default = schema.get("default")
    if made["type"] in ("json", "text[]"):
        return made
    if default is not None and not null:
        return {**made, "default": default}
    return {**made, **({"required": True} if required and not null else {"null": True})}


def _of_kind(kind: str | None, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    if values := schema.get("enum"):
        words = [str(each) for each in values if each is not None]
        is_plain = all(re.fullmatch("[a-z][a-z0-9_]{0,39}", word) for word in words)
        return {"type": "enum", "values": words} if is_plain and len(words) > 1 else None
    if kind == "array":
        items = schema.get("items") or {}
        texts = {"type": "text[]", "max": _within(schema.get("maxItems"), 20, 1000)}
        return texts if items.get("type") == "string" else None
    if kind not in _TYPES:
        return None
    formats = _FORMATS if kind == "string" else {}
    made: dict[str, Any] = {"type": formats.get(schema.get("format", ""), _TYPES[kind])}
    if made["type"] == "text":
        made["max"] = _within(schema.get("maxLength"), _MAX, columns.MAX_TEXT)
        made |= {"min": schema["minLength"]} if schema.get("minLength") else {}
        made |= {"pattern": schema["pattern"]} if _matches_example(schema) else {}
        made |= {"example": schema["example"]} if "pattern" in made else {}
    if made["type"] in ("int", "decimal"):
        made |= {mine: schema[theirs] for mine, theirs in (("min", "minimum"), ("max", "maximum")) if theirs in schema}
    return made


def _matches_example(schema: Mapping[str, Any]) -> bool:
    """A pattern is taken with an example that matches the whole of it; others are of another dialect, or a part."""
    pattern, example = schema.get("pattern"), schema.get("example")
    try:
        return isinstance(pattern, str) and isinstance(example, str) and re.fullmatch(pattern, example) is not None
    except re.error:
        return False


def _within(number: Any, default: int, most: int) -> int:
    return min(number, most) if isinstance(number, int) and number > 0 else default


def _give_title(fields: dict[str, Any]) -> None:
    """The first text becomes what people know a row by, if none is."""
    texts = [each for each in fields.values() if each["type"] == "text" and "pattern" not in each]
    if texts and not any(each.get("required") and each["max"] >= columns.MIN_TITLE for each in texts):
        texts[0].pop("null", None), texts[0].pop("default", None)
        texts[0] |= {"required": True, "max": max(texts[0]["max"], columns.MIN_TITLE), "min": 1}
