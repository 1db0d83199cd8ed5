"""drf-spectacular's AutoSchema, adapted to our fields and views."""

from copy import copy
from typing import Any

from drf_spectacular import openapi
from drf_spectacular.drainage import get_override
from rest_framework import serializers

from config.errors import DomainError
from config.http.fields import Clearable, EmptyIsNull
from config.http.openapi.components import Answer, Schema
from config.http.problems import Kind

PROBLEMS_EXTENSION = "x-problems"


class AutoSchema(openapi.AutoSchema):
    """drf-spectacular's, with the types of our fields."""

    def _get_serializer_field_meta(self, field: serializers.Field, direction: str) -> Schema:
        """A field's own `extend_schema_field` wins over what drf-spectacular derives, such as minLength."""
        meta: Schema = super()._get_serializer_field_meta(field, direction)
        if isinstance(own := get_override(field, "field"), dict):
            return {name: value for name, value in meta.items() if name not in own}
        return meta

    def _map_serializer_field(
        self, field: serializers.Field, direction: str, bypass_extensions: bool = False
    ) -> Schema | None:
        if direction == "response" and isinstance(field, Clearable):
            field = copy(field)
            field.allow_null = False
        schema: Schema | None = super()._map_serializer_field(field, direction, bypass_extensions)
        if schema is None:
            return None
        if len(schema.get("enum", ())) == 1:  # a constant needs no named type
            (schema["const"],) = schema.pop("enum")
        if schema.get("type") == "integer" and getattr(field, "max_value", None) is None:
            schema["format"] = "int64"
        if direction == "request" and isinstance(field, EmptyIsNull):
            description = schema.pop("description", "")
            return {"anyOf": [schema, {"type": "string", "const": ""}], "description": description}
        return schema

    def _get_serializer_name(
        self, serializer: serializers.BaseSerializer, direction: str, bypass_extensions: bool = False
    ) -> str:
        """Without required members, a schema is the same in a PATCH as elsewhere, and needs no second name."""
        name: str = super()._get_serializer_name(serializer, direction, bypass_extensions)
        fields = getattr(serializer, "fields", {})
        return name if any(field.required for field in fields.values()) else name.removeprefix("Patched")

    def _get_request_body(self, direction: str = "request") -> Any:
        """Also that of a DELETE, which drf-spectacular leaves out: the view's `delete_serializer_class`. One that is
        described by hand is required."""
        if self.method != "DELETE" or not hasattr(self.view, "delete_serializer_class"):
            body = super()._get_request_body(direction)
            return {**body, "required": True} if body and isinstance(self.get_request_serializer(), dict) else body
        self.method = "POST"
        try:
            body = super()._get_request_body(direction)
        finally:
            self.method = "DELETE"
        body.pop("required", None)
        return body


def also_answers(*refusals: tuple[type[DomainError], str]) -> Schema:
    """For `extend_schema(extensions=…)`: errors that the shape of the operation does not imply, each described."""
    answers = [
        Answer(error.__name__, Kind.of(error), description, description.replace("`", ""))
        for error, description in refusals
    ]
    return {PROBLEMS_EXTENSION: {answer.kind.status: answer for answer in answers}}
