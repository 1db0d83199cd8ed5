"""What tasks and projects have in common: a place among their siblings, and members of the client's own."""

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models

from config.errors import Invalid
from config.http.json import to_json
from config.values import is_storable
from tasks import positions
from users.models import Kind
from users.resources.models import Diff, OwnedModel
from users.resources.querysets import as_json

if TYPE_CHECKING:
    from users.tokens.callers import Actor

MAX_EXTRA = 8192  # bytes of JSON
MAX_EXTRA_DEPTH = 4  # levels, the object's own included
# Numbers that every client and PostgreSQL's jsonb keep as they are.
MAX_NUMBER, MIN_NUMBER = 2**53, 1e-15
EXTRA_RULE = (
    f"extra is an object of at most {MAX_EXTRA} bytes and {MAX_EXTRA_DEPTH} levels, with numbers up to 2^53 and texts "
    "without NUL."
)


class Placed(OwnedModel):
    """A row of a tree with a `parent`, in an order that people choose."""

    position = models.CharField(
        max_length=positions.MAX_LENGTH, default=positions.FIRST, editable=False, db_collation="C"
    )
    extra = models.JSONField(default=dict, blank=True)

    mutable: ClassVar[tuple[str, ...]] = ("parent_id", "position", "extra")
    expressions: ClassVar[Mapping[str, Any]] = {"extra_json": as_json("extra")}
    scope: ClassVar[tuple[str, ...]] = ("parent_id",)  # the columns that siblings have in common

    class Meta(OwnedModel.Meta):
        abstract = True

    @property
    def extra_json(self) -> Any:
        return self.extra

    def take_over(self, sent: dict[str, Any], user: "Actor", now: dt.datetime) -> None:
        if "extra_json" in sent:
            extra = sent["extra_json"]
            sent = {name: value for name, value in sent.items() if name != "extra_json"} | {"extra": extra}
        if self._state.adding and not sent.get("position"):
            sent = {**sent, "position": positions.newest(now)}
        super().take_over(sent, user, now)
        if "position" in sent and not positions.is_valid(self.position):
            raise Invalid(positions.RULE, pointer="/position")
        if "extra" in sent and not is_extra(self.extra):
            raise Invalid(EXTRA_RULE, pointer="/extra")

    def kind_of(self, diff: Diff) -> Kind:
        return Kind.MOVED if {*self.scope, "position"}.issuperset(diff) else super().kind_of(diff)

    def siblings(self) -> Any:
        """The others of its place, in their order."""
        rows: Any = type(self)._default_manager
        same = {name: getattr(self, name) for name in self.scope}
        return rows.filter(user=self.user_id).visible().filter(**same).exclude(pk=self.pk).order_by("position", "pk")


def is_extra(value: Any) -> bool:
    """Whether it is an object that is kept as it is, within the bounds."""
    level, depth = [value], 0
    while level:
        depth += 1
        containers = [each for each in level if isinstance(each, dict | list)]
        plain = [each for each in level if not isinstance(each, dict | list)]
        names = [name for each in containers if isinstance(each, dict) for name in each]
        if (containers and depth > MAX_EXTRA_DEPTH) or not all(map(_is_kept, [*plain, *names])):
            return False
        level = [child for each in containers for child in (each.values() if isinstance(each, dict) else each)]
    return isinstance(value, dict) and len(to_json(value)) <= MAX_EXTRA


def _is_kept(value: Any) -> bool:
    if isinstance(value, str):
        return is_storable(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value == 0 or MIN_NUMBER <= abs(value) <= MAX_NUMBER
    return value is None or isinstance(value, bool)
