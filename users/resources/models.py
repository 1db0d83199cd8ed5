"""What every table of users' rows has in common: the owner, the identity, the version and the trash."""

import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

import uuid_utils
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Length

from config.database.models import RowModel
from config.errors import Invalid
from config.values import nfc
from users.resources.querysets import OwnedQuerySet

if TYPE_CHECKING:
    pass

MAX_UID = 255

models.TextField.register_lookup(Length)


def new_uid() -> str:
    """UUIDv7 (RFC 9562): unique without asking anybody, and in order of creation."""
    return str(uuid_utils.uuid7())


class ImmutableUid(Invalid):
    code = "immutable"


class OwnedModel(RowModel):
    """A row of a user's. Subclasses name their fields and rules; `users.resources.writes` stores them.

    Their `Meta` extends this one's constraints; that every one of these begins with `user` is decision 8 of the design.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="%(class)ss", db_index=False
    )  # the constraints below begin with it
    uid = models.TextField(default=new_uid)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    version = models.BigIntegerField()
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = OwnedQuerySet.as_manager()

    next_version: int  # of a locked row: the number that its change takes

    mutable: ClassVar[tuple[str, ...]]  # columns that change, for comparing what was with what is
    derived: ClassVar[tuple[str, ...]] = ()  # those of them that only follow from others
    # The setting with the number of rows that an account may have; the feed counts them, so that no write has to.
    limit_setting: ClassVar[str | None] = None

    class Meta:
        abstract = True
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["user", "uid"], name="%(app_label)s_%(class)s_uid"),
            models.UniqueConstraint(fields=["user", "version"], name="%(app_label)s_%(class)s_version"),
            models.CheckConstraint(
                name="%(app_label)s_%(class)s_uid_length",
                condition=Q(uid__length__gte=1, uid__length__lte=MAX_UID),
            ),
        ]

    def __str__(self) -> str:
        """Not the title: the admin shows this in places where it asks for no permission."""
        return f"{type(self).__name__} {self.pk}"

    def apply(self, sent: dict[str, Any], zone: ZoneInfo, now: dt.datetime) -> list[str]:
        """Take over what was sent and what follows from it; return the names of the fields that differ.

        A client may send back what it got: what only `derived` columns make of it in another way is no change.
        Raises Invalid, and of it ImmutableUid and whatever `take_over` raises.
        """
        if "uid" in sent and nfc(sent["uid"]) != nfc(self.uid):
            raise ImmutableUid(f"The uid of a {self._meta.verbose_name} never changes.", pointer="/uid")
        before = {name: getattr(self, name) for name in self.mutable}
        self.take_over({name: value for name, value in sent.items() if name != "uid"}, zone, now)
        changed = [name for name in self.mutable if getattr(self, name) != before[name]]
        return [] if set(changed) <= set(self.derived) else changed

    def take_over(self, sent: dict[str, Any], zone: ZoneInfo, now: dt.datetime) -> None:
        """Set the fields that were sent, and those that follow. Raises Invalid for what breaks a rule of the row."""
        for name, value in sent.items():
            setattr(self, name, value)

    def return_from_trash(self, zone: ZoneInfo) -> list[str]:
        """What has to follow where the owner lives by now; returns the names of the fields that may differ."""
        return []
