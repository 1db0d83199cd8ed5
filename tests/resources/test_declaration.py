"""What follows from a declaration beyond the requests: its table, and its part of the OpenAPI document."""

import pytest
from django.apps import apps

from tests.config.test_openapi import bodies, complaints
from tests.resources import tables
from tests.resources.declared import RESOURCES, operations
from tests.resources.document import document_of
from users.resources.models import OwnedModel
from users.resources.resource import Resource


def test_every_table_of_users_rows_has_a_resource() -> None:
    owned = {model for model in apps.get_models() if issubclass(model, OwnedModel)}
    assert owned == {resource.model for resource in RESOURCES}


@pytest.mark.django_db
def test_every_row_is_isolated(resource: Resource) -> None:
    tables.check_every_row_is_isolated(resource)


@pytest.mark.django_db
def test_what_is_unique_is_so_for_a_user(resource: Resource) -> None:
    tables.check_what_is_unique_is_so_for_a_user(resource)


def test_what_is_declared_are_members(resource: Resource) -> None:
    writable = {name for name, field in resource.serializer().fields.items() if not field.read_only}
    assert {*resource.text, *resource.example} <= writable


def test_every_operation_is_documented_with_valid_examples(resource: Resource) -> None:
    document = document_of(resource)
    for name in operations(resource):
        media = list(bodies(document.operations[name], document.schema))
        examples = [
            (example["value"], each["schema"]) for each in media for example in each.get("examples", {}).values()
        ]
        assert [found for value, schema in examples for found in complaints(value, schema, document.schema)] == []
        assert document.operations[name]["tags"] == [resource.plural]
        assert len(examples) > 0 or name.startswith("delete")
