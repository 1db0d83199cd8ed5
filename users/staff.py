"""What staff leaves: notes on accounts, and the accounts of whose rows they read several at once."""

from django.conf import settings
from django.db import models

MAX_NOTE = 4000


class AccountNote(models.Model):
    """Row level security hides it from the account, which finds it in its export alone, without the author."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="staff_notes")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    text = models.TextField(max_length=MAX_NOTE)
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ("add", "delete", "view")

    def __str__(self) -> str:
        """Without its text, which no event of the audit may hold."""
        return f"note {self.pk}"


class AuditSubject(models.Model):
    """One of the several accounts that an event is about, by which it is found: an index of the event's details.

    PostgreSQL has none behind row level security, as the operators of JSON are not leakproof. Without constraints, as
    both accounts and events are deleted without it; `audit.prune` does so.
    """

    pk = models.CompositePrimaryKey("event", "user")
    event = models.ForeignKey("users.AuditEvent", models.DO_NOTHING, db_constraint=False, db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, db_constraint=False, related_name="+")

    class Meta:
        default_permissions = ()
