"""The audit log, and the accounts that its events are about."""

from django.db import models

from users.models.accounts import User


class AuditEvent(models.Model):
    """An event of the audit log: actor, action, subject, time and address. Append-only, by the migration.

    Without foreign key constraints on the accounts: an event outlives them, and keeps their addresses of then.
    """

    at = models.DateTimeField(db_index=True)
    action = models.CharField(max_length=40)
    # Null for unauthenticated requests, and in commands.
    actor = models.ForeignKey(User, models.DO_NOTHING, null=True, db_constraint=False, related_name="+")
    actor_email = models.TextField("actor", blank=True, default="")
    # The account that was acted upon, or whose row was.
    subject = models.ForeignKey(User, models.DO_NOTHING, null=True, db_constraint=False, related_name="+")
    subject_email = models.TextField("subject", blank=True, default="")
    object_type = models.CharField(max_length=60, blank=True, default="")  # such as tasks.task
    object_id = models.TextField(blank=True, default="")
    address = models.GenericIPAddressField(null=True, blank=True)
    request_id = models.TextField(blank=True, default="")
    details = models.JSONField(default=dict, blank=True)

    class Meta:
        indexes = [models.Index(fields=["object_type", "object_id"], name="users_auditevent_object")]

    def __str__(self) -> str:
        return f"{self.action} of {self.at:%Y-%m-%d %H:%M:%S} UTC"


class AuditSubject(models.Model):
    """One of the several accounts that an event is about, by which it is found: an index of the event's details.

    PostgreSQL has none behind row level security, as the operators of JSON are not leakproof. Without constraints, as
    both accounts and events are deleted without it; `audit.prune` does so.
    """

    pk = models.CompositePrimaryKey("event", "user")
    event = models.ForeignKey(AuditEvent, models.DO_NOTHING, db_constraint=False, db_index=False)
    user = models.ForeignKey(User, models.DO_NOTHING, db_constraint=False, related_name="+")

    class Meta:
        default_permissions = ()
