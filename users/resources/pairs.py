"""References to several rows: an array of ids, and the pairs that hold them in PostgreSQL."""

from typing import Any, ClassVar

from django.apps import apps
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models


class References(ArrayField):
    """Rows of the same owner that are not in the trash, each once, by their ids in ascending order; one that goes there
    leaves the array. In the API `{stem}_ids`, which is its name, or write-only `{stem}_uids`.

    An array, so that it is a column as any other: of the version, the log, undo and sync. `pairs` is the model of the
    table that `config.database.isolation.refer_each` keeps, which has the foreign keys.
    """

    def __init__(self, to: str, pairs: str, *, most: int, **options: Any) -> None:
        self.to, self.of_pairs, self.most = to, pairs, most
        super().__init__(**{"base_field": models.BigIntegerField(), "blank": True, "default": list, **options})

    @property
    def target(self) -> Any:
        return apps.get_model(self.to)

    @property
    def pairs(self) -> Any:
        return apps.get_model(self.of_pairs)

    @property
    def stem(self) -> str:
        return self.name.removesuffix("_ids")

    def deconstruct(self) -> Any:
        """An ArrayField, so that migrations do not depend on this class."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.contrib.postgres.fields.ArrayField", args, kwargs

    def clone(self) -> Any:
        return type(self)(self.to, self.of_pairs, most=self.most)


class Pair(models.Model):
    """A row, and one of those that it refers to by `References`; written by a trigger alone."""

    pk = models.CompositePrimaryKey("user", "row_id", "target_id")
    # Without a constraint: those of `refer_each` have the owner, too.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    row_id = models.BigIntegerField()
    target_id = models.BigIntegerField()

    class Meta:
        abstract = True
        default_permissions = ()
        indexes: ClassVar[list[Any]] = [
            models.Index("user", "target_id", "row_id", name="%(app_label)s_%(class)s_target")
        ]

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.row_id} {self.target_id}"
