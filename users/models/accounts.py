"""Models of accounts, and of what outlives or waits beside one: tombstones, invitations, changes of address, notes."""

from typing import Any

from django.contrib.auth.hashers import make_password, verify_password
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.utils.timezone import now

from config.database.models import RowModel
from config.errors import violated_constraint
from users.models.preferences import Preferences
from users.text import MAX_EMAIL, MAX_NAME, MAX_PASSWORD, canonical_email, opaque_string, validate_email

EMAIL_TAKEN = "users_user_email_canonical"
MAX_NOTE = 4000


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


class AccountNote(models.Model):
    """A note of staff on an account. Row level security hides it from the account, which finds it in its export alone,
    without the author."""

    user = models.ForeignKey(User, models.CASCADE, related_name="staff_notes")
    author = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    text = models.TextField(max_length=MAX_NOTE)
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ("add", "delete", "view")

    def __str__(self) -> str:
        """Without its text, which no event of the audit may hold."""
        return f"note {self.pk}"
