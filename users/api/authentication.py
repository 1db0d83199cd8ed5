"""Bearer tokens (RFC 6750): who sends this request?"""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import Token

from users import tokens


class BearerAuthentication(JWTAuthentication):
    """The token and its user are checked by `users.tokens`, in one query."""

    def authenticate(self, request: Request) -> tuple[Any, Token] | None:
        # The scheme is case-insensitive (RFC 9110, section 11.1).
        scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
        return tokens.authenticate(token.strip()) if scheme.lower() == "bearer" else None


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        scheme: dict[str, str] = build_bearer_security_scheme_object("HTTP_AUTHORIZATION", "Bearer", "JWT")
        return {**scheme, "description": "The `access` token that register, login and refresh answer."}
