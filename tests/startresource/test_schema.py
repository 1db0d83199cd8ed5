"""The published JSON Schema: it is the code's, takes what the parser takes, and refuses much that the parser does."""

import json
from typing import Any

import pytest
from django.conf import settings
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from tests.startresource.specs import REFUSED, SAMPLES
from users.management.startresource.documents import SpecError, read
from users.management.startresource.schema import schema

PUBLISHED = settings.BASE_DIR / "docs/resource.schema.json"
EXAMPLES = {path.stem: path.read_text() for path in (settings.BASE_DIR / "docs/examples").glob("*.yaml")}


def complaints(spec: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(schema()).iter_errors(spec)]


def test_what_is_published_is_the_schema_of_the_code() -> None:
    Draft202012Validator.check_schema(schema())
    text = f"{json.dumps(schema(), indent=2)}\n"
    assert PUBLISHED.read_text() == text, "write users.management.startresource.schema.schema() there"


@pytest.mark.parametrize("text", [*SAMPLES.values(), *EXAMPLES.values()], ids=[*SAMPLES, *EXAMPLES])
def test_what_the_parser_takes_is_valid(text: str) -> None:
    assert complaints(read(text.encode()).plain()) == []


def test_the_schema_refuses_a_third_of_them_at_least() -> None:
    found = 0
    for text, _, _ in REFUSED.values():
        try:
            found += bool(complaints(read(text if isinstance(text, bytes) else text.encode()).plain()))
        except (SpecError, UnicodeEncodeError):
            continue
    assert found >= 35
