"""A request: its id, whether it is for the admin, its client's address, and the current one."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

import uuid_utils
from django.conf import settings
from django.http import HttpRequest

REQUEST_ID = "tickbase.request_id"  # the key in `request.META`
_WELL_FORMED = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}")


def identify(request: HttpRequest) -> str:
    """Set the request's id: the client's X-Request-ID, if it is well-formed, else a UUIDv7."""
    sent = request.META.get("HTTP_X_REQUEST_ID")
    name = request.META[REQUEST_ID] = sent if sent and _WELL_FORMED.fullmatch(sent) else str(uuid_utils.uuid7())
    return name


def request_id_of(request: HttpRequest) -> str:
    """Empty before the middleware has set it."""
    return str(request.META.get(REQUEST_ID, ""))


def is_in_admin(request: HttpRequest) -> bool:
    """Whether staff call, with a browser and a session; elsewhere programs do, with a token."""
    if (path := request.path_info).startswith("/api/"):  # at once, for most requests; the admin is never below it
        return False
    admin: str = settings.ADMIN_PATH
    return admin != "" and path.startswith(f"/{admin}")


_current: ContextVar[HttpRequest | None] = ContextVar("current_request", default=None)


def current_request() -> HttpRequest | None:
    """The request that is being answered, for the audit log; None in commands."""
    return _current.get()


@contextmanager
def answering(request: HttpRequest) -> Iterator[None]:
    token = _current.set(request)
    try:
        yield
    finally:
        _current.reset(token)


# --- Client address ---------------------------------------------------------------------------------

MAX_ENTRY = 100  # characters of an address with its zone, brackets, port and spaces


def client_address(environ: Mapping[str, Any]) -> str:
    """The client's IP address, of a WSGI environ or `request.META`; empty when it is unknown, as over a unix socket."""
    return _forwarded_address(environ) or _normalised(environ.get("REMOTE_ADDR", ""))


def admitted_address(request: HttpRequest) -> str:
    """The client's IP address for an allow list: empty if our last proxy named no client.

    The proxy's own address, which `client_address` falls back to, is often on such a list.
    """
    is_forwarded = settings.TRUSTED_PROXIES > 0 and "HTTP_X_FORWARDED_FOR" in request.META
    return _forwarded_address(request.META) if is_forwarded else client_address(request.META)


def _forwarded_address(environ: Mapping[str, Any]) -> str:
    """The client in `X-Forwarded-For`; empty if there is none.

    Each proxy appends the address that called it. Only the last TRUSTED_PROXIES entries are our proxies' own; any
    client can send those to the left of them.
    """
    proxies: int = settings.TRUSTED_PROXIES
    # Several headers of this name arrive as one, joined in their order.
    entries = environ.get("HTTP_X_FORWARDED_FOR", "").rsplit(",", proxies)
    entry = entries[-proxies] if 0 < proxies <= len(entries) else ""
    return _normalised(entry) if len(entry) <= MAX_ENTRY else ""


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
    # A dual-stack socket reports IPv4 clients as IPv4-mapped addresses.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address).partition("%")[0]


# --- Networks, which limits count -------------------------------------------------------------------

WIDER = 5  # a site's limit is so many times a network's: a provider may have divided it among customers


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """The network of one client: an IPv4 address, or the /64 that an IPv6 client has whole."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return f"{parsed.packed[:8].hex()}/64" if isinstance(parsed, IPv6Address) else str(parsed)


@lru_cache(maxsize=4096)
def site(address: str) -> str | None:
    """The /48 around an IPv6 address, with 65,536 networks that may all be one customer's; None for IPv4."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return f"{parsed.packed[:6].hex()}/48" if isinstance(parsed, IPv6Address) else None


def network_range(address: str) -> tuple[str, str]:
    """The first and the last address of a client's network. Raises ValueError if it is no address."""
    parsed = ip_address(address)
    whole = ip_network((parsed, 64 if isinstance(parsed, IPv6Address) else 32), strict=False)
    return str(whole[0]), str(whole[-1])
