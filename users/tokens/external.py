"""JWTs of the external issuer (RFC 7519 and 8725): verification, and the identity that they assert.

No claim is trusted before the signature is verified, and the header never chooses the algorithm.
"""

import datetime as dt
import hashlib
import logging
import math
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from django.conf import settings
from django.core.exceptions import ValidationError

from config.environment.variables import of_settings
from config.errors import InvalidToken
from config.values import is_numeric_date, is_storable, keep_newest
from users.text import MAX_NAME, validate_email
from users.tokens.keysets import KeyCache

logger = logging.getLogger(__name__)
_verified: dict[bytes, tuple[str, int | None]] = {}  # subject and account, by the digests of tokens
_UNKNOWN: tuple[None, None] = (None, None)
_key_cache = cache(KeyCache)  # one for each URL

UNNAMED = "external"  # the issuer, with a shared secret and without JWT_EXTERNAL_ISSUER
MAX_TOKEN = 8192  # characters
MAX_SUBJECT = 255
REMEMBERED = 2048  # tokens

# Extensions that change what is signed, or that a recipient must understand; none is supported.
_UNSUPPORTED_HEADERS = frozenset({"crit", "b64"})
_MOMENTS = ("exp", "nbf", "iat", "auth_time")


@dataclass(frozen=True)
class Identity:
    """The claims of a verified token. The e-mail address is for display: the issuer may not have verified it."""

    issuer: str
    subject: str
    email: str  # empty, unless it is a usable address
    is_email_verified: bool  # so the issuer says
    name: str
    issued_at: dt.datetime | None
    signed_in_at: dt.datetime | None  # `auth_time`, or else `iat`
    expires_at: float = field(default=math.inf, compare=False)  # of the token, with the leeway, in time.time()


@of_settings
def is_configured() -> bool:
    return bool(settings.JWT_EXTERNAL_JWKS_URL or settings.JWT_EXTERNAL_SECRET)


def verify(raw: str) -> Identity:
    """The identity that a token asserts. Raises InvalidToken, one error for every reason but expiry."""
    try:
        identity = _identity(_claims(raw))
    except jwt.ExpiredSignatureError as error:
        raise InvalidToken("The token has expired; refresh it at its issuer, or sign in there again.") from error
    except jwt.PyJWTError as error:
        logger.debug("A token of the external issuer is refused: %s", type(error).__name__)
        raise InvalidToken("The token is invalid or has expired; sign in again.") from error
    _verified.setdefault(_digest(raw), (identity.subject, None))
    keep_newest(_verified, REMEMBERED)
    return identity


def verified_subject(raw: str) -> str | None:
    """The subject of a token that this process has verified before, from a cache; None for all others."""
    subject, _ = _verified.get(_digest(raw), _UNKNOWN)
    return subject


def remember_account(raw: str, subject: str, user_id: int) -> None:
    """Remember the account of a verified token. An id is never used again, so the account of a token can only end."""
    _verified[_digest(raw)] = subject, user_id


def known_account(raw: str) -> int | None:
    """The id of a verified token's account, if it is remembered; the account may have ended since."""
    _, user_id = _verified.get(_digest(raw), _UNKNOWN)
    return user_id


def _digest(raw: str) -> bytes:
    return hashlib.sha256(raw.encode()).digest()


def _claims(raw: str) -> dict[str, Any]:
    if len(raw) > MAX_TOKEN or not raw.isascii():
        raise jwt.DecodeError("no JWT")
    header = jwt.get_unverified_header(raw)
    kind = str(header.get("typ", "")).lower().removeprefix("application/")
    is_of_another_kind = kind.endswith("+jwt") and kind != "at+jwt"  # such as `logout+jwt` (RFC 8725, section 3.11)
    if is_of_another_kind or not _UNSUPPORTED_HEADERS.isdisjoint(header):
        raise jwt.DecodeError("a JWT of another kind")
    key, algorithm = _key(header.get("kid"))
    issuer, audience = settings.JWT_EXTERNAL_ISSUER or None, settings.JWT_EXTERNAL_AUDIENCE or None
    return jwt.decode(
        raw,
        key,
        algorithms=[algorithm],
        issuer=issuer,
        audience=audience,
        leeway=settings.JWT_LEEWAY,
        options={"require": ["exp", "sub"], "verify_aud": audience is not None, "enforce_minimum_key_length": True},
    )


def _key(kid: str | None) -> tuple[jwt.PyJWK | str, str]:
    """The key and its only algorithm."""
    if settings.JWT_EXTERNAL_SECRET:
        return settings.JWT_EXTERNAL_SECRET, "HS256"
    key = _key_cache(settings.JWT_EXTERNAL_JWKS_URL).get(kid) if kid and is_configured() else None
    if key is None:
        raise jwt.InvalidKeyError("unknown key")
    return key, key.algorithm_name


def _identity(claims: dict[str, Any]) -> Identity:
    seconds = {name: claims[name] for name in _MOMENTS if claims.get(name) is not None}
    # PyJWT also accepts as a NumericDate what can be converted to a number: text and booleans.
    if not all(map(is_numeric_date, seconds.values())):
        raise jwt.DecodeError("not a moment")
    moments = {name: dt.datetime.fromtimestamp(moment, dt.UTC) for name, moment in seconds.items()}
    subject, name = claims["sub"], claims.get("name")
    if not 1 <= len(subject) <= MAX_SUBJECT or not is_storable(subject):
        raise jwt.InvalidTokenError("not a subject that can be stored")
    return Identity(
        issuer=settings.JWT_EXTERNAL_ISSUER or UNNAMED,
        subject=subject,
        email=_email(claims.get("email")),
        is_email_verified=claims.get("email_verified") is True,
        name=name.strip()[:MAX_NAME].strip() if isinstance(name, str) and is_storable(name) else "",
        expires_at=claims["exp"] + settings.JWT_LEEWAY.total_seconds(),
        issued_at=moments.get("iat"),
        signed_in_at=moments.get("auth_time", moments.get("iat")),
    )


def _email(claim: Any) -> str:
    """Empty for an unusable address, which is no reason to reject the token: it does not identify the user."""
    email = claim.strip() if isinstance(claim, str) else ""
    try:
        validate_email(email)
    except ValidationError:
        return ""
    return email
