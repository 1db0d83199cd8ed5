"""Serializers of imports and their reports, and the query parameters of import and export."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from config.http.fields import ChoiceField, InstantField
from config.http.serializers import QuerySerializer
from tasks.fields import ProjectsField
from tasks.transfer import services
from tasks.transfer.exports import WRITABLE
from tasks.transfer.models import Import
from tasks.transfer.report import MAX_LISTED
from users.api.serializers import TimezoneField
from users.resources.lists import MAX_CURSOR, MAX_LIMIT, Bound, CountField, CursorField, FlagField

DEFAULT_LIMIT = 20
DEGRADED = f"What landed as less, or as something else, than the file says; at most {MAX_LISTED}."


class ImportQuery(QuerySerializer):
    format = ChoiceField(
        choices=[services.AUTO, *services.READABLE], default=services.AUTO, help_text="By default, it is recognised."
    )
    dry_run = FlagField(default=False, help_text="Answer the report, and store nothing.")
    zone = TimezoneField(
        max_length=64, required=False, help_text="IANA, of dates and times that name none; by default yours."
    )


class ExportQuery(QuerySerializer):
    repeatable = frozenset({"project"})
    filters = frozenset({"project"})

    format = ChoiceField(choices=[*WRITABLE], help_text="`tickbase` has everything.")
    project = ProjectsField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if isinstance(place := attrs.get("project"), Bound):
            attrs["project"] = place.value
        return attrs


class ImportsQuery(QuerySerializer):
    limit = CountField(min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT, help_text="Imports per page.")
    cursor = CursorField(required=False, max_length=MAX_CURSOR, help_text="From the Link header.")


class CountsOfFileSerializer(serializers.Serializer[Any]):
    projects = serializers.IntegerField()
    tasks = serializers.IntegerField()
    completions = serializers.IntegerField()
    skipped = serializers.IntegerField()
    degraded = serializers.IntegerField()
    warnings = serializers.IntegerField()


class SkippedSerializer(serializers.Serializer[Any]):
    row = serializers.IntegerField(help_text="A line, or an entry, from 1.")
    reason = serializers.CharField()


@extend_schema_field(OpenApiTypes.ANY)
class ValueField(serializers.Field[Any, Any, Any, Any]):
    """Any value, shortened."""


class DegradedFieldSerializer(serializers.Serializer[Any]):
    row = serializers.IntegerField()
    field = serializers.CharField()


class DegradedSerializer(DegradedFieldSerializer):
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """With `from`, which is a keyword of Python."""
        return {
            **super().get_fields(),
            "from": ValueField(help_text="Shortened."),
            "to": ValueField(help_text="Shortened; null if it was left out."),
        }


class ReportSerializer(serializers.Serializer[Any]):
    format = serializers.CharField()
    counts = CountsOfFileSerializer(help_text="What is in the file, and the lengths of the lists below.")
    created = serializers.IntegerField()
    updated = serializers.IntegerField(help_text="Changed in the file since, later than here.")
    unchanged = serializers.IntegerField()
    skipped = SkippedSerializer(many=True, help_text=f"Rows that were not imported; at most {MAX_LISTED}.")
    degraded = DegradedFieldSerializer(many=True, help_text=DEGRADED)
    warnings = serializers.ListField(child=serializers.CharField())


class ImportedSerializer(ReportSerializer):
    degraded = DegradedSerializer(many=True, help_text=DEGRADED)
    id = serializers.IntegerField(allow_null=True, help_text="Of the import; null of a dry run.")
    operation = serializers.IntegerField(allow_null=True, help_text="For `undo`; null if nothing has changed.")


class ImportSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    created_at = InstantField()
    format = serializers.CharField()
    status = ChoiceField(choices=Import.Status.choices)
    total = serializers.IntegerField(help_text="Projects and tasks in the file.")
    done = serializers.IntegerField(help_text="Those that are dealt with.")
    operation = serializers.IntegerField(allow_null=True, help_text="The last one; null if nothing has changed.")
    operations = serializers.ListField(
        child=serializers.IntegerField(), help_text="For `undo`, the last one first: all that the import has made."
    )
    error = serializers.CharField(help_text="Why it failed; what was done before stays.")
    report = ReportSerializer()
