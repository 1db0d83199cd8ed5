"""Models of accounts, sessions, tokens, idempotency keys, the audit, the change counter, the log and its epoch."""

import datetime as dt
import uuid
from typing import TYPE_CHECKING, Any, Self

import uuid_utils.compat
from django.conf import settings
from django.contrib.auth.hashers import make_password, verify_password
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import IntegrityError, models, transaction
from django.db.models import F, Q
from django.utils.timezone import now

from config.database.models import RowModel
from config.database.queries import Param
from config.errors import violated_constraint
from users.preferences import Preferences
from users.staff import AccountNote as AccountNote
from users.text import (
    MAX_EMAIL,
    MAX_NAME,
    MAX_PASSWORD,
    canonical_email,
    opaque_string,
    validate_email,
)

if TYPE_CHECKING:
    from users.tokens.callers import Caller

EMAIL_TAKEN = "users_user_email_canonical"
MAX_TOKEN_NAME = 100


def new_session_id() -> uuid.UUID:
    """UUIDv7 (RFC 9562): index order is the order of creation."""
    return uuid_utils.compat.uuid7()


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None, **fields: Any) -> "User":
        """Insert a local account; without a password, its password is unusable."""
        user = self.model()
        user.set_email(email)
        for name, value in fields.items():
            setattr(user, name, value)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None, **fields: Any) -> "User":
        """For the command, which prints a ValidationError, and a traceback of any other exception."""
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


class User(RowModel, Preferences, AbstractBaseUser, PermissionsMixin):
    """A local account, which signs in with its e-mail address, or an external one, with its `issuer` and `subject`.

    The e-mail address of an external account is a claim of its first token. It is not an identifier, so that a claim of
    another person's address gives no access to their local account.
    """

    email = models.EmailField("e-mail", max_length=MAX_EMAIL)
    # Null for external accounts. Case folding and NFKC can lengthen a text.
    email_canonical = models.TextField(null=True, editable=False)
    email_verified_at = models.DateTimeField(null=True, editable=False)
    # Null for local accounts, which the unique constraint then ignores.
    issuer = models.TextField(null=True, editable=False)
    subject = models.TextField(null=True, editable=False)
    name = models.CharField(max_length=MAX_NAME, blank=True, default="")
    is_active = models.BooleanField("active", default=True)
    is_staff = models.BooleanField("staff", default=False, help_text="May sign in to the admin.")
    created_at = models.DateTimeField(default=now, editable=False)
    # The `ver` claim: incrementing it revokes all tokens.
    token_version = models.PositiveIntegerField(default=0, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        permissions = [("support_user", "Can confirm addresses, send mails and invite")]
        indexes = [models.Index(fields=["created_at", "id"], name="users_user_created")]
        constraints = [
            *Preferences.Meta.constraints,
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
        """Set a new, unverified address."""
        self.email = email.strip()
        self.email_canonical = None if self.is_external else canonical_email(email)
        self.email_verified_at = None

    def set_password(self, raw_password: str | None) -> None:
        super().set_password(None if raw_password is None else opaque_string(raw_password))

    def check_password(self, raw_password: str) -> bool:  # type: ignore[override]  # never called with None
        """Whether the password is right; if so, a hash of other parameters or of another Unicode form is replaced.

        Older hashes were made from the password as typed. The number of hashes for a wrong password depends only on
        what was typed, so that the timing does not reveal whether the account exists.
        """
        password = opaque_string(raw_password)
        is_right, is_outdated = verify_password(password, self.password)
        if not is_right and raw_password != password:
            is_right, _ = verify_password(raw_password, self.password)
            is_outdated = is_right
        if is_right and is_outdated:
            # Compare and set: a password that was changed since it was read is not overwritten.
            unchanged = User.objects.filter(pk=self.pk, password=self.password)
            self.password = make_password(password)
            unchanged.update(password=self.password)
        return is_right

    @property
    def public_id(self) -> str:
        """The user's id in paths, tokens and `user_id`."""
        return str(self.pk) if self.subject is None else self.subject

    @property
    def is_external(self) -> bool:
        return self.issuer is not None

    @property
    def is_email_verified(self) -> bool:
        return self.email_verified_at is not None


class ClosedAccount(models.Model):
    """The tombstone of a deleted external account: its issuer's tokens outlive it, and must not recreate it."""

    digest = models.CharField(max_length=64, primary_key=True)  # of issuer and subject
    closed_at = models.DateTimeField()


class SpentInvitation(models.Model):
    """A redeemed invitation: it must not be redeemed again, also after its account was deleted."""

    digest = models.CharField(max_length=64, primary_key=True)
    expires_at = models.DateTimeField()


class EmailChange(models.Model):
    """The last change of an address that was asked for; the account keeps its own until this one is confirmed."""

    user = models.OneToOneField(User, models.CASCADE, primary_key=True, related_name="email_change")
    email = models.TextField()
    previous = models.TextField()  # which is told, whenever that mail leaves
    requested_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)


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
