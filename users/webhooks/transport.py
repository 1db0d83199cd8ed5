"""A connection to a receiver: to an address that was checked, without redirects and proxies, and with one deadline for
all that happens on it."""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, NamedTuple

from django.utils import timezone

from config import VERSION
from users.webhooks.addresses import Target, UrlRefused, parse, resolve

SECONDS = 15.0  # for an attempt, from the look-up of the name to the last byte that is read
BODY_SECONDS = 1.0  # for the rest of an answer whose status is known: it is read so that the connection can be kept
MAX_ANSWER = 64 * 1024  # bytes, with its headers
MAX_RETRY_AFTER = 24 * 3600  # seconds
USER_AGENT = f"Tickbase/{VERSION} (webhooks)"


class Outcome(NamedTuple):
    status: int | None  # None without an answer
    reason: str  # in our words, as the receiver's may be anything; empty if it was accepted
    milliseconds: int
    retry_after: float = 0.0  # seconds that the receiver asks for
    is_late: bool = False  # whether the time was over

    @property
    def is_accepted(self) -> bool:
        return not self.reason


class _AnswerTooLong(OSError):
    pass


class Connection:
    """To one URL; it is kept open from one message to the next."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._stream: _Stream | None = None

    def post(self, body: bytes, headers: Mapping[str, str], seconds: float | None = None) -> Outcome:
        """Within so many seconds, or SECONDS. Never raises: whatever goes wrong is the receiver's failure."""
        began, is_late = time.monotonic(), False
        try:
            status, retry_after = self._post(body, headers, began + (seconds or SECONDS))
            reason = "" if 200 <= status < 300 else f"HTTP {status}"
            if 300 <= status < 400:
                reason += ": redirects are not followed"
        except (OSError, http.client.HTTPException, UrlRefused, ValueError) as error:
            self.close()
            status, retry_after, reason = None, 0.0, _reason(error)
            is_late = isinstance(error, TimeoutError)
        return Outcome(status, reason, round((time.monotonic() - began) * 1000), retry_after, is_late)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None

    def _post(self, body: bytes, headers: Mapping[str, str], deadline: float) -> tuple[int, float]:
        target = parse(self.url)
        if self._stream is not None:
            try:
                return self._exchange(target, body, headers, deadline)
            except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLError):
                self.close()  # it was closed while nothing was sent: no failure yet
        self._stream = _connect(target, deadline)
        return self._exchange(target, body, headers, deadline)

    def _exchange(self, target: Target, body: bytes, headers: Mapping[str, str], deadline: float) -> tuple[int, float]:
        stream: Any = self._stream
        stream.begin(deadline)
        connection = http.client.HTTPConnection(target.host, target.port)  # or it looks for one behind a colon
        connection.auto_open = 0
        connection.sock = stream
        connection.putrequest("POST", target.path, skip_host=True, skip_accept_encoding=True)
        standard = {
            "Host": target.authority,
            "User-Agent": USER_AGENT,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }
        for name, value in {**standard, **headers}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        stream.begin(min(deadline, time.monotonic() + BODY_SECONDS), more=False)
        with suppress(OSError, http.client.HTTPException, ValueError):
            answer.read()
        if not answer.isclosed() or answer.will_close:
            self.close()
        return answer.status, _retry_after(answer.headers.get("Retry-After", ""))


class _Stream:
    """What http.client takes for a socket: every operation ends at the deadline, and an answer at its bound."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._deadline, self._room = 0.0, 0

    def begin(self, deadline: float, *, more: bool = True) -> None:
        """Set the deadline; with `more`, of a new answer."""
        self._deadline = deadline
        self._room = MAX_ANSWER if more else self._room

    def sendall(self, data: Any) -> None:
        rest = memoryview(data)
        while rest:
            self._sock.settimeout(_left(self._deadline))
            rest = rest[self._sock.send(rest) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def receive_into(self, buffer: Any) -> int:
        if not self._room:
            raise _AnswerTooLong
        self._sock.settimeout(_left(self._deadline))
        received = self._sock.recv_into(memoryview(buffer)[: self._room])
        self._room -= received
        return received

    def close(self) -> None:
        with suppress(OSError):
            self._sock.close()


class _Reader(io.RawIOBase):
    """It does not close the socket, which is kept for the next answer."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._stream.receive_into(buffer)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connect(target: Target, deadline: float) -> _Stream:
    """To the first address that answers, each of which was checked just now. Raises OSError and UrlRefused."""
    addresses = resolve(target, _left(deadline))
    failure: OSError = TimeoutError()
    for number, address in enumerate(addresses):
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:  # no IPv6 here
            failure = error
            continue
        try:
            sock.settimeout(_left(deadline) / (len(addresses) - number))
            sock.connect((str(address), target.port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not target.is_tls:
                return _Stream(sock)
            sock.settimeout(_left(deadline))
            return _Stream(_context().wrap_socket(sock, server_hostname=target.host))
        except OSError as error:
            failure = error
            sock.close()
    raise failure


@cache
def _context() -> ssl.SSLContext:
    """The certificates of the system, or of SSL_CERT_FILE."""
    return ssl.create_default_context()


def _retry_after(text: str) -> float:
    """Seconds, of a number or of a date (RFC 9110, section 10.2.3); 0 for what is neither."""
    text = text.strip()[:40]
    if text.isascii() and text.isdecimal():
        return float(min(int(text), MAX_RETRY_AFTER))
    try:
        seconds = (parsedate_to_datetime(text) - timezone.now()).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _reason(error: Exception) -> str:
    match error:
        case UrlRefused():
            return "the host has no address, or one to which webhooks are not sent"
        case TimeoutError():
            return f"no answer within {SECONDS:.0f} seconds"
        case ssl.SSLCertVerificationError():
            return f"TLS: {error.verify_message}"[:200]
        case ssl.SSLError():
            return "TLS: the handshake failed"
        case ConnectionRefusedError():
            return "the connection was refused"
        case _AnswerTooLong() | http.client.HTTPException() | ValueError():
            return "the answer is no HTTP, or too long"
    return "the connection failed"
