"""A row's representation by attributes equals that of its declared fields."""

from typing import Any
from unittest.mock import Mock

import pytest
from rest_framework.serializers import Serializer

from config.http.json import to_json
from tests.resources.declared import each, example, make
from users.models import User
from users.resources.resource import Resource


def examples(resource: Resource) -> dict[str, dict[str, Any]]:
    """The least that makes a row, all of the example, and each of its members."""
    members = {name: {name: value} for name, value in example(resource).items()}
    return {"least": {}, "whole": example(resource), **members}


@each(examples)
@pytest.mark.parametrize("is_stored", [True, False])
def test_what_is_answered_is_what_is_declared(
    resource: Resource, alice: User, case: dict[str, Any], is_stored: bool
) -> None:
    row: Any = make(resource, alice, **case)
    if is_stored:
        row = resource.model.objects.get(pk=row.pk)
    serializer: Any = resource.serializer(row, context={"request": Mock(user=alice)})
    declared = Serializer.to_representation(serializer, row) | {"user_id": alice.public_id}
    assert to_json(serializer.data) == to_json(declared)
    fields = resource.serializer().fields
    assert list(serializer.data) == [name for name, field in fields.items() if not field.write_only]
