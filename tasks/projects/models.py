"""The model of a project, and the rules of a single row."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.db.models import Q

from config.values import is_storable
from tasks.placed import Placed
from tasks.projects.querysets import ProjectQuerySet
from tasks.text import fold
from users.resources.models import OwnedModel, Reference, Rule

if TYPE_CHECKING:
    from users.tokens.callers import Actor

MAX_NAME = 120
MAX_DESCRIPTION = 10_000
MAX_DEPTH = 4  # levels of a tree of projects, the root's included
MAX_CHILDREN = 500
COLOR = re.compile(r"#[0-9a-f]{6}\Z")


class Project(Placed):
    name = models.CharField(max_length=MAX_NAME)
    description = models.CharField(max_length=MAX_DESCRIPTION, blank=True, default="")
    color = models.CharField(max_length=7, null=True, blank=True)
    parent = Reference(
        "self", null=True, blank=True, related_name="children", max_depth=MAX_DEPTH, max_children=MAX_CHILDREN
    )
    archived_at = models.DateTimeField(null=True, blank=True)
    # Folded in Python, so that order does not depend on the server's collation.
    name_key = models.CharField(max_length=MAX_NAME, default="", editable=False, db_collation="C")

    objects: ClassVar[Any] = ProjectQuerySet.as_manager()

    derived: ClassVar[tuple[str, ...]] = ("name_key",)
    sources: ClassVar[frozenset[str]] = frozenset({"name"})
    mutable: ClassVar[tuple[str, ...]] = (
        "name", "description", "color", "archived_at", *Placed.mutable, *derived,
    )  # fmt: skip
    expressions: ClassVar[Mapping[str, Any]] = {
        **Placed.expressions,
        "is_archived": models.ExpressionWrapper(Q(archived_at__isnull=False), models.BooleanField()),
    }
    limit_setting: ClassVar[str | None] = "LIMIT_PROJECTS"
    rules: ClassVar[Sequence[Rule]] = [
        (
            "name",
            lambda project: 1 <= len(project.name) <= MAX_NAME and is_storable(project.name),
            f"A name has 1 to {MAX_NAME} characters.",
        ),
        (
            "description",
            lambda project: len(project.description) <= MAX_DESCRIPTION and is_storable(project.description),
            f"A description has up to {MAX_DESCRIPTION} characters.",
        ),
        ("color", lambda project: project.color is None or COLOR.match(project.color), "A color is written #rrggbb."),
    ]

    class Meta:
        permissions = [("view_project_text", "Can read the names and descriptions of projects")]
        constraints = [
            *OwnedModel.Meta.constraints,
            models.CheckConstraint(
                name="projects_project_valid", condition=Q(name__gt="") | Q(erased_at__isnull=False)
            ),
        ]
        indexes = [
            *OwnedModel.Meta.indexes,
            models.Index("user", "position", "id", name="projects_project_list", condition=Q(deleted_at=None)),
            models.Index("user", "parent", "id", name="projects_project_parent", condition=Q(parent__isnull=False)),
        ]

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None

    def take_over(self, sent: dict[str, Any], user: "Actor", now: dt.datetime) -> None:
        """Raises Invalid."""
        if "is_archived" in sent:
            is_archived = sent.pop("is_archived")
            sent["archived_at"] = (self.archived_at or now) if is_archived else None
        if "name" in sent:
            sent["name"] = sent["name"].strip()
        super().take_over(sent, user, now)
        self.update_derived_fields(now)

    def update_derived_fields(self, now: dt.datetime) -> None:
        self.name_key = fold(self.name)[:MAX_NAME]
