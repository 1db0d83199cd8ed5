"""Bearer tokens (RFC 6750): who sends this request?"""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication

from users import issuers, services, tokens
from users.models import User


class BearerAuthentication(JWTAuthentication):
    """`request.auth` is the Grant; the token and its user are checked in one query."""

    def authenticate(self, request: Request) -> Any:
        # The scheme is case-insensitive (RFC 9110, section 11.1).
        scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer":
            return None
        grant = _grant(token.strip())
        return grant.user, grant


def _grant(token: str) -> tokens.Grant:
    """Raises InvalidToken. A token that names no key of ours can only be the external issuer's."""
    if not issuers.is_configured() or tokens.are_ours(token):
        return tokens.authenticate(token)
    identity = issuers.verify(token)
    return tokens.Grant(services.identify(identity), None, identity.signed_in_at)


def grant_of(request: Request) -> tokens.Grant:
    """For views that the permissions let nobody else into."""
    assert isinstance(request.auth, tokens.Grant) and isinstance(request.user, User)
    return request.auth


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        scheme: dict[str, str] = build_bearer_security_scheme_object("HTTP_AUTHORIZATION", "Bearer", "JWT")
        return {**scheme, "description": "The `access` token that register, login and refresh answer."}
