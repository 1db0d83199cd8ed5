"""Signed tokens that are sent by mail: their bearer reads that mailbox.

They expire, and hold a digest of the account's state, so that a change of it invalidates them.
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
    """Tokens of one purpose: the salt keeps those of another from being accepted."""

    salt: str
    lifetime: dt.timedelta
    state: Callable[[User], Any]

    def make(self, user: User) -> str:
        return signing.dumps([user.pk, self._digest(user)], salt=self.salt)

    def user_id(self, token: str) -> int | None:
        """The user of a token that we signed and that has not expired."""
        content = _loads(token, self.salt, self.lifetime)
        return int(content[0]) if content else None

    def holds(self, token: str, user: User) -> bool:
        """Whether the token is valid for the current state of this account, which the caller has locked."""
        content = _loads(token, self.salt, self.lifetime)
        return bool(content) and content[0] == user.pk and constant_time_compare(content[1], self._digest(user))

    def _digest(self, user: User) -> str:
        return salted_hmac(self.salt, repr(self.state(user)), algorithm="sha256").hexdigest()[:32]


# Every new password has a new salt and raises the token version.
PASSWORD_RESET = Proof(
    "users.password-reset",
    dt.timedelta(hours=1),
    lambda user: (user.password, user.token_version, user.email_canonical),
)
EMAIL_VERIFICATION = Proof("users.email-verification", dt.timedelta(days=3), lambda user: user.email_canonical)

_INVITATION_SALT = "users.invitation"
INVITATION_LIFETIME = dt.timedelta(days=7)


def make_invitation(email: str) -> str:
    """An invitation for one address; `services.sign_up` redeems it once."""
    return signing.dumps(canonical_email(email), salt=_INVITATION_SALT)


def is_invited(token: str, email: str) -> bool:
    invited = _loads(token, _INVITATION_SALT, INVITATION_LIFETIME)
    return invited is not None and invited == canonical_email(email)


def _loads(token: str, salt: str, lifetime: dt.timedelta) -> Any:
    try:
        return signing.loads(token, salt=salt, max_age=lifetime)
    except (signing.BadSignature, ValueError):
        return None
