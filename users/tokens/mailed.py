"""Signed tokens that go out by mail, and come back as proof that their bearer reads it.

They expire, and hold a digest of what they depend on: once that has changed, they prove nothing.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.utils.crypto import constant_time_compare, salted_hmac

from users.models import User
from users.text import canonical_email


@dataclass(frozen=True)
class Proof:
    """One purpose; a token of another does not serve."""

    salt: str
    lifetime: dt.timedelta
    state: Callable[[User], Any]

    def make(self, user: User) -> str:
        return signing.dumps([user.pk, self._digest(user)], salt=self.salt)

    def user_id(self, token: str) -> int | None:
        """Whom the token is about, if we signed it and it has not expired."""
        content = _loads(token, self.salt, self.lifetime)
        return int(content[0]) if content else None

    def holds(self, token: str, user: User) -> bool:
        """Whether the token is about this account as it is now; ask under its lock."""
        content = _loads(token, self.salt, self.lifetime)
        return bool(content) and content[0] == user.pk and constant_time_compare(content[1], self._digest(user))

    def _digest(self, user: User) -> str:
        return salted_hmac(self.salt, repr(self.state(user)), algorithm="sha256").hexdigest()[:32]


# Every new password has a new salt, and raises the version.
PASSWORD_RESET = Proof(
    "users.password-reset",
    dt.timedelta(hours=1),
    lambda user: (user.password, user.token_version, user.email_canonical),
)
EMAIL_VERIFICATION = Proof("users.email-verification", dt.timedelta(days=3), lambda user: user.email_canonical)

_INVITATION_SALT = "users.invitation"
INVITATION_LIFETIME = dt.timedelta(days=7)


def make_invitation(email: str) -> str:
    """For one address; `services.sign_up` sees to it that it serves once."""
    return signing.dumps(canonical_email(email), salt=_INVITATION_SALT)


def is_invited(token: str, email: str) -> bool:
    invited = _loads(token, _INVITATION_SALT, INVITATION_LIFETIME)
    return invited is not None and invited == canonical_email(email)


def _loads(token: str, salt: str, lifetime: dt.timedelta) -> Any:
    try:
        return signing.loads(token, salt=salt, max_age=lifetime)
    except (signing.BadSignature, ValueError):
        return None
