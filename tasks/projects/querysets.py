"""The querysets of projects. The methods read as adjectives and can be chained in any order."""

from typing import TYPE_CHECKING, Self

from django.db.models import F

from users.resources.querysets import CREATED, UPDATED, OwnedQuerySet, SortKey

if TYPE_CHECKING:
    from tasks.projects.models import Project  # noqa: F401 (ruff does not see the quoted use in a base class)

_POSITION = SortKey((F("position"),), lambda row: row.position, lambda text: (text,))
_NAME = SortKey((F("name_key"),), lambda row: row.name_key, lambda text: (text,), columns=("name_key",))


class ProjectQuerySet(OwnedQuerySet["Project"]):
    sort_keys = {"created": CREATED, "updated": UPDATED, "position": _POSITION, "name": _NAME}

    def archived(self) -> Self:
        return self.exclude(archived_at=None)

    def not_archived(self) -> Self:
        return self.filter(archived_at=None)
