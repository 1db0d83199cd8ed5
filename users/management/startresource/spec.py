"""The spec of a resource as data."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from users.management.startresource import columns, names
from users.management.startresource.columns import Column
from users.management.startresource.rules import Rule

ON_DELETE = {"trash": "TRASH", "null": "CLEAR", "refuse": "REFUSE"}  # and the name of the kit's WhenDeleted
OWN_SORTS = ("created", "updated")


@dataclass(frozen=True)
class Target:
    """A resource that may be referred to: its model as Django names it, and its table."""

    name: str
    package: str
    model: str
    table: str
    # The names of what its rows cannot do without, and by relation what that is.
    requires: tuple[str, ...] = ()
    relations: Mapping[str, "Target"] = field(default_factory=dict, compare=False)
    plural: str = ""
    least: Mapping[str, Any] = field(default_factory=dict, compare=False)  # a body that makes one, without relations


@dataclass(frozen=True)
class World:
    """What is there already: resources, by name, words of paths, and labels of apps."""

    targets: Mapping[str, Target]
    paths: Collection[str] = ()
    labels: Collection[str] = ()


@dataclass(frozen=True)
class Relation:
    name: str
    target: Target
    null: bool
    on_delete: str
    is_tree: bool = False
    max_depth: int = 4
    max_children: int = 500
    help: str = ""


@dataclass(frozen=True)
class Many:
    """A relation to several rows."""

    name: str
    target: Target
    most: int
    help: str = ""

    @property
    def stem(self) -> str:
        """Of the members `label_ids` and `label_uids`, and the parameter of the list."""
        return self.target.name if self.name == self.target.plural else self.name.removesuffix("s")

    @property
    def column(self) -> str:
        return f"{self.stem}_ids"


@dataclass(frozen=True)
class Unique:
    columns: tuple[str, ...]
    live: bool


@dataclass(frozen=True)
class Filter:
    """A parameter: `exact` or an end of a range."""

    name: str
    column: str
    kind: str  # exact before after min max relation many


@dataclass(frozen=True)
class Spec:
    name: str
    plural: str
    icon: str
    columns: tuple[Column, ...]
    relations: tuple[Relation, ...] = ()
    many: tuple[Many, ...] = ()
    uniques: tuple[Unique, ...] = ()
    checks: tuple[Rule, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    filters: tuple[Filter, ...] = ()
    sorts: tuple[str, ...] = ()
    default_sort: str = "-created"
    limit: int | None = None
    plain: Mapping[str, Any] = field(default_factory=dict, compare=False)  # as it was written

    @property
    def table(self) -> str:
        return f"{self.plural}_{names.class_name(self.name).lower()}"

    @property
    def title(self) -> Column:
        """The text by which people know a row: the first that a row always has and that may be anything."""
        return next(each for each in self.columns if columns.is_title(each))

    def optional(self, unique: "Unique") -> list[str]:
        """Of what is unique, the fields that may be null, and so leave a row out of it."""
        return [each.name for each in self.columns if each.name in unique.columns and each.null]

    def column(self, name: str) -> Column | None:
        return next((each for each in self.columns if each.name == name), None)

    def relation(self, name: str) -> Relation | None:
        return next((each for each in self.relations if each.name == name), None)
