"""Specs from foreign OpenAPI documents."""

import json
from typing import Any

import pytest
from django.conf import settings

from tests.startresource.specs import WORLD
from users.management.startresource import openapi, parsing
from users.management.startresource.documents import SpecError
from users.management.startresource.spec import Spec

PET: dict[str, Any] = {
    "openapi": "3.0.3",
    "components": {
        "schemas": {
            "Named": {"required": ["name"], "properties": {"name": {"type": "string", "maxLength": 80}}},
            "PetOwner": {
                "allOf": [
                    {"$ref": "#/components/schemas/Named"},
                    {
                        "type": "object",
                        "required": ["age"],
                        "properties": {
                            "id": {"type": "integer"},
                            "age": {"type": "integer", "minimum": 0, "maximum": 150},
                            "birthDate": {"type": "string", "format": "date", "nullable": True},
                            "seenAt": {"type": "string", "format": "date-time"},
                            "status": {"type": "string", "enum": ["new", "known"], "default": "new"},
                            "weight": {"type": "number"},
                            "zip": {"type": "string", "pattern": "[0-9]{5}", "example": "12345"},
                            "phones": {"type": "array", "items": {"type": "string"}},
                            "pets": {"type": "array", "items": {"type": "object"}},
                            "class": {"type": "string"},
                        },
                    },
                ]
            },
            "Loop": {"$ref": "#/components/schemas/Loop"},
        }
    },
}


def read(document: Any, schema: str | None) -> tuple[Spec, list[str]]:
    root, omitted = openapi.read(json.dumps(document).encode(), schema, is_json=True)
    return parsing.parse(root, WORLD), omitted


def test_a_foreign_schema_becomes_a_spec() -> None:
    spec, omitted = read(PET, "PetOwner")
    assert (spec.name, spec.plural) == ("pet_owner", "pet_owners")
    assert [(each.name, each.type, each.required, each.null) for each in spec.columns] == [
        ("name", "text", True, False), ("age", "int", True, False), ("birth_date", "date", False, True),
        ("seen_at", "instant", False, True), ("status", "enum", False, False), ("weight", "decimal", False, True),
        ("zip", "text", False, True), ("phones", "text[]", False, False),
    ]  # fmt: skip
    age, status = spec.column("age"), spec.column("status")
    assert age is not None and (age.min, age.max) == (0, 150)
    assert status is not None and (status.values, status.default) == (("new", "known"), "new")
    assert [each.partition(":")[0] for each in omitted] == ["id", "pets", "class"]


def test_null_of_3_1_is_a_type() -> None:
    properties = {"title": {"type": ["string", "null"]}, "size": {"type": ["null", "integer"]}}
    document = {"openapi": "3.1.0", "components": {"schemas": {"Box": {"properties": properties}}}}
    spec, _ = read(document, "Box")
    assert [(each.name, each.required, each.null) for each in spec.columns] == [
        ("title", True, False), ("size", False, True),
    ]  # fmt: skip


def test_our_own_document_is_read() -> None:
    """Of tasks, what is no resource's anyway."""
    content = (settings.BASE_DIR / "docs/openapi.yaml").read_bytes()
    root, omitted = openapi.read(content, "Task", is_json=False)
    assert {"title", "priority", "due_date", "tags"} <= root.value["fields"].value.keys()
    assert {"id", "uid", "version"} <= {each.partition(":")[0] for each in omitted}


@pytest.mark.parametrize(
    ("document", "schema", "sentence"),
    [
        ({"swagger": "2.0"}, "Pet", "no OpenAPI document"),
        ([], "Pet", "no OpenAPI document"),
        (PET, None, "Say which schema"),
        (PET, "Nobody", "Say which schema with --schema: Loop, Named, PetOwner"),
        (PET, "Loop", "without an end"),
        ({**PET, "components": {"schemas": {"A": {"$ref": "other.yaml#/A"}}}}, "A", "bundle them"),
    ],
)
def test_what_is_none_is_refused(document: Any, schema: str | None, sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        read(document, schema)
