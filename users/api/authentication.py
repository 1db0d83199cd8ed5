"""Bearer tokens (RFC 6750): who sends this request?"""

import functools
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication

from config.database import isolation
from config.database.queries import Query
from config.errors import DomainError, InvalidToken
from users import services
from users.api.permissions import ME
from users.models import User
from users.tokens import external, own


class BearerAuthentication(JWTAuthentication):
    """`request.auth` is the Grant; the token and its user are checked in one query."""

    def __init__(self) -> None:
        pass  # simplejwt's looks the user model up, for each request

    def authenticate(self, request: Request) -> Any:
        token = own.bearer(request.headers.get("Authorization", ""))
        if token is None:
            return None
        view = (request.parser_context or {}).get("view")
        # With its Idempotency-Key, a request that ends the very token it comes with can be sent again;
        # `users.api.idempotency` lets such a caller have the stored answer and nothing else.
        is_repeatable = "Idempotency-Key" in request.headers and getattr(view, "ends_its_token", False)
        grant = _grant(token, outdated=is_repeatable, reads_ahead=functools.partial(_reads_ahead, view))
        isolation.enter(grant.user.pk)
        return grant.user, grant


def _reads_ahead(view: Any, user_id: int) -> Query[Any] | None:
    """What a view is about to read, so that it comes with the account; nothing for another user's path."""
    reads_ahead: Callable[[int], Query[Any] | None] | None = getattr(view, "reads_ahead", None)
    if reads_ahead is None or view.kwargs.get("user_id") not in (ME, str(user_id)):
        return None
    try:
        return reads_ahead(user_id)
    except (APIException, DomainError):
        return None  # the view will raise it again, once it is clear that the caller may know


def caller_in(environ: Mapping[str, Any], network: str) -> Hashable:
    """Whose share of the threads a request takes, known before it has one.

    That must not be for others to say: whoever could name another user could take that user's share, and whoever could
    make names up, a share for each. So an account is named by a token of ours, whose signature is verified and
    remembered, or by one of the external issuer that a thread has verified before: here that would take too long, and
    perhaps a request for keys. Its subject is one of its network, for it may have expired since. All else is the
    network's.
    """
    token = own.bearer(environ.get("HTTP_AUTHORIZATION", ""))
    if token is None:
        return network
    if external.is_configured() and (subject := external.verified_subject(token)):
        return network, subject
    try:
        return own.subject(token)
    except InvalidToken:
        return network


def _grant(token: str, **options: Any) -> own.Grant:
    """Raises InvalidToken. A token that names no key of ours can only be the external issuer's."""
    if not external.is_configured() or own.names_our_key(token):
        return own.authenticate(token, **options)
    identity = external.verify(token)
    return own.Grant(services.identify(identity), None, identity.signed_in_at)


def grant_of(request: Request) -> own.Grant:
    """For views that the permissions let nobody else into."""
    assert isinstance(request.auth, own.Grant) and isinstance(request.user, User)
    return request.auth


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        scheme: dict[str, str] = build_bearer_security_scheme_object("HTTP_AUTHORIZATION", "Bearer", "JWT")
        description = "The `access` token that register, login and refresh answer, or one of the external issuer."
        return {**scheme, "description": description}
