"""Bearer tokens (RFC 6750): who sends this request?"""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication

from users import isolation, issuers, services, tokens
from users.models import User


class BearerAuthentication(JWTAuthentication):
    """`request.auth` is the Grant; the token and its user are checked in one query."""

    def authenticate(self, request: Request) -> Any:
        # The scheme is case-insensitive (RFC 9110, section 11.1).
        scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer":
            return None
        view = (request.parser_context or {}).get("view")
        # With its Idempotency-Key, a request that ends the very token it comes with can be sent again;
        # `users.idempotency` lets such a caller have the stored answer and nothing else.
        is_repeatable = "Idempotency-Key" in request.headers and getattr(view, "ends_its_token", False)
        grant = _grant(token.strip(), outdated=is_repeatable)
        isolation.enter(grant.user.pk)
        return grant.user, grant


def _grant(token: str, *, outdated: bool) -> tokens.Grant:
    """Raises InvalidToken. A token that names no key of ours can only be the external issuer's."""
    if not issuers.is_configured() or tokens.names_our_key(token):
        return tokens.authenticate(token, outdated=outdated)
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
        description = "The `access` token that register, login and refresh answer, or one of the external issuer."
        return {**scheme, "description": description}
