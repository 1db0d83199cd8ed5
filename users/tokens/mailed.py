"""Signed tokens and typed codes that are sent by mail: who brings one back reads that mailbox.

They expire, and hold a digest of the account's state, so that a change of it invalidates them. A code is for people who
read their mail on another device: 40 bits, which is only enough because `services` bounds the tries of an account. It
is derived from the account's state and the half hour, so nothing is stored.
"""

import datetime as dt
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from users.models import User
from users.text import canonical_email

CODE_SECONDS = 1800  # a code is valid for that long at least, and for less than twice as long
_CODE_LENGTH = 8
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32, without letters that look like digits
_AS_TYPED = str.maketrans("OIL", "011", " -")
_CODE = re.compile(f"[{_ALPHABET}]{{{_CODE_LENGTH}}}")


@dataclass(frozen=True)
class Proof:
    """Tokens and codes of one purpose: the salt keeps those of another from being accepted."""

    salt: str
    lifetime: dt.timedelta
    state: Callable[[User], Any]  # None where there is nothing to prove

    def make(self, user: User) -> str:
        return signing.dumps([user.pk, self._digest(user)], salt=self.salt)

    def user_id(self, token: str) -> int | None:
        """The user of a token that we signed and that has not expired."""
        content = _loads(token, self.salt, self.lifetime)
        return int(content[0]) if content else None

    def holds(self, sent: str, user: User) -> bool:
        """Whether the token or code is valid for the current state of this account, which the caller has locked."""
        if self.state(user) is None:
            return False
        if code := typed_code(sent):
            now = _half_hour()
            return any(constant_time_compare(code, self._code(user, each)) for each in (now, now - 1))
        content = _loads(sent, self.salt, self.lifetime)
        return bool(content) and content[0] == user.pk and constant_time_compare(content[1], self._digest(user))

    def make_code(self, user: User) -> str:
        """As people read it."""
        code = self._code(user, _half_hour())
        return f"{code[:4]}-{code[4:]}"

    def _code(self, user: User, half_hour: int) -> str:
        content = repr((user.pk, self.state(user), half_hour))
        number = int.from_bytes(salted_hmac(f"{self.salt}.code", content, algorithm="sha256").digest())
        return "".join(_ALPHABET[number >> 5 * place & 31] for place in range(_CODE_LENGTH))

    def _digest(self, user: User) -> str:
        return salted_hmac(self.salt, repr(self.state(user)), algorithm="sha256").hexdigest()[:32]


# Every new password has a new salt and raises the token version.
PASSWORD_RESET = Proof(
    "users.password-reset",
    dt.timedelta(hours=1),
    lambda user: (user.password, user.token_version, user.email_canonical),
)
EMAIL_VERIFICATION = Proof("users.email-verification", dt.timedelta(days=3), lambda user: user.email_canonical)


EMAIL_CHANGE_LIFETIME = dt.timedelta(days=1)


def _state_of_change(user: User) -> Any:
    """With the password, so that a new one, which may be the answer to a theft, ends what the thief has asked for."""
    change = getattr(user, "email_change", None)  # which there may be none of, and which is read once
    if change is None or change.confirmed_at or change.requested_at <= timezone.now() - EMAIL_CHANGE_LIFETIME:
        return None
    return user.password, user.token_version, user.email_canonical, change.email, change.requested_at


EMAIL_CHANGE = Proof("users.email-change", EMAIL_CHANGE_LIFETIME, _state_of_change)

_INVITATION_SALT = "users.invitation"
INVITATION_LIFETIME = dt.timedelta(days=7)


def make_invitation(email: str) -> str:
    """An invitation for one address; `services.sign_up` redeems it once."""
    return signing.dumps(canonical_email(email), salt=_INVITATION_SALT)


def is_invited(token: str, email: str) -> bool:
    invited = _loads(token, _INVITATION_SALT, INVITATION_LIFETIME)
    return invited is not None and invited == canonical_email(email)


def typed_code(sent: str) -> str | None:
    """The code that somebody has typed, in any case, with spaces and hyphens; None for a token."""
    code = sent.upper().translate(_AS_TYPED)
    return code if _CODE.fullmatch(code) else None


def _half_hour() -> int:
    return int(time.time()) // CODE_SECONDS


def _loads(token: str, salt: str, lifetime: dt.timedelta) -> Any:
    try:
        return signing.loads(token, salt=salt, max_age=lifetime)
    except (signing.BadSignature, ValueError):
        return None
