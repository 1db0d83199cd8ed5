"""Rate limit counters of sign-in attempts and mail requests, with which an attacker cannot lock out an account's owner
(docs/security.md).

A known device of the account is counted on its own. All others are counted by network, by account and network, and,
unless the account has a live session on that network, by account, with a wider limit.
"""

import uuid
from collections.abc import Callable, Iterator
from typing import Protocol, Self

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from config.database.isolation import all_users
from config.errors import InvalidToken
from config.http.limits.throttling import Counter, by_network
from config.http.request import client_address, network, network_range, site
from config.values import is_storable, trimmed
from users.models import Session
from users.text import MAX_EMAIL, canonical_email
from users.tokens import own
from users.tokens.callers import Actor

_SALT = "users.device"
_COOKIE_AGE = 90 * 86_400  # seconds


class Proof(Protocol):
    """A request's proof that its device is known to an account."""

    @property
    def device(self) -> str:
        """The device's name, under which it is counted; verified by its signature, without the database."""

    def is_for(self, email: str) -> bool:
        """Whether the device is known to the account with this canonical address."""


def counters(
    scope: str, request: HttpRequest, email: Callable[[], str | None], proof: Proof | None
) -> Iterator[Counter]:
    """The counters of an attempt, the narrow ones first, so that what they refuse does not use up the shared wide ones.

    `email` returns the canonical address in the request; it parses the body, so it is called late.
    """
    if proof is not None:
        yield Counter(scope, f"device:{proof.device}")
        if (known := email()) and proof.is_for(known):
            return
    address = client_address(request.META)
    narrowest, *wider = by_network(scope, request)
    yield narrowest
    if tried := email():
        yield Counter(scope, f"email:{tried} from:{site(address) or network(address)}")
    yield from wider
    everywhere = Counter(scope, f"email:{tried}", is_wide=True)
    if tried and everywhere.rate and not _is_signed_in_from(tried, address):
        yield everywhere


def counters_of(scope: str, request: HttpRequest, user: Actor) -> Iterator[Counter]:
    """The counters of an attempt by an authenticated user."""
    narrowest, *wider = by_network(scope, request)
    yield from (narrowest, Counter(scope, f"user:{user.pk}"), *wider)


def canonical(email: object) -> str | None:
    """The canonical address, stripped of surrounding spaces; None for what cannot be one."""
    address = trimmed(email, MAX_EMAIL) if isinstance(email, str) else None
    return canonical_email(address) if address and is_storable(address) else None


@all_users()
def _is_signed_in_from(email: str, address: str) -> bool:
    """Whether a live session of the account was last used from this network."""
    if not address:
        return False
    return Session.objects.live().filter(user__email_canonical=email, address__range=network_range(address)).exists()


class SessionProof:
    """An access or refresh token of a live session; the token itself may have expired."""

    def __init__(self, session_id: uuid.UUID) -> None:
        self.session_id = session_id

    @classmethod
    def of(cls, request: HttpRequest) -> Self | None:
        token = own.bearer(request.headers.get("Authorization", ""))
        try:
            return None if token is None else cls(own.session_of(token))
        except InvalidToken:
            return None

    @property
    def device(self) -> str:
        return str(self.session_id)

    @all_users()
    def is_for(self, email: str) -> bool:
        return Session.objects.live().filter(pk=self.session_id, user__email_canonical=email).exists()


class CookieProof:
    """The device cookie (OWASP) that a browser got when staff signed in; it outlives the session."""

    def __init__(self, account: str, device: str) -> None:
        self.account, self.device = account, device

    @classmethod
    def of(cls, request: HttpRequest) -> Self | None:
        try:
            return cls(*signing.loads(request.COOKIES.get(_cookie_name(), ""), salt=_SALT, max_age=_COOKIE_AGE))
        except signing.BadSignature:
            return None

    def is_for(self, email: str) -> bool:
        return self.account == _account(email)


def remember_device(response: HttpResponse, email: str) -> None:
    """Set the device cookie after a sign-in to the account with this canonical address."""
    value = signing.dumps([_account(email), uuid.uuid4().hex], salt=_SALT)
    secure = settings.SESSION_COOKIE_SECURE
    response.set_cookie(_cookie_name(), value, _COOKIE_AGE, secure=secure, httponly=True, samesite="Strict")


def _cookie_name() -> str:
    return "__Host-device" if settings.SESSION_COOKIE_SECURE else "device"


def _account(email: str) -> str:
    return salted_hmac(_SALT, email, algorithm="sha256").hexdigest()[:32]
