"""Personal access tokens: their form, and what this process knows of those that it has met.

A token does not say whose it is, so the first request with it in a process looks it up. From then on the process knows
its account and its scopes, which never change; whether it is still valid, each statement checks: `callers.Standing`.
"""

import hashlib
import math
import re
import secrets
import string
import time
import zlib
from typing import NamedTuple
from uuid import UUID

from config.database.isolation import all_users, as_user
from config.errors import InvalidToken
from config.values import keep_newest
from users.models import PersonalToken
from users.tokens.own import Grant

PREFIX = "tick_pat_"
SECRET, CHECKSUM = 43, 6  # characters; the first are 256 random bits
SHOWN = len(PREFIX) + 4  # characters by which people know a token
REMEMBERED = 2048  # tokens
REFUSED_SECONDS = 10.0
USE_SECONDS = 3600.0  # between two writes of the last use

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{SECRET + CHECKSUM}}}")


class Known(NamedTuple):
    """What never changes of a token, and when it expires, which a change may only bring nearer."""

    id: UUID
    user_id: int
    public_id: str
    is_external: bool
    scopes: frozenset[str]
    expires_at: float  # in time.time()


_known: dict[str, Known] = {}  # by digest
_refused: dict[str, float] = {}  # until when, in time.monotonic(), by digest
_uses: dict[UUID, float] = {}  # when the last use that is written down was, in time.time()


def make() -> str:
    body = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(SECRET))
    return body + _checksum(body)


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def is_well_formed(token: str) -> bool:
    """Whether the checksum is right, so that what was mistyped or cut off is not looked up."""
    return _FORM.fullmatch(token) is not None and _checksum(token[:-CHECKSUM]) == token[-CHECKSUM:]


def _checksum(body: str) -> str:
    """CRC-32 in base 62."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


def known(token: str) -> Known | None:
    """What this process knows of a valid token, without the database; it may have been revoked since."""
    found = _known.get(digest_of(token))
    return found if found is not None and time.time() < found.expires_at else None


def is_refused(token: str) -> bool:
    """Whether it is malformed, or this process has just seen that it is not valid."""
    return not is_well_formed(token) or _refused.get(digest_of(token), 0.0) > time.monotonic()


def look_up(token: str) -> Known:
    """For a token that is not known. By its digest, so that the time that it takes tells nothing about others. Raises
    InvalidToken."""
    digest = digest_of(token)
    with all_users():
        row = PersonalToken.objects.live().select_related("user").filter(digest=digest, user__is_active=True).first()
    if row is None:
        _refuse(digest)
        raise refusal()
    found = _known[digest] = Known(
        row.pk,
        row.user_id,
        row.user.public_id,
        row.user.is_external,
        frozenset(row.scopes),
        row.expires_at.timestamp() if row.expires_at else math.inf,
    )
    keep_newest(_known, REMEMBERED)
    if row.last_used_at:
        note_use(row.pk, row.last_used_at.timestamp())
    return found


def grant_of(known: Known) -> Grant:
    """The account, read anew. Raises InvalidToken if the token is not valid any more."""
    with as_user(known.user_id):
        rows = PersonalToken.objects.live().select_related("user")
        row = rows.filter(pk=known.id, user=known.user_id, user__is_active=True).first()
    if row is None:
        for digest, each in list(_known.items()):
            if each.id == known.id:
                _known.pop(digest, None)
                _refuse(digest)
        raise refusal()
    return Grant(row.user, None, None)


def _refuse(digest: str) -> None:
    _refused[digest] = time.monotonic() + REFUSED_SECONDS
    keep_newest(_refused, REMEMBERED)


def refusal() -> InvalidToken:
    """One error for every reason."""
    return InvalidToken("This personal token is invalid, revoked or expired; make a new one.")


def is_use_noted(token_id: UUID) -> bool:
    """Whether the last use that is written down is recent enough."""
    return time.time() < _uses.get(token_id, 0.0) + USE_SECONDS


def note_use(token_id: UUID, at: float) -> None:
    _uses[token_id] = at
    keep_newest(_uses, REMEMBERED)
