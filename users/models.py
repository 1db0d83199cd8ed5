"""The account: e-mail as login, canonical e-mail as identity, and the user's time zone."""

from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.timezone import now

from users.text import canonical_email, known_timezones

EMAIL_TAKEN = frozenset({"users_user_email", "users_user_email_canonical"})


def validate_timezone(name: str) -> None:
    if name not in known_timezones():
        raise ValidationError("Use an IANA time zone name, for example Asia/Karachi.", code="unknown_timezone")


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None, **fields: Any) -> "User":
        """Store a new account; without a password nobody can sign in to it."""
        user = self.model(**fields)
        user.set_email(email)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, email: str | None) -> "User":
        return self.get(email_canonical=canonical_email(email or ""))


class User(AbstractBaseUser, PermissionsMixin):
    email = models.EmailField("e-mail", max_length=254)
    # Case folding can lengthen a text; NFKC can too.
    email_canonical = models.TextField(editable=False)
    name = models.CharField(max_length=100, blank=True, default="")
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
        constraints = [
            # Implied by the next; Django wants the login itself to be unique.
            models.UniqueConstraint(fields=["email"], name="users_user_email"),
            models.UniqueConstraint(fields=["email_canonical"], name="users_user_email_canonical"),
        ]

    def set_email(self, email: str) -> None:
        self.email = email.strip()
        self.email_canonical = canonical_email(email)

    @property
    def public_id(self) -> str:
        """What stands for the user in paths, tokens and `user_id`."""
        return str(self.pk)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)
