"""Rate limits: who is counted, and what every answer tells about it.

The headers are those of draft-ietf-httpapi-ratelimit-headers-10.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac
from django.utils.functional import SimpleLazyObject
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from config.environment.rates import Rate
from config.http import problems
from config.http.limits import leases
from config.http.request import WIDER, client_address, network, site

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module, through the settings

API = "/api/"
_META_KEY = "tickbase.rate_limits"


class Counter(NamedTuple):
    """Of one that is counted, in `scope`, a key of settings.RATE_LIMITS. What many share `is_wide`: it has WIDER times
    the limit."""

    scope: str
    identity: str
    is_wide: bool = False

    @property
    def rate(self) -> Rate | None:
        rate: Rate | None = settings.RATE_LIMITS[self.scope]
        return Rate(rate.limit * WIDER, rate.seconds) if rate and self.is_wide else rate


class Verdict(NamedTuple):
    """What one policy decided about a request."""

    policy: str
    rate: Rate
    decision: leases.Decision

    @property
    def tightness(self) -> tuple[bool, int, float]:
        """The smaller, the tighter."""
        return self.decision.is_granted, self.decision.remaining, -self.decision.seconds_left


class RateThrottle(BaseThrottle):
    """Counts a request for each of whom `counters` names.

    `policy` is the name that the client reads, the scope's unless it is set: policies of one scope have equal limits,
    each with counters of its own.
    """

    policy: ClassVar[str | None] = None

    def __init__(self) -> None:
        self._seconds_left = 0.0

    def counters(self, request: Request) -> Iterator[Counter]:
        raise NotImplementedError

    def allow_request(self, request: Request, view: "APIView") -> bool:
        verdicts = _verdicts(request)
        if any(not verdict.decision.is_granted for verdict in verdicts):
            return True  # by another throttle
        for verdict in take_each(self.counters(request), self.policy):
            verdicts.append(verdict)
            if not verdict.decision.is_granted:
                self._seconds_left = verdict.decision.seconds_left
                return False
        return True

    def wait(self) -> float:
        return self._seconds_left


class CallerThrottle(RateThrottle):
    """Every view's: a user by account, whoever else by address."""

    def counters(self, request: Request) -> Iterator[Counter]:
        if request.user and request.user.is_authenticated:
            yield Counter("user", str(request.user.pk))
        else:
            yield from by_network("anon", request)


def _caller(request: HttpRequest) -> Iterator[Counter]:
    """Whom a view authenticated before its permissions refused the request; else the address.

    The middleware of sessions leaves a lazy object, which is of no interest: no cookie counts here.
    """
    user = vars(request).get("user")
    if user is None or isinstance(user, SimpleLazyObject) or not user.is_authenticated:
        return by_network("anon", request)
    return iter([Counter("user", str(user.pk))])


def by_network(scope: str, request: HttpRequest | Request) -> Iterator[Counter]:
    address = client_address(request)
    yield Counter(scope, network(address))
    if whole_site := site(address):
        yield Counter(scope, whole_site, is_wide=True)


def take_each(counters: Iterable[Counter], policy: str | None = None) -> Iterator[Verdict]:
    """Count one request for each, but for scopes that are off.

    What is refused by one must not use up the next: else whoever is refused for the address could go on to lock an
    account.
    """
    for counter in counters:
        rate, name = counter.rate, policy or counter.scope
        if rate is None:
            continue
        verdict = Verdict(name, rate, leases.limiter().take(_key(name, counter.identity, settings.SECRET_KEY), rate))
        yield verdict
        if not verdict.decision.is_granted:
            return


@lru_cache(maxsize=4096)
def _key(policy: str, identity: str, secret: str) -> str:
    text = f"{policy}:{identity}".encode("utf-8", "surrogatepass")
    return salted_hmac("tickbase.rate_limit", text, secret, algorithm="sha256").hexdigest()[:32]


def rate_limits(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: counts what no view has counted, as unknown addresses and wrong tokens; writes the headers."""
    leases.limiter()  # made before there are threads

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.path_info.startswith(API):
            response = _counted(request, response)
            _describe(request, response)
        return response

    return middleware


def _counted(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    # A database that is away cannot count, either.
    if _META_KEY in request.META or response.status_code == problems.OUTAGE.status:
        return response
    try:
        verdicts = list(take_each(_caller(request)))
    except (OperationalError, InterfaceError):
        return response
    _verdicts(request).extend(verdicts)
    refused = [verdict.decision for verdict in verdicts if not verdict.decision.is_granted]
    return problems.too_many(request, refused[0].seconds_left) if refused else response


def _verdicts(request: HttpRequest | Request) -> list[Verdict]:
    """Those of this request so far; once there is a list, a view has taken care of it."""
    verdicts: list[Verdict] = request.META.setdefault(_META_KEY, [])
    return verdicts


def _describe(request: HttpRequest, response: HttpResponse) -> None:
    """One item for each policy: of its counters, the tightest."""
    shown: dict[str, Verdict] = {}
    for verdict in request.META.get(_META_KEY, []):
        shown[verdict.policy] = min(verdict, shown.get(verdict.policy, verdict), key=lambda each: each.tightness)
    if shown:
        response["RateLimit-Policy"] = ", ".join(map(_policy, shown.values()))
        response["RateLimit"] = ", ".join(map(_state, shown.values()))


def _policy(verdict: Verdict) -> str:
    return f'"{verdict.policy}";q={verdict.rate.limit};w={verdict.rate.seconds}'


def _state(verdict: Verdict) -> str:
    return f'"{verdict.policy}";r={verdict.decision.remaining};t={math.ceil(verdict.decision.seconds_left)}'
