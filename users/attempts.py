"""How attempts to sign in, and requests for mails, are counted: a stranger locks nobody out (docs/security.md).

A device that proves that it is known to the account is counted alone. All others are counted by network, by account and
network, and, unless the account is signed in on that network, together by account, for which there is a wider limit.
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
from users.models import Session, User
from users.text import MAX_EMAIL, canonical_email
from users.tokens import own

_SALT = "users.device"
_COOKIE_AGE = 90 * 86_400  # seconds


class Proof(Protocol):
    """What a request has to show that its device is known to an account."""

    @property
    def device(self) -> str:
        """The name of what is counted; to be believed before anything is looked up."""

    def is_for(self, email: str) -> bool:
        """Whether the device is known to the account with this canonical address."""


def counters(
    scope: str, request: HttpRequest, email: Callable[[], str | None], proof: Proof | None
) -> Iterator[Counter]:
    """The narrow ones first, so that what they refuse does not use up the wide ones, which others share.

    `email` is what the request says, in its canonical form; asked once the request may be looked into.
    """
    if proof is not None:
        yield Counter(scope, f"device:{proof.device}")
        if (known := email()) and proof.is_for(known):
            return
    address = client_address(request)
    narrowest, *wider = by_network(scope, request)
    yield narrowest
    if tried := email():
        yield Counter(scope, f"email:{tried} from:{site(address) or network(address)}")
    yield from wider
    everywhere = Counter(scope, f"email:{tried}", is_wide=True)
    if tried and everywhere.rate and not _is_signed_in_from(tried, address):
        yield everywhere


def counters_of(scope: str, request: HttpRequest, user: User) -> Iterator[Counter]:
    """The same for who is signed in."""
    narrowest, *wider = by_network(scope, request)
    yield from (narrowest, Counter(scope, f"user:{user.pk}"), *wider)


def canonical(email: object) -> str | None:
    """None for what is nobody's address; without the spaces around, which people do not see."""
    address = trimmed(email, MAX_EMAIL) if isinstance(email, str) else None
    return canonical_email(address) if address and is_storable(address) else None


@all_users()
def _is_signed_in_from(email: str, address: str) -> bool:
    """Whether a live session of the account was last used on this network."""
    if not address:
        return False
    return Session.objects.live().filter(user__email_canonical=email, address__range=network_range(address)).exists()


class SessionProof:
    """A token of a live session, of either kind: also an access token that has expired."""

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
    """What a browser got when staff signed in with it (OWASP's device cookie); it outlives the session."""

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
    """Give the browser that has just signed in a CookieProof for the account with this canonical address."""
    value = signing.dumps([_account(email), uuid.uuid4().hex], salt=_SALT)
    secure = settings.SESSION_COOKIE_SECURE
    response.set_cookie(_cookie_name(), value, _COOKIE_AGE, secure=secure, httponly=True, samesite="Strict")


def _cookie_name() -> str:
    return "__Host-device" if settings.SESSION_COOKIE_SECURE else "device"


def _account(email: str) -> str:
    return salted_hmac(_SALT, email, algorithm="sha256").hexdigest()[:32]
