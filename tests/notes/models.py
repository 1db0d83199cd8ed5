"""The models of a note, and of a remark on it; together they refer in every way that the kit knows."""

from typing import ClassVar

from django.db import models

from users.resources.models import OwnedModel, Reference, WhenDeleted
from users.resources.pairs import Pair, References

MAX_TITLE = 100
MAX_BODY = 5_000
MAX_ABOUT = 3


class Note(OwnedModel):
    title = models.CharField(max_length=MAX_TITLE)
    body = models.CharField(max_length=MAX_BODY, blank=True, default="")
    project = Reference("projects.Project", null=True, blank=True, related_name="+")
    about_ids = References("projects.Project", "notes.NoteAbout", most=MAX_ABOUT)

    mutable: ClassVar[tuple[str, ...]] = ("title", "body", "project_id", "about_ids")

    class Meta(OwnedModel.Meta):
        permissions = [("view_note_text", "Can view text of notes")]
        indexes = [*OwnedModel.Meta.indexes, models.Index("user", "project", name="notes_note_project")]


class NoteAbout(Pair):
    """The projects that notes are about."""


class Remark(OwnedModel):
    note = Reference(Note, related_name="+")
    project = Reference("projects.Project", null=True, blank=True, related_name="+", when_deleted=WhenDeleted.CLEAR)
    source = Reference(Note, null=True, blank=True, related_name="+", when_deleted=WhenDeleted.REFUSE)

    mutable: ClassVar[tuple[str, ...]] = ("note_id", "project_id", "source_id")

    class Meta(OwnedModel.Meta):
        indexes = [
            *OwnedModel.Meta.indexes,
            models.Index("user", "note", name="notes_remark_note"),
            models.Index("user", "project", name="notes_remark_project"),
            models.Index("user", "source", name="notes_remark_source"),
        ]
