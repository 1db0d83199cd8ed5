"""The account, its sessions, and what it remembers of requests that were sent with an Idempotency-Key."""

import datetime as dt
import uuid
from typing import Any, Self
from zoneinfo import ZoneInfo

import uuid_utils.compat
from django.conf import settings
from django.contrib.auth.hashers import make_password, verify_password
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import IntegrityError, models, transaction
from django.db.models import F, Q
from django.utils.timezone import now

from config.database.models import RowModel
from config.errors import violated_constraint
from users.text import (
    MAX_EMAIL,
    MAX_NAME,
    MAX_PASSWORD,
    canonical_email,
    known_timezones,
    opaque_string,
    validate_email,
)

EMAIL_TAKEN = "users_user_email_canonical"


def validate_timezone(name: str) -> None:
    if name not in known_timezones():
        raise ValidationError("Use an IANA time zone name, for example Asia/Karachi.", code="unknown_timezone")


def new_session_id() -> uuid.UUID:
    """UUIDv7 (RFC 9562): sessions lie in their index in the order in which they were opened."""
    return uuid_utils.compat.uuid7()


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None, **fields: Any) -> "User":
        """Store a new local account; without a password nobody can sign in to it."""
        user = self.model()
        user.set_email(email)
        for name, value in fields.items():
            setattr(user, name, value)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None, **fields: Any) -> "User":
        """For the command, which prints a ValidationError and would show a traceback of all others."""
        validate_email(email)
        MaxLengthValidator(MAX_PASSWORD)(password or "")
        fields = {"is_staff": True, "is_superuser": True, "email_verified_at": now(), **fields}
        try:
            with transaction.atomic():
                return self.create_user(email, password, **fields)
        except IntegrityError as error:
            if violated_constraint(error) != EMAIL_TAKEN:
                raise
            raise ValidationError("An account with this e-mail address exists.", code="email_taken") from error

    def get_by_natural_key(self, email: str | None) -> "User":
        return self.get(email_canonical=canonical_email(email or ""))


class User(RowModel, AbstractBaseUser, PermissionsMixin):
    """A local account signs in here with its e-mail; an external one is `subject` to its `issuer`.

    The e-mail of an external account is what its issuer said at first sight: it identifies nobody, so that
    nobody gets into a local account by making another issuer vouch for its address.
    """

    email = models.EmailField("e-mail", max_length=MAX_EMAIL)
    # Null for external accounts. Case folding can lengthen a text; NFKC can too.
    email_canonical = models.TextField(null=True, editable=False)
    email_verified_at = models.DateTimeField(null=True, editable=False)
    # Null for local accounts, which the unique constraint then passes over.
    issuer = models.TextField(null=True, editable=False)
    subject = models.TextField(null=True, editable=False)
    name = models.CharField(max_length=MAX_NAME, blank=True, default="")
    timezone = models.CharField("time zone", max_length=64, default="UTC", validators=[validate_timezone])
    is_active = models.BooleanField("active", default=True)
    is_staff = models.BooleanField("staff", default=False, help_text="May sign in to the admin.")
    created_at = models.DateTimeField(default=now, editable=False)
    # The `ver` claim: tokens of an older generation are refused.
    token_version = models.PositiveIntegerField(default=0, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        indexes = [models.Index(fields=["created_at", "id"], name="users_user_created")]
        constraints = [
            models.UniqueConstraint(fields=["email_canonical"], name=EMAIL_TAKEN),
            models.UniqueConstraint(fields=["issuer", "subject"], name="users_user_subject"),
            models.CheckConstraint(
                name="users_user_identity",
                condition=Q(issuer=None, subject=None, email_canonical__isnull=False)
                | Q(issuer__isnull=False, subject__isnull=False, email_canonical=None),
            ),
        ]

    def __str__(self) -> str:
        return self.email or self.public_id

    def set_email(self, email: str) -> None:
        """A new address is unverified until its owner shows that mail arrives."""
        self.email = email.strip()
        self.email_canonical = None if self.is_external else canonical_email(email)
        self.email_verified_at = None

    def set_password(self, raw_password: str | None) -> None:
        super().set_password(None if raw_password is None else opaque_string(raw_password))

    def check_password(self, raw_password: str) -> bool:  # type: ignore[override]  # nobody asks without one
        """Whether it is right. A hash of other parameters, or of another Unicode form, is then replaced.

        Older hashes were made of the password as it was typed. How often this hashes a wrong password depends on
        nothing but what was typed, so that its time does not tell whether there is such an account.
        """
        password = opaque_string(raw_password)
        is_right, is_outdated = verify_password(password, self.password)
        if not is_right and raw_password != password:
            is_right, _ = verify_password(raw_password, self.password)
            is_outdated = is_right
        if is_right and is_outdated:
            self._rehash(password)
        return is_right

    def _rehash(self, password: str) -> None:
        """Unless the password was changed since it was read: the old one must not come back."""
        unchanged = User.objects.filter(pk=self.pk, password=self.password)
        self.password = make_password(password)
        unchanged.update(password=self.password)

    @property
    def public_id(self) -> str:
        """What stands for the user in paths, tokens and `user_id`."""
        return str(self.pk) if self.subject is None else self.subject

    @property
    def is_external(self) -> bool:
        return self.issuer is not None

    @property
    def is_email_verified(self) -> bool:
        return self.email_verified_at is not None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


class ClosedAccount(models.Model):
    """The trace of a deleted external account: its issuer's tokens outlive it, and must not open it anew."""

    digest = models.CharField(max_length=64, primary_key=True)  # of issuer and subject
    closed_at = models.DateTimeField()


class SpentInvitation(models.Model):
    """An invitation that has opened an account: it must not do so again, should that account be deleted."""

    digest = models.CharField(max_length=64, primary_key=True)
    expires_at = models.DateTimeField()


class SessionQuerySet(models.QuerySet["Session"]):
    def for_user(self, user: User) -> Self:
        """The first wall: every read begins here."""
        return self.filter(user=user)

    def live(self) -> Self:
        """Whose refresh token has not expired."""
        return self.filter(last_used_at__gt=now() - settings.REFRESH_TOKEN_LIFETIME)

    def expired(self) -> Self:
        return self.filter(last_used_at__lte=now() - settings.REFRESH_TOKEN_LIFETIME)


class Session(RowModel):
    """A sign-in. Its refresh tokens are one family (RFC 9700, section 4.14.2): each is traded for the next.

    No token is stored. The live one is that of the current generation; it can be signed anew from this row.
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
        # For the staff's list, which it orders, for who was active, and for those that have expired.
        indexes = [models.Index(fields=["last_used_at", "id"], include=["user"], name="users_session_last_used")]

    def __str__(self) -> str:
        return f"{self.user_agent or 'unknown client'} ({self.address or 'unknown address'})"

    @property
    def expires_at(self) -> dt.datetime:
        lifetime: dt.timedelta = settings.REFRESH_TOKEN_LIFETIME
        return self.last_used_at + lifetime


class IdempotencyKey(models.Model):
    """The answer to a request that may be sent again; neither the key nor any token is stored.

    An answer with tokens is kept as its session and generation, of which they can be signed anew.
    """

    digest = models.CharField(max_length=64, primary_key=True)  # of scope, route and key
    fingerprint = models.CharField(max_length=64)  # of the body
    user = models.ForeignKey(User, models.CASCADE, null=True, related_name="idempotency_keys")
    session = models.ForeignKey(Session, models.CASCADE, null=True, related_name="idempotency_keys")
    generation = models.PositiveIntegerField(null=True)
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.TextField(blank=True, default="")  # JSON, to the letter
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    def store(self) -> None:
        """In place of an expired one that may be there."""
        columns = [field.name for field in self._meta.fields if not field.primary_key]
        IdempotencyKey.objects.bulk_create(
            [self], update_conflicts=True, unique_fields=["digest"], update_fields=columns
        )


class AuditEvent(models.Model):
    """Who did what to whom, when and from where. The migration makes the table append-only.

    The accounts are not referred to by a constraint: an event outlives them, and names them as they were.
    """

    at = models.DateTimeField(db_index=True)
    action = models.CharField(max_length=40)
    # Null where nobody has proven who he is, and in commands.
    actor = models.ForeignKey(User, models.DO_NOTHING, null=True, db_constraint=False, related_name="+")
    actor_email = models.TextField("actor", blank=True, default="")
    # Whose account, or whose row it was done to.
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


class Feed(RowModel):
    """The counter of one user's changes; `users.resources.feed` increments it."""

    user = models.OneToOneField(User, models.CASCADE, primary_key=True, related_name="feed")
    head = models.BigIntegerField(default=0)  # the last number given out
    floor = models.BigIntegerField(default=0)  # tombstones up to here may be gone
    # How many rows there are, and how many with tombstones: for the limit, so that no write has to count them.
    live = models.IntegerField(default=0, db_default=0)
    stored = models.IntegerField(default=0, db_default=0)

    class Meta:
        db_table = "tasks_feed"  # its name of before other resources had a part in it
        constraints = [models.CheckConstraint(name="tasks_feed_order", condition=Q(head__gte=F("floor")))]
