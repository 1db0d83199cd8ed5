"""Clients that are slow on purpose: in the head, in the body, in reading, or idle."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.server import Server

DRIP_SECONDS = 0.3
# Streamed and larger than what the server keeps in memory.
LARGE_ANSWER = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"

HEADS = b"POST /api/me/tasks HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
BODIES = HEADS + b"1\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"
READERS = f"GET {LARGE_ANSWER} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
IDLE = b""
KINDS = {"heads": HEADS, "bodies": BODIES, "readers": READERS, "idle": IDLE}


class SlowClients:
    """`count` connections that send the start of `KINDS[kind]` and, if it is unfinished, a byte now and then."""

    def __init__(self, server: Server, kind: str, count: int) -> None:
        self._address = ("127.0.0.1", server.port)
        self._start = KINDS[kind]
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
        self._sockets = [self._connect() for _ in range(self._count)]
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._each(socket.socket.close)
