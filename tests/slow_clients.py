"""Clients that are slow on purpose: in the head, in the body, in reading, or idle."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import httpx

DRIP_SECONDS = 0.3
KINDS = ("heads", "bodies", "readers", "idle")
TASKS = 125
DESCRIPTION = "\N{MUSICAL SYMBOL G CLEF}" * 10_000  # 40 kB: the export is more than sockets buffer, and quickly made


def fill(client: httpx.Client) -> None:
    """Give the account an export of 5 MB, for `readers`."""
    for _ in range(TASKS):
        client.post("/api/me/tasks", json={"title": "a", "description": DESCRIPTION}).raise_for_status()


def start_of(kind: str, token: str) -> bytes:
    """What each client sends at once."""
    head = f"Host: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    starts = {
        "heads": f"POST /api/me/tasks HTTP/1.1\r\n{head}X-Slow: ",
        "bodies": f"POST /api/me/tasks HTTP/1.1\r\n{head}Content-Length: 100000\r\n\r\n{{",
        "readers": f"GET /api/users/me/export HTTP/1.1\r\n{head}\r\n",
        "idle": "",
    }
    return starts[kind].encode()


class SlowClients:
    """`count` connections that go on with a byte now and then, or read no further than the beginning."""

    def __init__(self, port: int, kind: str, count: int, token: str) -> None:
        self._address = ("127.0.0.1", port)
        self._start = start_of(kind, token)
        self._reads = kind == "readers"
        self._drips = kind in ("heads", "bodies")
        self._count = count
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._drip)
        self._sockets: list[socket.socket] = []

    def _connect(self) -> socket.socket:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(10)
        client.connect(self._address)
        client.sendall(self._start)
        return client

    def _drip(self) -> None:
        while self._drips and not self._stopped.wait(DRIP_SECONDS):
            self._each(lambda client: client.sendall(b"a"))

    def _each(self, do: Callable[[socket.socket], object]) -> None:
        for client in self._sockets:
            with suppress(OSError):  # the server may have given it up
                do(client)

    def __enter__(self) -> Self:
        self._thread.start()
        for _ in range(self._count):
            self._sockets.append(self._connect())
        if self._reads:
            # All have asked by now: exports of an account wait for their turn, and would take 5 seconds each.
            for client in self._sockets:
                client.recv(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._each(socket.socket.close)
