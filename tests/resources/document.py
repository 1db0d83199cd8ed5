"""The OpenAPI document of a process that serves a resource."""

from typing import Any, NamedTuple

from drf_spectacular.generators import SchemaGenerator

from users.resources.resource import Resource

Schema = dict[str, Any]


class Document(NamedTuple):
    schema: Schema
    operations: dict[str, Schema]  # by id


_made: dict[str, Document] = {}


def document_of(resource: Resource) -> Document:
    """While the resource is installed; made once, as it takes long, and apart from the one that is served."""
    if resource.name not in _made:
        schema = SchemaGenerator().get_schema(public=True)
        methods = [method for path in schema["paths"].values() for method in path.values()]
        _made[resource.name] = Document(schema, {method["operationId"]: method for method in methods})
    return _made[resource.name]
