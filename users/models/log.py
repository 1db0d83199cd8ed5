"""The change counter of each user, the log that it numbers, and the epoch that the numbers belong to."""

from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import F, Q

from config.database.models import RowModel
from config.database.queries import Param
from users.models.accounts import User

if TYPE_CHECKING:
    from users.tokens.callers import Caller


class Feed(RowModel):
    """The counter of one user's changes; `users.resources.feed` increments it."""

    user = models.OneToOneField(User, models.CASCADE, primary_key=True, related_name="feed")
    head = models.BigIntegerField(default=0)  # the last number given out
    floor = models.BigIntegerField(default=0)  # tombstones up to here may be gone
    # The number of visible rows, and of rows with tombstones: for the limit, so that writes do not count them.
    live = models.IntegerField(default=0, db_default=0)
    stored = models.IntegerField(default=0, db_default=0)

    class Meta:
        db_table = "tasks_feed"  # from when tasks were the only resource
        constraints = [models.CheckConstraint(name="tasks_feed_order", condition=Q(head__gte=F("floor")))]


class Kind(models.TextChoices):
    """What a change did to a row."""

    CREATED = "created"
    UPDATED = "updated"
    COMPLETED = "completed"
    REOPENED = "reopened"
    ADVANCED = "advanced"
    SKIPPED = "skipped"
    MOVED = "moved"
    DELETED = "deleted"
    RESTORED = "restored"
    ERASED = "erased"
    UNDONE = "undone"


class ChangeQuerySet(models.QuerySet["Change"]):
    def for_user(self, user: "User | Caller | Param") -> Self:
        """The first wall: every read begins here."""
        return self.filter(user=user if isinstance(user, Param) else user.pk)


class Change(RowModel):
    """An entry of the log: the change of one row. Appended by the statement that writes the row, in commit order.

    An operation is what one request did; its id is its last version. The primary key is the only index: the entries of
    a row are a linked list from its version, by `previous`, and those of an operation are consecutive.
    """

    pk = models.CompositePrimaryKey("user", "version")
    # Without a constraint, whose check would cost each write: who writes has locked the account.
    user = models.ForeignKey(User, models.CASCADE, db_constraint=False, db_index=False, related_name="changes")
    version = models.BigIntegerField()
    operation = models.BigIntegerField()
    kind = models.CharField(max_length=20)  # a Kind
    type = models.CharField(max_length=60)  # the resource's name
    object_id = models.BigIntegerField()
    previous = models.BigIntegerField(null=True)  # the row's version before, also from before the log
    undoes = models.BigIntegerField(null=True)  # an operation
    at = models.DateTimeField()
    actor = models.TextField()
    # By column, the value before and after; of a new row, those that differ from their defaults. Empty once erased.
    diff = models.JSONField(default=dict)

    objects = ChangeQuerySet.as_manager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        """Without user text, as the admin shows this also to staff without the permission to view text."""
        return f"{self.kind} {self.type} {self.object_id}"


class Epoch(models.Model):
    """The history that the database is in, in one row; `users.services.epochs` begins a new one after a restore.

    Its columns stay as they are: `restore` writes them before the migrations that the backup lacks.
    """

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    value = models.BigIntegerField()  # random: in every cursor, so that those of another history are refused
    base = models.BigIntegerField(default=0)  # where the counter of an account begins that has no feed yet
    timeline = models.BigIntegerField(null=True)  # PostgreSQL's, at the beginning; null where it is not told
    began_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(name="users_epoch_one", condition=Q(id=1)),
            models.CheckConstraint(name="users_epoch_value", condition=Q(value__gt=0)),
        ]
