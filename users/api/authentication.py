"""Bearer token authentication (RFC 6750)."""

from collections.abc import Hashable, Mapping
from functools import partial
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from rest_framework.exceptions import ErrorDetail, NotFound, Throttled
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication

from config.database import isolation
from config.errors import InvalidToken
from config.http.errors import InvalidParameter
from users import services
from users.api import scopes
from users.api.throttles import UnknownTokenThrottle
from users.tokens import external, own, personal, tickets
from users.tokens.callers import Caller, TokenCaller


class BearerAuthentication(JWTAuthentication):
    """Returns the Caller that the token names, as `request.user` and as `request.auth`; no query is run for a token of
    ours. Raises InvalidToken."""

    def __init__(self) -> None:
        pass  # simplejwt's looks up the user model for each request

    def authenticate(self, request: Request) -> Any:
        view = (request.parser_context or {}).get("view")
        if getattr(view, "takes_tickets", False) and "ticket" in request._request.GET:
            return _by_ticket(request)
        token = own.bearer(request.META.get("HTTP_AUTHORIZATION", ""))
        if token is None:
            return None
        if token.startswith(personal.PREFIX):
            caller: Caller = _personal(request, token)
        elif external.is_configured() and not own.names_our_key(token):
            caller = _external(token)
        else:
            # With its Idempotency-Key, a request that revokes its own token can be sent again; `users.api.idempotency`
            # answers it with the stored response only.
            is_repeatable = "HTTP_IDEMPOTENCY_KEY" in request.META and getattr(view, "ends_its_token", False)
            claims = own.read_access(token)
            if not is_repeatable and own.is_refused(claims):
                raise own.refusal()
            read = partial(own.authenticate, token, outdated=is_repeatable)
            caller = Caller(claims.user_id, claims.public_id, read, claims)
        isolation.enter(caller.pk)
        return caller, caller


def _by_ticket(request: Request) -> tuple[Caller, Caller]:
    """The view spends the ticket. Raises InvalidToken and InvalidParameter."""
    if "HTTP_AUTHORIZATION" in request.META:
        both = ErrorDetail("Send a ticket or the header Authorization, not both.", code="conflict")
        raise InvalidParameter({"ticket": [both]})
    caller = tickets.read(request._request.GET["ticket"])
    isolation.enter(caller.pk)
    return caller, caller


class PathAuthentication(BearerAuthentication):
    """A personal token in the path, as `token`, for calendars, which send no headers.

    What is no token is a 404. Such a path is a secret: only its route is logged, and nobody may cache the answer.
    """

    def authenticate(self, request: Request) -> Any:
        view: Any = request.parser_context["view"]
        token = view.kwargs["token"]
        try:
            if not token.startswith(personal.PREFIX):
                raise own.refusal()
            caller = _personal(request, token)
        except InvalidToken as error:
            raise no_such_address() from error
        isolation.enter(caller.pk)
        return caller, caller


def no_such_address() -> NotFound:
    return NotFound("Nothing is here.")


def _personal(request: Request, token: str) -> Caller:
    """No query is run for a token that this process has met. Raises InvalidToken and Throttled."""
    known = personal.known(token)
    if known is None:
        if personal.is_refused(token):
            raise personal.refusal()
        # Anybody can make up a token that looks right: it is counted by network before it is looked up.
        throttle, context = UnknownTokenThrottle(), request.parser_context or {}
        if not throttle.allow_request(request, context["view"]):
            raise Throttled(throttle.wait())
        known = personal.look_up(token)
    return TokenCaller(known)


def _external(token: str) -> Caller:
    """The account of a token of the external issuer, which is opened at its first token."""
    identity = external.verify(token)

    def read() -> own.Grant:
        user = services.identify(identity)
        if not services.may_predate(identity, user.created_at):
            external.remember_account(token, identity.subject, user.pk)
        return own.Grant(user, None, identity.signed_in_at)

    if (known := external.known_account(token)) is not None:
        return Caller(known, identity.subject, read, expires_at=identity.expires_at)
    grant = read()
    caller = Caller(grant.user.pk, identity.subject, read, expires_at=identity.expires_at)
    caller.grant = grant
    return caller


def caller_in(environ: Mapping[str, Any], network: str) -> Hashable:
    """The key by which threads are shared fairly among callers, computed before the request has a thread.

    It must not be forgeable: a caller who could name another user would use up that user's share, and one who could
    invent names would get a share for each. So it is the user of a token of ours, whose verified signature is cached,
    or of a personal token that a thread has looked up before; or the network and the subject of an external token that
    a thread has verified before (verifying it here would take too long, perhaps with a fetch of keys; and it may have
    expired since). Otherwise it is the network.
    """
    token = own.bearer(environ.get("HTTP_AUTHORIZATION", ""))
    if token is None:
        return network
    if token.startswith(personal.PREFIX):
        known = personal.known(token)
        return known.user_id if known else network
    if external.is_configured() and (subject := external.verified_subject(token)):
        return network, subject
    try:
        return own.read_access(token).user_id
    except InvalidToken:
        return network


def grant_of(request: Request) -> own.Grant:
    """The Grant of an authenticated request."""
    assert isinstance(request.user, Caller)
    return request.user.grant


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        scheme: dict[str, str] = build_bearer_security_scheme_object("HTTP_AUTHORIZATION", "Bearer")
        description = (
            "The `access` token that register, login and refresh answer, a JWT; one of the external issuer; or a "
            "personal token, `tick_pat_…`, which needs the scopes that the operation names, and may not call those "
            "that name none."
        )
        return {**scheme, "description": description}

    def get_security_requirement(self, auto_schema: Any) -> Any:
        """The scopes as role names (OpenAPI 3.1); where one of several will do, an alternative for each."""
        needed = scopes.of_view(auto_schema.view, auto_schema.method)
        if not needed.is_any or not needed.scopes:
            return {self.name: [*needed.scopes]}
        return [{self.name: [scope]} for scope in needed.scopes]
