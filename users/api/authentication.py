"""Bearer token authentication (RFC 6750)."""

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
    """Sets `request.user` and, as `request.auth`, the Grant; one query reads the session and its user."""

    def __init__(self) -> None:
        pass  # simplejwt's looks up the user model for each request

    def authenticate(self, request: Request) -> Any:
        token = own.bearer(request.headers.get("Authorization", ""))
        if token is None:
            return None
        if external.is_configured() and not own.names_our_key(token):
            identity = external.verify(token)
            grant = own.Grant(services.identify(identity), None, identity.signed_in_at)
        else:
            view = (request.parser_context or {}).get("view")
            # With its Idempotency-Key, a request that revokes its own token can be sent again; `users.api.idempotency`
            # answers it with the stored response only.
            is_repeatable = "Idempotency-Key" in request.headers and getattr(view, "ends_its_token", False)
            reads_ahead = functools.partial(_reads_ahead, view)
            grant = own.authenticate(token, outdated=is_repeatable, reads_ahead=reads_ahead)
        isolation.enter(grant.user.pk)
        return grant.user, grant


def _reads_ahead(view: Any, user_id: int) -> Query[Any] | None:
    """The query that a view is about to run, so that it is sent with that of the account; None for another user's
    path."""
    reads_ahead: Callable[[int], Query[Any] | None] | None = getattr(view, "reads_ahead", None)
    if reads_ahead is None or view.kwargs.get("user_id") not in (ME, str(user_id)):
        return None
    try:
        return reads_ahead(user_id)
    except (APIException, DomainError):
        return None  # the view raises it again, once the caller is authenticated and permitted


def caller_in(environ: Mapping[str, Any], network: str) -> Hashable:
    """The key by which threads are shared fairly among callers, computed before the request has a thread.

    It must not be forgeable: a caller who could name another user would use up that user's share, and one who could
    invent names would get a share for each. So it is the user of a token of ours, whose verified signature is cached;
    or the network and the subject of an external token that a thread has verified before (verifying it here would take
    too long, perhaps with a fetch of keys; and it may have expired since). Otherwise it is the network.
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


def grant_of(request: Request) -> own.Grant:
    """The Grant of an authenticated request."""
    assert isinstance(request.auth, own.Grant) and isinstance(request.user, User)
    return request.auth


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        scheme: dict[str, str] = build_bearer_security_scheme_object("HTTP_AUTHORIZATION", "Bearer", "JWT")
        description = "The `access` token that register, login and refresh answer, or one of the external issuer."
        return {**scheme, "description": description}
