"""Rate limits: DRF's throttles, what the middleware counts, and the headers that report both.

The headers are those of draft-ietf-httpapi-ratelimit-headers-10.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from config.environment.rates import Rate
from config.http import problems
from config.http.limits import permits
from config.http.request import WIDER, client_address, network, site

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module, through the settings

# Of what lies below these, some policy counts each request.
LIMITED = ("/api/", "/feeds/")
_META_KEY = "tickbase.rate_limits"


class Counter(NamedTuple):
    """One counter of `scope`, a key of settings.RATE_LIMITS, for one account, network or site. One that many clients
    share `is_wide`: its limit is WIDER times as high."""

    scope: str
    identity: str
    is_wide: bool = False
    before_lease: Callable[[], None] | None = None  # called before more permits are leased; may raise

    @property
    def rate(self) -> Rate | None:
        rate: Rate | None = settings.RATE_LIMITS[self.scope]
        return Rate(rate.limit * WIDER, rate.seconds) if rate and self.is_wide else rate


class Verdict(NamedTuple):
    """The decision of one policy about a request."""

    policy: str
    rate: Rate
    decision: permits.Decision

    @property
    def tightness(self) -> tuple[bool, int, float]:
        """The smaller, the tighter."""
        return self.decision.is_granted, self.decision.remaining, -self.decision.seconds_left


class RateThrottle(BaseThrottle):
    """A DRF throttle that counts a request on each of its `counters`.

    `policy` is the name in the headers, by default the scope's. Policies of one scope have equal limits, and separate
    counters.
    """

    policy: ClassVar[str | None] = None
    _seconds_left = 0.0

    def counters(self, request: Request) -> Iterator[Counter]:
        raise NotImplementedError

    def allow_request(self, request: Request, view: "APIView") -> bool:
        verdicts: list[Verdict] = request.META.setdefault(_META_KEY, [])
        for verdict in take_each(self.counters(request), self.policy):
            verdicts.append(verdict)
            if not verdict.decision.is_granted:
                self._seconds_left = verdict.decision.seconds_left
                return False
        return True

    def wait(self) -> float:
        return self._seconds_left


class CallerThrottle(RateThrottle):
    """The default of all views: a user is counted by account, everybody else by network."""

    def counters(self, request: HttpRequest | Request) -> Iterator[Counter]:
        user = getattr(request, "user", None)  # the view's authentication sets it; sessions exist only in the admin
        if user is not None and user.is_authenticated:
            # An ended session must not use up the limit of its account: now and then it is read before it is counted.
            yield Counter("user", str(user.pk), before_lease=getattr(user, "require_standing", None))
        else:
            yield from by_network("anon", request)


def by_network(scope: str, request: HttpRequest | Request) -> Iterator[Counter]:
    """The counters of a client address: its network's, and for IPv6 its site's."""
    address = client_address(request.META)
    yield Counter(scope, network(address))
    if whole_site := site(address):
        yield Counter(scope, whole_site, is_wide=True)


def take_each(counters: Iterable[Counter], policy: str | None = None) -> Iterator[Verdict]:
    """Count one request on each counter, except in scopes that are off, up to the first that refuses.

    A refused request must not use up the next counter: else a client that is refused for its address could go on to
    lock an account.
    """
    for counter in counters:
        rate, name = counter.rate, policy or counter.scope
        if rate is None:
            continue
        key = _key(name, counter.identity, settings.SECRET_KEY)
        verdict = Verdict(name, rate, permits.limiter().take(key, rate, counter.before_lease))
        yield verdict
        if not verdict.decision.is_granted:
            return


@lru_cache(maxsize=4096)
def _key(policy: str, identity: str, secret: str) -> str:
    text = f"{policy}:{identity}".encode("utf-8", "surrogatepass")
    return salted_hmac("tickbase.rate_limit", text, secret, algorithm="sha256").hexdigest()[:32]


def limited(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The response with the headers, or a 429.

    Counts requests that no view has counted, such as those with a wrong token or for an unknown address; but not those
    that failed for want of a database, which holds the counters. Each policy is shown by the tightest of its counters.
    """
    verdicts: list[Verdict] = request.META.get(_META_KEY, [])
    if not request.META.get(_META_KEY) and response.status_code != problems.OUTAGE.status:
        with suppress(OperationalError, InterfaceError):
            verdicts = list(take_each(CallerThrottle().counters(request)))
            if verdicts and not verdicts[-1].decision.is_granted:
                response = problems.too_many(request, verdicts[-1].decision.seconds_left)
    if len(verdicts) > 1:
        shown: dict[str, Verdict] = {}
        for verdict in verdicts:
            shown[verdict.policy] = min(verdict, shown.get(verdict.policy, verdict), key=lambda each: each.tightness)
        verdicts = list(shown.values())
    if verdicts:
        remaining = [f'"{name}";r={left.remaining};t={math.ceil(left.seconds_left)}' for name, _, left in verdicts]
        response["RateLimit-Policy"] = ", ".join([_policy(name, rate) for name, rate, _ in verdicts])
        response["RateLimit"] = ", ".join(remaining)
    return response


@lru_cache(maxsize=100)
def _policy(name: str, rate: Rate) -> str:
    return f'"{name}";q={rate.limit};w={rate.seconds}'
