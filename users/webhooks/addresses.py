"""Which addresses a webhook may lead to: the guard against server-side request forgery (OWASP SSRF, CWE-918).

A URL is parsed strictly, and in one way only. Its name is resolved once, every address of it is checked, and the
connection goes to a checked address: a resolver that changes its answer gains nothing.
"""

import re
import socket
import threading
import time
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

from django.conf import settings

from config.errors import Invalid
from config.values import ascii_domain

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

RESOLVE_SECONDS = 3.0  # while an endpoint is made
RESOLVING = 32  # names at a time: a resolver that hangs keeps a thread until it gives up
MAX_ADDRESSES = 16

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s/?#@\\:\[\]%]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>[/?][!$-;=?-Z_a-z~]*)?",  # RFC 3986, sections 3.3 and 3.4; all else has to be escaped
    re.IGNORECASE,
)
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_NAME = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# By WHATWG's URL Standard, a host whose last label is a number is an IPv4 address, in whatever notation.
_ENDS_IN_NUMBER = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)\Z")

# Ports of other protocols that a request might be smuggled into: "bad ports" of WHATWG's Fetch Standard.
BAD_PORTS = frozenset(
    {
        0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
        109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526,
        530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045,
        4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
    }
)  # fmt: skip

# Not by `is_global` alone, which differs among versions of Python: IANA's special-purpose registries (RFC 6890).
_NOT_GLOBAL_V4 = [
    IPv4Network(each)
    for each in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # global, but Azure's own agent, for machines there
    )
]  # fmt: skip
_GLOBAL_V6 = IPv6Network("2000::/3")  # global unicast; mapped, compatible, local and multicast ones are outside
_NOT_GLOBAL_V6 = [
    IPv6Network(each)
    for each in (
        "2001::/23",  # IETF protocol assignments, of which Teredo
        "2001:db8::/32", "3fff::/20",  # documentation
        "2002::/16",  # 6to4: leads to an IPv4 address
    )
]  # fmt: skip
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: where there is no IPv4, a resolver makes such addresses of IPv4 ones
_ISATAP = {0x00005EFE, 0x02005EFE}  # RFC 5214: within the interface identifier


class UrlRefused(Invalid):
    code = "url_refused"


class Target(NamedTuple):
    """A URL in its parts; `host` is a name in ASCII or an address, without brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_tls(self) -> bool:
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """As the header Host has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _default_port(self.scheme) else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def parse(url: str) -> Target:
    """The URL in its one form. Raises UrlRefused for what is not plain: parsers differ about the rest."""
    found = _URL.fullmatch(url)
    if found is None or _BAD_ESCAPE.search(found["path"] or ""):
        raise _refusal("Write a plain address such as https://example.com/hook, without a user, a fragment or spaces.")
    scheme, port = found["scheme"].lower(), int(found["port"] or _default_port(found["scheme"].lower()))
    if port > 65_535 or port in BAD_PORTS:
        raise _refusal("Webhooks are not sent to this port; use another one, such as 443.")
    if scheme == "http" and not settings.WEBHOOK_ALLOWED_NETWORKS:
        raise _refusal("Webhooks are sent by https only.")
    path = found["path"] or ""
    return Target(scheme, _host(found["host"]), port, path if path.startswith("/") else f"/{path}")


def _host(text: str) -> str:
    """Raises UrlRefused for a host that is neither a name nor an address in its usual notation."""
    try:
        if text.startswith("["):
            return str(IPv6Address(text[1:-1]))
        host = ascii_domain(text)
        if _ENDS_IN_NUMBER.search(host):  # also what only looks like one, such as 2130706433 and 0x7f.1
            return str(IPv4Address(host))
    except ValueError as error:  # as is UnicodeError
        raise _refusal("Write its host as a name, or as an address in its usual notation.") from error
    if not _NAME.fullmatch(host):
        raise _refusal("Write its host as a name, without a dot at its end.")
    return host


def is_global(address: Address) -> bool:
    """Whether it is an address of the public internet, also when it stands for an IPv4 address."""
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in each for each in _NOT_GLOBAL_V4)
    if address.scope_id is not None:
        return False
    number = int(address)
    if address in _NAT64:
        return is_global(IPv4Address(number & 0xFFFFFFFF))
    if number >> 32 & 0xFFFFFFFF in _ISATAP:
        return False
    return address in _GLOBAL_V6 and address.is_global and not any(address in each for each in _NOT_GLOBAL_V6)


def is_allowed(address: Address, scheme: str, networks: Sequence[Network]) -> bool:
    """Whether webhooks go there: to the public internet by https, and to the operator's networks by both."""
    if any(address in each for each in networks):
        return True
    return scheme == "https" and is_global(address)


def resolve(target: Target, seconds: float = RESOLVE_SECONDS) -> list[Address]:
    """All addresses of the host, each of which may be connected to. Raises UrlRefused.

    One refusal for all reasons: it must not tell which names a resolver of ours knows.
    """
    networks = settings.WEBHOOK_ALLOWED_NETWORKS
    found = _look_up(target, seconds)
    if not found or not all(is_allowed(each, target.scheme, networks) for each in found):
        raise _refusal("Its host has no address now, or one to which webhooks are not sent: a public one is needed.")
    return found


def check(url: str) -> str:
    """The URL in its one form, once its host leads to an address that is allowed. Raises UrlRefused."""
    target = parse(url)
    resolve(target)
    return str(target)


def _look_up(target: Target, seconds: float) -> list[Address]:
    try:
        return [ip_address(target.host)]
    except ValueError:
        pass
    # getaddrinfo knows no timeout.
    found: list[Address] = []
    thread = threading.Thread(target=_resolve_into, args=[target, found], daemon=True, name="webhook-resolver")
    deadline = time.monotonic() + seconds
    if not _resolving.acquire(timeout=seconds):
        return []
    thread.start()
    thread.join(max(deadline - time.monotonic(), 0))
    return [] if thread.is_alive() else found


_resolving = threading.BoundedSemaphore(RESOLVING)


def _resolve_into(target: Target, found: list[Address]) -> None:
    try:
        answers = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        # Unlike `%eth0`, which names a scope, these are no text of the owner's.
        found.extend(dict.fromkeys(ip_address(str(place[0])) for *_, place in answers[:MAX_ADDRESSES]))
    except (OSError, ValueError, UnicodeError):
        found.clear()
    finally:
        _resolving.release()


def _refusal(detail: str) -> UrlRefused:
    return UrlRefused(detail, pointer="/url")
