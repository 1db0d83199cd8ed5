"""Mints and verifies our JWTs (RFC 7519), through simplejwt."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import uuid_utils
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token

from config.errors import InvalidToken
from users.models import User

_LOCAL_ID = re.compile(r"[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class TokenPair:
    access: str
    refresh: str
    expires_in: int  # seconds that the access token lives


def mint(user: User, session_id: str | None = None) -> TokenPair:
    """Sign an access and a refresh token of one session; a new session unless one is given.

    Claims: sub aud iss iat exp jti, `sid` the session, `ver` the user's token generation.
    """
    refresh = RefreshToken()
    refresh["sub"] = user.public_id
    refresh["sid"] = session_id or str(uuid_utils.uuid7())
    refresh["ver"] = user.token_version
    access = refresh.access_token
    return TokenPair(str(access), str(refresh), int(access.lifetime.total_seconds()))


def authenticate(access: bytes | str) -> tuple[User, Token]:
    """The active user of an access token, in one query. Raises InvalidToken."""
    return _verify(AccessToken, access)


def authenticate_refresh(refresh: str) -> tuple[User, Token]:
    """The active user of a refresh token, in one query. Raises InvalidToken."""
    return _verify(RefreshToken, refresh)


def _verify(kind: Callable[..., Token], raw: bytes | str) -> tuple[User, Token]:
    refusal = InvalidToken("The token is invalid or has expired; sign in again.")
    try:
        token = kind(raw)
    except TokenError as error:
        raise refusal from error
    subject = token.get("sub")
    if not isinstance(subject, str) or not _LOCAL_ID.fullmatch(subject):
        raise refusal
    user = User.objects.filter(pk=int(subject), is_active=True).first()
    if user is None or token.get("ver") != user.token_version:
        raise refusal
    return user, token
