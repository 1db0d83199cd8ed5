"""The ASGI application, which `manage.py serve` runs under granian."""

import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from django.conf import settings
from django.urls import URLResolver, get_resolver, reverse
from django.utils.module_loading import import_string

from config.environment.variables import STREAM_PLACES
from config.http.middleware import REFUSAL_KEY, refuse
from config.http.request import WIDER, client_address, network, site
from config.server.bridge import Bridge, Lane
from config.server.streams import Places, Streams
from config.server.wakeups import Wakeups
from config.wsgi import application as wsgi_application

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def declared_in(patterns: list[Any], name: str) -> dict[tuple[str, str], Any]:
    """By method and path, what the views whose address is fixed but for the user, who is `me` here, declare under this
    name: their `lanes`, or their `max_bodies`."""
    found: dict[tuple[str, str], Any] = {}
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            found |= declared_in(pattern.url_patterns, name)
        else:
            declared = getattr(getattr(pattern.callback, "cls", None), name, {})
            user = dict.fromkeys(pattern.pattern.converters, "me")
            found |= {(method, reverse(pattern.name, kwargs=user)): each for method, each in declared.items()}
    return found


_OF_USER = re.compile(r"/api/[^/]+/")
LANES: dict[tuple[str, str], Lane] = declared_in(get_resolver().url_patterns, "lanes")
MAX_BODIES: dict[tuple[str, str], int] = declared_in(get_resolver().url_patterns, "max_bodies")
# The admin's forms that hash a password: sign-in, new account, new password.
HASHING_ENDINGS = ("/login/", "/add/", "/password_change/", "/password/")


def lane_of(method: str, path: str, query: str = "") -> Lane:
    if method == "POST" and settings.ADMIN_PATH and path.startswith(f"/{settings.ADMIN_PATH}"):
        return Lane.HASHING if path.endswith(HASHING_ENDINGS) else Lane.COMMON
    # HEAD does the work of GET. A search may keep a PostgreSQL process busy for seconds.
    method = "GET" if method == "HEAD" else method
    lane = LANES.get((method, path)) or LANES.get((method, _OF_USER.sub("/api/me/", path, 1)), Lane.COMMON)
    return Lane.HEAVY if lane is Lane.COMMON and "search=" in unquote(query) else lane


def max_body_of(method: str, path: str) -> int:
    return MAX_BODIES.get((method, _OF_USER.sub("/api/me/", path, 1)), settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


def networks_of(environ: "WSGIEnvironment") -> dict[str, int]:
    """The client's network and its limit; for IPv6 also its site, a /48, which holds 65,536 networks."""
    return _networks(client_address(environ), settings.NETWORK_REQUESTS)


@lru_cache(maxsize=4096)
def _networks(address: str, most: int) -> dict[str, int]:
    whole_site = site(address)
    return {network(address): most} | ({} if whole_site is None else {whole_site: WIDER * most})


def streams() -> Streams | None:
    if not settings.STREAMS:
        return None
    observe = None
    if settings.METRICS:
        from config.observability import metrics  # its library is slow to import

        observe = metrics.WAKEUP_SECONDS.observe
    source = import_string(settings.STREAM_SOURCE)
    return Streams(Wakeups(source(), observe), Places(os.environ.get(STREAM_PLACES)))


application = Bridge(
    wsgi_application,
    threads=settings.THREADS,
    max_body=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
    lane_of=lane_of,
    max_body_of=max_body_of,
    networks_of=networks_of,
    caller_of=import_string(settings.REQUEST_CALLER),
    refuser=refuse,
    refusal_key=REFUSAL_KEY,
    streams=streams(),
)
