"""The model of a note."""

from typing import ClassVar

from django.db import models

from users.resources.models import OwnedModel

MAX_TITLE = 100
MAX_BODY = 5_000


class Note(OwnedModel):
    title = models.CharField(max_length=MAX_TITLE)
    body = models.CharField(max_length=MAX_BODY, blank=True, default="")

    mutable: ClassVar[tuple[str, ...]] = ("title", "body")

    class Meta(OwnedModel.Meta):
        permissions = [("view_note_text", "Can view text of notes")]
