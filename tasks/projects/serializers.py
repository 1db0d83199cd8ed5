"""The serializers of projects."""

from typing import Any

from config.http.fields import BooleanField, InstantField, TextField
from tasks.fields import DescriptionField, ExtraField, PositionField, ReferenceField, ReferenceUidField
from tasks.projects.models import COLOR, MAX_DEPTH, MAX_DESCRIPTION, MAX_NAME, Project
from users.resources.serializers import ResourceSerializer


class ColorField(TextField):
    default_error_messages = {"invalid_color": "Write a color as #rrggbb, in lower case."}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not COLOR.match(text):
            self.fail("invalid_color")
        return text


class ProjectSerializer(ResourceSerializer):
    model = Project

    name = TextField(max_length=MAX_NAME, help_text="Two may have the same.")
    description = DescriptionField(cleared="", max_length=MAX_DESCRIPTION, allow_blank=True, trim_whitespace=False)
    color = ColorField(max_length=7, allow_null=True, required=False, trim_whitespace=False, help_text="#rrggbb.")
    parent_id = ReferenceField(help_text=f"The project that it is within, of at most {MAX_DEPTH} levels.")
    parent_uid = ReferenceUidField(help_text="In place of parent_id.")
    position = PositionField()
    archived = BooleanField(source="is_archived", required=False, help_text="A view on archived_at.")
    archived_at = InstantField(read_only=True, allow_null=True)
    extra = ExtraField()
