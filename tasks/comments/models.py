"""The model of a comment, and the rules of a single row."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.db.models import Q

from config.values import is_storable
from tasks.comments.querysets import CommentQuerySet
from tasks.text import fold_all
from users.resources.models import OwnedModel, Reference, Rule

if TYPE_CHECKING:
    from users.tokens.callers import Actor

MAX_TEXT = 10_000


class Comment(OwnedModel):
    text = models.CharField(max_length=MAX_TEXT)
    task = Reference("tasks.Task", related_name="+")
    # Folded in Python, so that order and search do not depend on the server's collation.
    search_text = models.TextField(default="", editable=False)

    objects: ClassVar[Any] = CommentQuerySet.as_manager()

    derived: ClassVar[tuple[str, ...]] = ("search_text",)
    sources: ClassVar[frozenset[str]] = frozenset({"text"})
    mutable: ClassVar[tuple[str, ...]] = ("text", "task_id", *derived)
    large: ClassVar[tuple[str, ...]] = ("text",)
    max_rows: ClassVar[int | None] = 100_000
    rules: ClassVar[Sequence[Rule]] = [
        (
            "text",
            lambda row: 1 <= len(row.text) <= MAX_TEXT and is_storable(row.text),
            "A text has 1 to 10,000 characters.",
        ),
    ]

    class Meta(OwnedModel.Meta):
        permissions = [("view_comment_text", "Can read the text of comments")]
        constraints = [
            *OwnedModel.Meta.constraints,
            models.CheckConstraint(
                name="comments_comment_valid", condition=Q(erased_at__isnull=False) | Q(text__gt="")
            ),
        ]
        indexes = [
            *OwnedModel.Meta.indexes,
            models.Index(
                "user",
                models.F("created_at").desc(),
                models.F("id").desc(),
                name="comments_comment_list",
                condition=Q(deleted_at=None),
            ),
            models.Index("user", "task", "id", name="comments_comment_task"),
        ]

    def take_over(self, sent: dict[str, Any], user: "Actor", now: dt.datetime) -> None:
        """Raises Invalid."""
        if "text" in sent:
            sent["text"] = sent["text"].strip()
        super().take_over(sent, user, now)
        self.update_derived_fields(now)

    def update_derived_fields(self, now: dt.datetime) -> None:
        self.search_text = fold_all([self.text], {})
