"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a request that is sent twice takes effect once.

The key is stored in the transaction of its effect: both are committed, or neither is. Lock order: key, user, session,
feed, row, count of bytes. A refused request stores nothing, and can be sent again with the same key.
"""

import datetime as dt
import functools
import json
import re
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import orjson
from django.db import IntegrityError, connection
from django.utils import timezone
from django.utils.crypto import salted_hmac
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request

from config.database.isolation import all_users
from config.database.transactions import retried_transaction
from config.environment.rates import Rate
from config.errors import DomainError, KeyInFlight, KeyReused, LimitReached
from config.http.errors import InvalidHeader
from config.http.json import to_json
from config.http.limits import counters
from config.http.request import client_address, network
from config.http.views import APIView, Response
from users import services
from users.api import scopes
from users.models import IdempotencyKey, Session, User
from users.services import pruning
from users.tokens import own
from users.tokens.callers import Caller

LIFETIME = dt.timedelta(hours=24)
# Of one caller's stored answers per fixed window; so at most twice as many are stored at a time.
MAX_BYTES = Rate(32 * 2**20, round(LIFETIME.total_seconds()))
_ROW_BYTES = 512  # a row without its body, with its index entries
_MAX_KEY = 255
_VISIBLE_ASCII = "[!-~]+"
_WELL_FORMED = re.compile(_VISIBLE_ASCII)
# In their order, which JSONB does not keep.
_KEPT_HEADERS = ("ETag", "Tickbase-Operation", "Location", "Tickbase-Advanced")

Handler = Callable[..., Response]


class SignedIn(Response):
    """An answer with tokens, which are not stored: a replay signs them again from the session."""

    def __init__(self, session: Session, data: Any, status: int) -> None:
        # RFC 6749, section 5.1: answers that carry tokens must not be cached.
        super().__init__(data, status, headers={"Cache-Control": "no-store"})
        self.session = session


class ShownOnce(Response):
    """An answer with a secret, which is not stored: a replay has null in its place."""

    def __init__(self, data: dict[str, Any], status: int, *, once: Collection[str]) -> None:
        super().__init__(data, status, headers={"Cache-Control": "no-store"})
        self.kept = data | dict.fromkeys(once)


SignIn = Callable[[Session, int], SignedIn]  # of the session and the status


def idempotent(handler: Handler) -> Handler:
    """Make a view's method accept an Idempotency-Key."""
    return _once(handler, LIFETIME, None)


def idempotent_sign_in(signed_in: SignIn, lifetime: dt.timedelta = LIFETIME) -> Callable[[Handler], Handler]:
    """The same for a method that answers with tokens; `signed_in` makes that answer from the session."""
    return lambda handler: _once(handler, lifetime, signed_in)


def _once(handler: Handler, lifetime: dt.timedelta, signed_in: SignIn | None) -> Handler:
    @extend_schema(parameters=[PARAMETER, REPLAYED])
    @functools.wraps(handler)
    def once(view: APIView, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.META.get("HTTP_IDEMPOTENCY_KEY")
        if key is None:
            return handler(view, request, *args, **kwargs)
        if len(key) > _MAX_KEY or not _WELL_FORMED.fullmatch(key):
            message = f"Send 1 to {_MAX_KEY} visible ASCII characters, for example a UUID."
            raise InvalidHeader({"Idempotency-Key": [ErrorDetail(message, code="invalid_key")]})
        call = functools.partial(handler, view, request, *args, **kwargs)
        return _Attempt(request, key, lifetime, signed_in).answer(call)

    return once


PARAMETER = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": _MAX_KEY, "pattern": f"^{_VISIBLE_ASCII}$"},
    OpenApiParameter.HEADER,
    description="Chosen by you, for example a UUID: for 24 hours the same request with it takes effect once.",
)
REPLAYED = OpenApiParameter(
    "Idempotency-Replayed",
    bool,
    OpenApiParameter.HEADER,
    description="`true` when this is the stored answer to an earlier request.",
    response=[200, 201, 202, 204],
)


class _Attempt:
    """A request with an Idempotency-Key."""

    def __init__(self, request: Request, key: str, lifetime: dt.timedelta, signed_in: SignIn | None) -> None:
        grant = request.user.grant if isinstance(request.user, Caller) else None
        self.user = grant.user if grant else None
        # Anonymous callers are told apart by network. One who shares it also needs the same body for the answer.
        self.scope = f"user {self.user.pk}" if self.user else f"address {network(client_address(request.META))}"
        match = request.resolver_match
        assert match is not None  # a view is running
        # Without `user_id`: `me` in a path is the same route as the caller's id.
        objects = sorted((name, value) for name, value in match.kwargs.items() if name != "user_id")
        parts = [self.scope, f"{request.method} {match.view_name} {objects}", key]
        granted = request.user.scopes if isinstance(request.user, Caller) else None
        if granted is not None and scopes.of_view(request.parser_context["view"], str(request.method)).is_any:
            # The scopes that it needs depend on its content, which a replay does not look at: so personal tokens share
            # answers only with those that may do the same.
            parts.append(" ".join(sorted(granted)))
        self.digest = _digest(*parts)
        # Not orjson, which rejects values that a body may hold until it is validated. Without a query there is no part
        # for it, as in keys that were stored before an upgrade.
        query = filter(None, [request.META["QUERY_STRING"]])
        self.fingerprint = _digest(json.dumps(request.data, sort_keys=True), *query)
        self.is_replay_only = grant is not None and grant.is_outdated
        self.lifetime = lifetime
        self.signed_in = signed_in

    def answer(self, call: Callable[[], Response]) -> Response:
        """Raises KeyInFlight, KeyReused, LimitReached, and whatever the call raises, which then stores nothing."""
        try:
            outcome = self._once(call)
        except IntegrityError as error:
            # A foreign key violation at the commit.
            if self.user and not User.objects.filter(pk=self.user.pk).exists():
                raise services.AccountGone("The account was deleted.") from error
            raise
        if isinstance(outcome, DomainError):
            raise outcome
        return outcome

    @retried_transaction
    def _once(self, call: Callable[[], Response]) -> Response | DomainError:
        self._lock()
        if replay := self._replay():
            return replay
        if self.is_replay_only:
            raise own.refusal()
        try:
            response = call()
        except DomainError as error:
            if not error.keeps_writes:
                raise
            return error  # raising it here would roll them back
        self._store(response)
        return response

    def _lock(self) -> None:
        """Take an advisory lock on the key. Raises KeyInFlight at once if it is taken.

        In a statement of its own, so that the next statement's snapshot includes what the last holder committed. The
        lock ends with the transaction, also behind PgBouncer.
        """
        number = int.from_bytes(bytes.fromhex(self.digest)[:8], signed=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
            (is_locked,) = cursor.fetchone()
        if not is_locked:
            raise KeyInFlight("A request with this Idempotency-Key is being answered; wait for it or try again.")

    def _replay(self) -> Response | None:
        valid = IdempotencyKey.objects.filter(pk=self.digest, expires_at__gt=timezone.now())
        with self._all_keys():
            stored = valid.select_related("session__user").first()
        if stored is None:
            return None
        if stored.fingerprint != self.fingerprint:
            raise KeyReused("This Idempotency-Key came with another body or query before; choose a new key.")
        if stored.session is None or self.signed_in is None:
            body = orjson.loads(stored.body) if stored.body else None
            headers = {name: stored.headers[name] for name in _KEPT_HEADERS if name in stored.headers}
            response = Response(body, stored.status, headers=headers)
        elif stored.session.generation == stored.generation:
            response = self.signed_in(stored.session, stored.status)
        else:
            return None  # tokens of an earlier generation: using them would end the session
        response["Idempotency-Replayed"] = "true"
        return response

    def _store(self, response: Response) -> None:
        now = timezone.now()
        pruning.sweep_idempotency_keys(self.digest, now)
        session = response.session if isinstance(response, SignedIn) else None
        has_body = response.data is not None and session is None
        data = response.kept if isinstance(response, ShownOnce) else response.data
        row = IdempotencyKey(
            digest=self.digest,
            fingerprint=self.fingerprint,
            user=session.user if session else self.user,
            session=session,
            generation=session.generation if session else None,
            status=response.status_code,
            headers={name: response[name] for name in _KEPT_HEADERS if name in response},
            body=to_json(data).decode() if has_body else "",
            created_at=now,
            expires_at=now + self.lifetime,
        )
        self._count(len(row.body.encode()) + _ROW_BYTES)
        with self._all_keys():
            row.store()

    def _count(self, size: int) -> None:
        """Charge the caller's bytes. Not by leases: in this transaction, so that a rollback refunds them."""
        taken = counters.take(_digest("bytes", self.scope)[:32], size, MAX_BYTES)
        if taken.granted(size, MAX_BYTES.limit) < size:
            raise LimitReached(
                f"The answers to your requests with an Idempotency-Key take {MAX_BYTES.limit} bytes, which is all that "
                "is kept in a day; send this without a key, or tomorrow.",
                limit=MAX_BYTES.limit,
            )

    def _all_keys(self) -> AbstractContextManager[None]:
        """An anonymous request has no current tenant, but its key belongs to the user whom it signs in."""
        return nullcontext() if self.user else all_users()


def _digest(*parts: str) -> str:
    """Keyed with SECRET_KEY, so that passwords and addresses in a body cannot be brute-forced from it."""
    # The salt is that of stored keys: with another, what was sent before an upgrade would take effect again after it.
    return salted_hmac("users.idempotency", to_json(parts), algorithm="sha256").hexdigest()
