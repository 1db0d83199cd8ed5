"""Our own JWTs (RFC 7519): signed and verified with simplejwt."""

import base64
import datetime as dt
import hashlib
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import jwt
from django.conf import settings
from django.utils import timezone
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token

from config.database.isolation import as_user
from config.database.queries import Compiled, Param, run
from config.environment.variables import of_settings
from config.errors import InvalidToken
from config.values import MAX_BIGINT, is_numeric_date, keep_newest
from users.models import Session, User

REFUSED_SECONDS, MAX_REFUSED = 10.0, 2048
_refused: dict[tuple[uuid.UUID, int], float] = {}  # until when, in time.monotonic(), by session and token version
MAX_TOKEN = 4096  # characters; ours have about 400
EXPIRED = (
    "The access token has expired: POST /api/auth/refresh trades the refresh token for a new one; sign in again if "
    "that is refused, too."
)
_MOMENTS = ("exp", "nbf", "iat")
# PyJWT accepts as a NumericDate what can be converted to an integer, and simplejwt fails on years beyond the calendar:
# `_verified` checks the times.
_SIGNED_ONLY: Any = {
    "require": ["exp", "sub", "jti"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}
_LOCAL_ID = re.compile(r"[1-9][0-9]{0,18}")


class KeyRing(TokenBackend):
    """The signing key and the former keys that still verify, by `kid` (RFC 7515, section 4.1.4).

    All are HS256: no other algorithm is accepted, whatever a token's header names.
    """

    def __init__(self, signing_key: str, verifying_keys: tuple[str, ...], issuer: str, audience: str) -> None:
        super().__init__("HS256", signing_key, issuer=issuer, audience=audience, leeway=settings.JWT_LEEWAY)
        self.leeway_seconds: float = settings.JWT_LEEWAY.total_seconds()
        self.kid = _kid(signing_key)
        self.keys = {_kid(key): key.encode() for key in (*verifying_keys, signing_key)}

    def encode(self, payload: dict[str, Any]) -> str:
        claims = {**payload, "aud": self.audience, "iss": self.issuer}
        return jwt.encode(claims, self.prepared_signing_key, algorithm=self.algorithm, headers={"kid": self.kid})

    def claims_of(self, token: str) -> dict[str, Any]:
        """The claims of a token that we signed, also of an expired one. Raises PyJWTError."""
        key = self.keys.get(_kid_of(token))
        if key is None:
            raise jwt.InvalidKeyError("no key of ours signed this token")
        claims = jwt.decode(
            token, key, [self.algorithm], issuer=self.issuer, audience=self.audience, options=_SIGNED_ONLY
        )
        if not all(is_numeric_date(claims[name]) for name in _MOMENTS if name in claims):
            raise jwt.InvalidTokenError("not a moment")
        return claims


def _kid(key: str) -> str:
    """A key id that reveals nothing about the key, and is the same in every process."""
    digest = hashlib.sha256(b"tickbase.kid:" + key.encode()).digest()
    return base64.urlsafe_b64encode(digest[:9]).decode()


def _kid_of(token: str) -> str:
    if len(token) > MAX_TOKEN:
        return ""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except (jwt.InvalidTokenError, RecursionError):
        return ""
    return kid if isinstance(kid, str) else ""


@of_settings
def _current_key_ring() -> KeyRing:
    verifying_keys = tuple(settings.JWT_VERIFYING_KEYS)
    return KeyRing(settings.JWT_SIGNING_KEY, verifying_keys, settings.JWT_ISSUER, settings.JWT_AUDIENCE)


class _Access(AccessToken):
    def get_token_backend(self) -> TokenBackend:
        return _current_key_ring()


class _Refresh(RefreshToken):
    def get_token_backend(self) -> TokenBackend:
        return _current_key_ring()


@dataclass(frozen=True)
class TokenPair:
    access: str
    refresh: str
    expires_in: int  # seconds that the access token lives


class AccessClaims(NamedTuple):
    """The claims of an access token of ours."""

    user_id: int
    session_id: uuid.UUID
    version: int  # of the user's tokens
    public_id: str
    expires_at: float  # from when on it is not accepted any more, in time.time()


@dataclass(frozen=True)
class Grant:
    """The account and the session behind an access token."""

    user: User
    session: Session | None  # none for tokens of an external issuer
    signed_in_at: dt.datetime | None  # of the last sign-in; some issuers do not say
    is_outdated: bool = False  # revoked by the last change of the password: valid only for replaying that request


@dataclass(frozen=True)
class RefreshClaims:
    session_id: uuid.UUID
    user_id: int
    version: int
    generation: int


_SESSION = Compiled(lambda: Session.objects.select_related("user").filter(pk=Param("session"), user=Param("user")))


def mint(session: Session) -> TokenPair:
    """Sign the access and the refresh token of a session's current generation.

    Deterministic: one generation always has the same pair.
    Claims: sub aud iss iat exp jti, `sid` the session, `ver` the user's token version, `gen` the generation.
    """
    access, refresh = _token(_Access(), session), _token(_Refresh(), session)
    refresh["gen"] = session.generation
    age = int((timezone.now() - session.last_used_at).total_seconds())
    return TokenPair(str(access), str(refresh), max(0, int(_Access.lifetime.total_seconds()) - age))


def _token(token: Token, session: Session) -> Token:
    token.set_iat(at_time=session.last_used_at)
    token.set_exp(from_time=session.last_used_at)
    token["jti"] = str(uuid.uuid5(session.pk, f"{token.token_type} {session.generation}"))
    token["sub"] = session.user.public_id
    token["sid"] = str(session.pk)
    token["ver"] = session.user.token_version
    return token


def names_our_key(raw: str) -> bool:
    """Whether the token's `kid` is one of our keys; unverified."""
    return _kid_of(raw) in _current_key_ring().keys


def read_access(raw: str) -> AccessClaims:
    """The claims of an access token that we signed and that has not expired; no session is read. Raises
    InvalidToken."""
    _verified(_Access, raw)
    return _access_claims(raw, _current_key_ring())


@lru_cache(maxsize=2048)
def _access_claims(raw: str, keys: KeyRing) -> AccessClaims:
    """Parsed once, as the event loop and a thread read them for each request."""
    claims = _signed_claims(raw, keys)
    return AccessClaims(
        _user_id(claims), _session_id(claims), claims["ver"], claims["sub"], claims["exp"] + keys.leeway_seconds
    )


def authenticate(raw: str, *, outdated: bool = False) -> Grant:
    """The session and the active user of an access token, in one query. Raises InvalidToken.

    With `outdated`, a token that the session's last change of the password has revoked is accepted, too.
    """
    return grant_of(read_access(raw), outdated=outdated)


def grant_of(claims: AccessClaims, *, outdated: bool = False) -> Grant:
    """`authenticate`, of the claims of a token that was verified."""
    with as_user(claims.user_id):
        session = next(iter(run(_SESSION.given(session=claims.session_id, user=claims.user_id))), None)
    if session is None:
        remember_refusal(claims)
        raise refusal()
    is_outdated = outdated and is_valid_for(session.user, claims.version + 1)
    if not is_outdated and not is_valid_for(session.user, claims.version):
        remember_refusal(claims)
        raise refusal()
    return Grant(session.user, session, session.created_at, is_outdated)


def grant_of_account(user_id: int) -> Grant:
    """Of an account of the external issuer, which has no session. Raises InvalidToken."""
    with as_user(user_id):
        user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        raise refusal()
    return Grant(user, None, None)


def remember_refusal(claims: AccessClaims) -> None:
    """For REFUSED_SECONDS, since an account may be activated again."""
    _refused[claims.session_id, claims.version] = time.monotonic() + REFUSED_SECONDS
    keep_newest(_refused, MAX_REFUSED)


def is_refused(claims: AccessClaims) -> bool:
    """Whether this process has just seen that the token's session has ended: its requests must not use up the limits of
    the account, which are counted before the session is read."""
    return _refused.get((claims.session_id, claims.version), 0.0) > time.monotonic()


def bearer(authorization: str) -> str | None:
    """The token of an `Authorization` header (RFC 6750); None for any other scheme."""
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None  # case-insensitive (RFC 9110, section 11.1)


def read_refresh(raw: str) -> RefreshClaims:
    """The claims of a refresh token that we signed and that has not expired. Raises InvalidToken."""
    claims = _verified(_Refresh, raw)
    if not isinstance(claims.get("gen"), int):
        raise refusal()
    return RefreshClaims(_session_id(claims), _user_id(claims), claims["ver"], claims["gen"])


def session_of(raw: str) -> uuid.UUID:
    """The session id of an access or refresh token that we signed, also of an expired one. Raises InvalidToken."""
    return _session_id(_signed_claims(raw, _current_key_ring()))


def is_valid_for(user: User, version: int) -> bool:
    """Whether the token version is current and the account active; a new password raises the version."""
    return user.is_active and version == user.token_version


def refusal() -> InvalidToken:
    """One error for every reason but that an access token of ours has expired, which its bearer can read in it."""
    return InvalidToken("The token is invalid or has expired; sign in again.")


def _verified(kind: type[Token], raw: str) -> Mapping[str, Any]:
    """The claims, with signature, issuer, audience, times and type verified. Raises InvalidToken."""
    keys = _current_key_ring()
    claims, now, leeway = _signed_claims(raw, keys), time.time(), keys.leeway_seconds
    is_over = claims["exp"] <= now - leeway
    is_early = max(claims.get("nbf", 0), claims.get("iat", 0)) > now + leeway
    if is_early or claims.get("token_type") != kind.token_type or (is_over and kind is not _Access):
        raise refusal()
    if is_over:
        raise InvalidToken(EXPIRED)
    return claims


@lru_cache(maxsize=2048)
def _signed_claims(raw: str, keys: KeyRing) -> Mapping[str, Any]:
    """Verified signatures, cached, as a client sends the same token for minutes. Times are checked at each use."""
    try:
        claims = keys.claims_of(raw)
    except jwt.PyJWTError as error:
        raise refusal() from error
    if not isinstance(claims.get("ver"), int):
        raise refusal()
    return MappingProxyType(claims)


def _session_id(claims: Mapping[str, Any]) -> uuid.UUID:
    try:
        return uuid.UUID(claims.get("sid"))
    except (TypeError, ValueError, AttributeError) as error:
        raise refusal() from error


def _user_id(claims: Mapping[str, Any]) -> int:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not _LOCAL_ID.fullmatch(subject) or int(subject) > MAX_BIGINT:
        raise refusal()
    return int(subject)
