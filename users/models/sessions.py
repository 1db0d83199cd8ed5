"""Models of what signs a user in, and of the answers that are kept for a repeated request."""

import datetime as dt
import uuid
from typing import Self

import uuid_utils.compat
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.timezone import now

from config.database.models import RowModel
from users.models.accounts import User

MAX_TOKEN_NAME = 100


def new_session_id() -> uuid.UUID:
    """UUIDv7 (RFC 9562): index order is the order of creation."""
    return uuid_utils.compat.uuid7()


class SessionQuerySet(models.QuerySet["Session"]):
    def for_user(self, user: User) -> Self:
        """The first wall: every read begins here."""
        return self.filter(user=user)

    def live(self) -> Self:
        """Sessions whose refresh token has not expired."""
        return self.filter(last_used_at__gt=now() - settings.REFRESH_TOKEN_LIFETIME)

    def expired(self) -> Self:
        return self.filter(last_used_at__lte=now() - settings.REFRESH_TOKEN_LIFETIME)


class Session(RowModel):
    """A sign-in: a family of rotating refresh tokens (RFC 9700, section 4.14.2).

    No token is stored. The valid one is that of the current generation, which can be signed again from this row.
    """

    id = models.UUIDField(primary_key=True, default=new_session_id, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="sessions")
    user_agent = models.TextField(blank=True, default="")
    address = models.GenericIPAddressField(null=True, blank=True)
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField()  # when the current generation was issued
    generation = models.PositiveIntegerField(default=0)

    objects = SessionQuerySet.as_manager()

    class Meta:
        # For the order of the admin's list, the count of active users, and pruning.
        indexes = [models.Index(fields=["last_used_at", "id"], include=["user"], name="users_session_last_used")]

    def __str__(self) -> str:
        return f"{self.user_agent or 'unknown client'} ({self.address or 'unknown address'})"

    @property
    def expires_at(self) -> dt.datetime:
        lifetime: dt.timedelta = settings.REFRESH_TOKEN_LIFETIME
        return self.last_used_at + lifetime


class PersonalTokenQuerySet(models.QuerySet["PersonalToken"]):
    def for_user(self, user: User) -> Self:
        """The first wall: every read begins here."""
        return self.filter(user=user)

    def live(self) -> Self:
        return self.exclude(expires_at__lte=now())

    def expired(self, for_days: int = 0) -> Self:
        return self.filter(expires_at__lte=now() - dt.timedelta(days=for_days))


class PersonalToken(models.Model):
    """A key of a user's for a script, which may do less than a session: what its scopes name. Revoking is deleting."""

    id = models.UUIDField(primary_key=True, default=new_session_id, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="personal_tokens")
    digest = models.CharField(max_length=64, editable=False)  # SHA-256 of the token, which is not stored
    prefix = models.CharField(max_length=20)  # its first characters, by which people know it
    name = models.CharField(max_length=MAX_TOKEN_NAME)
    scopes = ArrayField(models.TextField())
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    warned_at = models.DateTimeField(null=True, editable=False)  # of the mail before it expires
    # Written once an hour at most.
    last_used_at = models.DateTimeField(null=True)
    last_used_network = models.TextField(blank=True, default="")

    objects = PersonalTokenQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["digest"], name="users_personaltoken_digest"),
            models.Index(fields=["expires_at"], name="users_personaltoken_expires"),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}…"


class IdempotencyKey(models.Model):
    """The stored answer to a request with an Idempotency-Key; neither the key nor any token is stored.

    An answer with tokens is stored as session and generation, from which they can be signed again.
    """

    digest = models.CharField(max_length=64, primary_key=True)  # of scope, route and key
    fingerprint = models.CharField(max_length=64)  # of the body
    user = models.ForeignKey(User, models.CASCADE, null=True, related_name="idempotency_keys")
    session = models.ForeignKey(Session, models.CASCADE, null=True, related_name="idempotency_keys")
    generation = models.PositiveIntegerField(null=True)
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.TextField(blank=True, default="")  # JSON, byte for byte
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    def store(self) -> None:
        """Upsert: an expired row of the same key may still exist."""
        names = [field.name for field in self._meta.fields if not field.primary_key]
        IdempotencyKey.objects.bulk_create([self], update_conflicts=True, unique_fields=["digest"], update_fields=names)
