"""The model of an import: what came of a file, for as long as its operation can be undone."""

import datetime as dt
import io
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Substr
from django.utils import timezone

from config.database.leases import LeasedModel, LeasedQuerySet
from config.database.models import RowModel

if TYPE_CHECKING:
    from users.tokens.callers import Actor

PIECE = 256 * 1024  # bytes


class ImportQuerySet(LeasedQuerySet["Import"]):
    def for_user(self, user: "Actor") -> Self:
        """The first wall: every read begins here."""
        return self.filter(user=user.pk)

    def without_files(self) -> Self:
        """Of several, they would fill the memory."""
        return self.defer("data")

    def pending(self) -> Self:
        """Those whose file is kept."""
        return self.filter(due_at__isnull=False)

    def failed_since(self, moment: dt.datetime) -> Self:
        return self.filter(status=Import.Status.FAILED, created_at__gt=moment)

    def made_before(self, moment: dt.datetime) -> Self:
        return self.filter(created_at__lt=moment)


class Import(RowModel, LeasedModel):
    """Its report has no text of the file's rows, so that what is erased later is gone. The file itself is kept until a
    worker has dealt with it."""

    class Status(models.TextChoices):
        WAITING = "waiting"  # for a worker
        RUNNING = (
            "running"  # one of a command that was interrupted stays so: importing the file again goes on from there
        )
        DONE = "done"
        FAILED = "failed"  # `error` tells why; what was done before stays

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="imports", db_index=False)
    created_at = models.DateTimeField(default=timezone.now)
    format = models.CharField(max_length=40)
    status = models.CharField(max_length=20, choices=Status.choices)
    total = models.IntegerField()  # projects and tasks in the file
    done = models.IntegerField(default=0)  # those of them that are dealt with
    operation = models.BigIntegerField(null=True)  # the last one; null if nothing has changed
    operations = ArrayField(models.BigIntegerField(), default=list)  # all of them, the oldest first
    error = models.TextField(blank=True, default="")
    data = models.BinaryField(null=True)  # the file; null once it is dealt with
    file_name = models.TextField(blank=True, default="")
    zone = models.CharField(max_length=64, blank=True, default="")
    report = models.JSONField(default=dict)

    objects = ImportQuerySet.as_manager()

    class Meta(LeasedModel.Meta):
        default_permissions = ("view",)
        indexes = [
            *LeasedModel.Meta.indexes,
            models.Index("user", models.F("id").desc(), name="transfer_import_list"),
            models.Index("created_at", name="transfer_import_created"),
        ]

    def __str__(self) -> str:
        """Without user text, as the admin shows this also to staff without the permission to view text."""
        return f"Import {self.pk}"

    def read_file(self) -> bytes:
        """Empty, once it is dealt with. In pieces: a connection keeps the memory of the largest row that it has
        received, which is twice as long on its way."""
        file = io.BytesIO()
        own = Import.objects.filter(pk=self.pk)
        while piece := own.values_list(Substr("data", file.tell() + 1, PIECE), flat=True).first():
            file.write(piece)
        return file.getvalue()
