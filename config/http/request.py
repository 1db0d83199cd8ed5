"""A request: where it comes from, its id, whether it is the admin's, and which one is being answered."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.http import HttpRequest

REQUEST_ID = "tickbase.request_id"  # the key in `request.META`
WIDER = 5  # times what one network may, a site may, which a provider may have divided among customers
MAX_ENTRY = 100  # characters of an address with its zone, brackets, port and spaces


def client_address(request: HttpRequest) -> str:
    """The client's IP address; empty when it is unknown, as over a unix socket."""
    return address_in(request.META)


def address_in(environ: Mapping[str, Any]) -> str:
    """The same, of what WSGI tells of a request."""
    return _forwarded_in(environ) or _normalised(environ.get("REMOTE_ADDR", ""))


def admitted_address(request: HttpRequest) -> str:
    """The same for letting somebody in by it: empty where the last of our proxies named nobody, for the proxy's own
    address is often one of those that may come in."""
    is_forwarded = settings.TRUSTED_PROXIES > 0 and "HTTP_X_FORWARDED_FOR" in request.META
    return forwarded_address(request) if is_forwarded else client_address(request)


def forwarded_address(request: HttpRequest) -> str:
    """Whom our proxies got the request from; empty where they name nobody."""
    return _forwarded_in(request.META)


def _forwarded_in(environ: Mapping[str, Any]) -> str:
    """Each proxy appends whom it got the request from. So of `X-Forwarded-For` only the entries on the right,
    which our own TRUSTED_PROXIES wrote, are believed: what is further left, anybody may have sent.
    """
    proxies: int = settings.TRUSTED_PROXIES
    # Several headers of this name arrive as one, joined in their order.
    entries = environ.get("HTTP_X_FORWARDED_FOR", "").rsplit(",", proxies)
    entry = entries[-proxies] if 0 < proxies <= len(entries) else ""
    return _normalised(entry) if len(entry) <= MAX_ENTRY else ""


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 that an IPv6 client owns whole."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return f"{parsed.packed[:8].hex()}/64" if isinstance(parsed, IPv6Address) else str(parsed)


@lru_cache(maxsize=4096)
def site(address: str) -> str | None:
    """The /48 that one customer of a provider may have whole, with 65,536 of those; None unless it is IPv6."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return f"{parsed.packed[:6].hex()}/48" if isinstance(parsed, IPv6Address) else None


def network_range(address: str) -> tuple[str, str]:
    """The first and the last address of what counts as one client. Raises ValueError for what is no address."""
    parsed = ip_address(address)
    whole = ip_network((parsed, 64 if isinstance(parsed, IPv6Address) else 32), strict=False)
    return str(whole[0]), str(whole[-1])


@lru_cache(maxsize=4096)
def _normalised(entry: str) -> str:
    """One spelling for each address, without the port; empty if it is none."""
    text = entry.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    # What a socket for both kinds of addresses calls an IPv4 client.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address).partition("%")[0]


def request_id_of(request: HttpRequest) -> str:
    value: str = request.META.get(REQUEST_ID, "")
    return value


def is_in_admin(request: HttpRequest) -> bool:
    """Where staff see pages, and rows of everybody; whoever else calls is a program, and sees the own ones."""
    admin: str = settings.ADMIN_PATH
    return admin != "" and request.path_info.startswith(f"/{admin}")


_current: ContextVar[HttpRequest | None] = ContextVar("current_request", default=None)


def current_request() -> HttpRequest | None:
    """The request that is being answered, for the audit log; None in commands."""
    return _current.get()


@contextmanager
def answering(request: HttpRequest) -> Iterator[None]:
    """Within this, `request` is the current one."""
    token = _current.set(request)
    try:
        yield
    finally:
        _current.reset(token)
