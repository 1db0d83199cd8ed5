"""The abstract model of every resource: owner, uid, version and tombstone; and references between such rows."""

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

import uuid_utils
from django.conf import settings
from django.db import models
from django.db.models import Q

from config.database.models import RowModel
from config.database.queries import Raw
from config.errors import Invalid
from config.values import is_same, is_storable, nfc
from users.models import Kind
from users.resources.pairs import References
from users.resources.querysets import OwnedQuerySet

if TYPE_CHECKING:
    from users.resources.log import Entry
    from users.tokens.callers import Actor

MAX_UID = 255

Diff = Mapping[str, tuple[Any, Any]]  # by column, the value before and after


def new_uid() -> str:
    """UUIDv7 (RFC 9562): unique without coordination, and in order of creation."""
    return str(uuid_utils.uuid7())


Rule = tuple[str, Callable[[Any], object], str]  # of a member: whether a row keeps it, and what is said if not


class ImmutableUid(Invalid):
    code = "immutable"


class WhenDeleted(Enum):
    """What becomes of the rows that refer to one that goes to the trash."""

    TRASH = "trash"  # they go along, and come back along
    CLEAR = "null"
    REFUSE = "refuse"  # the row stays as long as there are any


class Reference(models.ForeignKey):
    """A row of the same owner that is not in the trash, or null; in the API `{name}_id`, or write-only `{name}_uid`.

    In the database it is a composite foreign key, (user, reference) to (user, id), which `config.database.isolation.
    refer` makes: row level security does not check foreign keys. A reference to "self" makes a tree, with at most
    `max_depth` levels, the root's included, and `max_children` of each row. Its index begins with the owner and it.
    """

    def __init__(
        self,
        to: Any,
        on_delete: Any = models.DO_NOTHING,  # the constraint does
        *,
        when_deleted: WhenDeleted = WhenDeleted.TRASH,
        max_depth: int = 0,
        max_children: int = 0,
        **options: Any,
    ) -> None:
        self.when_deleted, self.max_depth, self.max_children = when_deleted, max_depth, max_children
        super().__init__(to, on_delete, **{**options, "db_constraint": False, "db_index": False})

    @property
    def is_tree(self) -> bool:
        return self.related_model is self.model

    def deconstruct(self) -> Any:
        """A ForeignKey, so that migrations do not depend on this class."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.ForeignKey", args, kwargs


class OwnedModel(RowModel):
    """A row that belongs to a user. Subclasses add fields and rules; `writes` and `operations` beside this store them.

    Their `Meta` extends this one's constraints and indexes; every unique constraint begins with `user`, so that the
    table can be distributed by it (docs/scaling.md). PostgreSQL parses each CHECK for every write, but not the length
    of a CharField: texts are bounded by `max_length`, and one CHECK holds the rest.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="%(class)ss", db_index=False
    )  # the constraints below begin with it
    uid = models.CharField(max_length=MAX_UID, default=new_uid)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    version = models.BigIntegerField()
    deleted_at = models.DateTimeField(null=True, blank=True)
    erased_at = models.DateTimeField(null=True, blank=True)  # of a tombstone without content, which cannot come back

    objects = OwnedQuerySet.as_manager()

    operation: int | None = None  # that has changed this row just now
    step: Any = None  # what a change means beside its columns: of a row that has one, `effects` are stored, too

    mutable: ClassVar[tuple[str, ...]]  # columns that are compared to detect a change, named as the API's members
    derived: ClassVar[tuple[str, ...]] = ()  # those of them that are computed from others
    sources: ClassVar[frozenset[str]] = frozenset()  # from which the derived ones are computed
    # Columns of up to thousands of bytes, which are not read of a row's relatives: a tree of them would take gigabytes.
    large: ClassVar[tuple[str, ...]] = ()
    # Columns that `follow_zone` computes, and from which ones, unless those are null.
    zoned: ClassVar[Mapping[str, str]] = {}
    # Properties that a serializer shows, as expressions in SQL, so that lists read them without instances.
    expressions: ClassVar[Mapping[str, Any]] = {}
    # The setting with the maximum number of rows per account. The feed counts those of one model, so that writes do not
    # have to; others are counted when one is created or restored.
    limit_setting: ClassVar[str | None] = None
    is_counted: ClassVar[bool] = False
    # The maximum itself, of a resource whose operators have no say in it.
    max_rows: ClassVar[int | None] = None
    # References of a tree's rows that are those of their root.
    inherited: ClassVar[tuple[str, ...]] = ()
    # What holds for each row, whoever writes it: REST, admin or command. Constraints hold most of it, too.
    rules: ClassVar[Sequence[Rule]] = ()

    class Meta:
        abstract = True
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["user", "uid"], name="%(app_label)s_%(class)s_uid"),
            models.UniqueConstraint(fields=["user", "id"], name="%(app_label)s_%(class)s_own"),  # for references
            models.CheckConstraint(name="%(app_label)s_%(class)s_uid_not_empty", condition=Q(uid__gt="")),
        ]
        indexes: ClassVar[list[Any]] = [
            models.Index(
                "user",
                models.F("deleted_at").desc(),
                models.F("id").desc(),
                name="%(app_label)s_%(class)s_trash",
                condition=Q(deleted_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        """Without user text, as the admin shows this also to staff without the permission to view text."""
        return f"{type(self).__name__} {self.pk}"

    @classmethod
    def type_name(cls) -> str:
        """The resource's name: `task`."""
        return str(cls._meta.verbose_name).replace(" ", "_")

    def apply(self, sent: Mapping[str, Any], user: "Actor", now: dt.datetime) -> Diff:
        """Assign the fields that were sent, and derive others; returns what has changed.

        The user's time zone is only asked for where a field depends on it, since that may need a query. A change of
        `derived` columns alone is none, so that a client can send back what it got.
        Raises Invalid: ImmutableUid, and what `take_over` raises.
        """
        if "uid" in sent and nfc(sent["uid"]) != nfc(self.uid):
            raise ImmutableUid(f"The uid of a {self._meta.verbose_name} never changes.", pointer="/uid")
        before = self.values()
        self.take_over({name: value for name, value in sent.items() if name != "uid"}, user, now)
        for each in self.references():
            if not each.null and getattr(self, each.attname) is None:
                raise Invalid(f"A {self._meta.verbose_name} has a {each.name}.", pointer=f"/{each.attname}")
        if not (1 <= len(self.uid) <= MAX_UID and is_storable(self.uid)):
            raise Invalid(f"A uid has 1 to {MAX_UID} characters.", pointer="/uid")
        return self.diff(before)

    def values(self) -> dict[str, Any]:
        """The columns that a change is made of, those that are loaded."""
        loaded = self.__dict__
        return {name: loaded[name] for name in (*self.mutable, "deleted_at") if name in loaded}

    def diff(self, before: Mapping[str, Any]) -> Diff:
        """What has changed since these `values`; nothing, if only derived columns have."""
        loaded = self.__dict__
        diff = {
            name: (old, new)
            for name, old in before.items()
            if (new := loaded[name]) is not old and not is_same(new, old)
        }
        return diff if diff.keys() - set(self.derived) else {}

    @classmethod
    @cache
    def blank(cls) -> dict[str, Any]:
        """The defaults of the columns that the log tells of."""
        return {name: default for name, default in cls._defaults().items() if name not in cls.derived}

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        fields = {field.attname: field for field in cls._meta.concrete_fields}
        return {name: fields[name].get_default() for name in cls.mutable}

    def content(self) -> Diff:
        """Of a new row, the columns that differ from their defaults."""
        return {name: (None, value) for name, blank in self.blank().items() if (value := getattr(self, name)) != blank}

    def erase(self, now: dt.datetime) -> None:
        """Leave nothing but the tombstone, with what it cannot be without: rows that it refers to are no content."""
        self.erased_at = now
        defaults = self._defaults()
        for name in self.erasable():
            setattr(self, name, defaults[name])

    @classmethod
    @cache
    def erasable(cls) -> tuple[str, ...]:
        """The columns that a tombstone loses when it is erased."""
        kept = {each.attname for each in cls.references() if not each.null}
        return tuple(name for name in cls.mutable if name not in kept)

    def kind_of(self, diff: Diff) -> Kind:
        """What a change is called in the log."""
        if "deleted_at" in diff:
            return Kind.RESTORED if self.deleted_at is None else Kind.DELETED
        return Kind.UPDATED

    @classmethod
    @cache
    def references(cls) -> tuple[Reference, ...]:
        return tuple(field for field in cls._meta.concrete_fields if isinstance(field, Reference))

    @classmethod
    @cache
    def many(cls) -> tuple[References, ...]:
        return tuple(field for field in cls._meta.concrete_fields if isinstance(field, References))

    @classmethod
    @cache
    def tree(cls) -> Reference | None:
        """The reference to a row of the same model."""
        return next((each for each in cls.references() if each.is_tree), None)

    def take_over(self, sent: dict[str, Any], user: "Actor", now: dt.datetime) -> None:
        """Assign the fields that were sent, and derive others. Raises Invalid where a rule of the row is violated."""
        for name, value in sent.items():
            setattr(self, name, value)
        for member, holds, sentence in self.rules:
            if member in self.__dict__ and not holds(self):  # else it was read without that
                raise Invalid(sentence, pointer=f"/{member}")

    @classmethod
    def effects(cls, user_id: int, rows: Sequence[Self], now: dt.datetime) -> list[Raw]:
        """Further statements of a change of these rows, which have a `step` and their new versions; to run after it."""
        return []

    @classmethod
    def effects_of_undo(cls, user_id: int, operation: int, entries: Collection["Entry"], now: dt.datetime) -> list[Raw]:
        """The same for undoing an operation, with its entries of this model."""
        return []

    def update_derived_fields(self, now: dt.datetime) -> None:
        """Set the columns that are computed from others."""

    def follow_zone(self, user: "Actor") -> None:
        """Recompute the fields that depend on the owner's time zone, which may have changed since they were stored."""
