"""The querysets of projects. The methods read as adjectives and can be chained in any order."""

from typing import TYPE_CHECKING, Self

from django.contrib.postgres.fields import ArrayField
from django.db.models import CharField, F, Func, Value
from django.db.models.functions import Cast

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

    def in_tree_order(self, levels: int) -> Self:
        """Those of one user, each before those that are within it."""
        above = ["parent__" * level for level in reversed(range(levels))]
        keys = (_Joined(F(f"{each}position"), Value("/"), Cast(f"{each}id", CharField())) for each in above)
        path = Func(*keys, template="array_remove(ARRAY[%(expressions)s], NULL)", output_field=ArrayField(CharField()))
        return self.order_by(path)


class _Joined(Func):
    """Texts, or null if one of them is; Django's Concat takes null for empty."""

    template, arg_joiner = "(%(expressions)s)", " || "
    output_field = CharField()
