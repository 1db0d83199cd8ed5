"""Bearer tokens (RFC 6750): who sends this request?"""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import Token

from users import tokens


class BearerAuthentication(JWTAuthentication):
    """simplejwt reads the header; the token and its user are checked by `users.tokens`, in one query."""

    def authenticate(self, request: Request) -> tuple[Any, Token] | None:
        header = self.get_header(request)
        raw = self.get_raw_token(header) if header else None
        return None if raw is None else tokens.authenticate(raw)


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        scheme: dict[str, str] = build_bearer_security_scheme_object("HTTP_AUTHORIZATION", "Bearer", "JWT")
        return scheme
