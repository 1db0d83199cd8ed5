"""A receiver of webhooks: an HTTP server in a thread, which keeps what it gets and answers as it is told."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

LOOPBACK = "127.0.0.0/8"


class Received(NamedTuple):
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.body)
        return loaded

    @property
    def name(self) -> str:
        return str(self.event["type"])


Answer = tuple[int, dict[str, str], bytes]
ACCEPTED: Answer = (204, {}, b"")


class Receiver:
    """`answers` are given in turn, the last one again and again; a function makes one of what was received."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[Received] = []
        self.connections = 0
        self.answers: list[Answer | Callable[[Received], Answer]] = [ACCEPTED]

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.received]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [each.event for each in self.received]

    @property
    def ids(self) -> list[str]:
        return [each.headers["webhook-id"] for each in self.received]

    def answer(self, *statuses: int, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers = [(status, named, b"") for status in statuses]

    def handle(self, received: Received) -> Answer:
        self.received.append(received)
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        return answer(received) if callable(answer) else answer


@contextmanager
def receiving(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            receiver.connections += 1
            super().setup()

        def do_POST(self) -> None:  # noqa: N802 (as the base class calls it)
            body = self.rfile.read(length := int(self.headers["Content-Length"]))
            if len(body) < length:
                raise ConnectionResetError("the sender was killed")
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, own, answer = receiver.handle(Received(self.path, headers, body))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(answer)), **own}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *args: object) -> None:
            pass  # a client that closes a connection is none

    server = Server((host, 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "https" if tls else "http"
    receiver = Receiver(f"{scheme}://{host}:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def raw_server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does what it likes with each connection; yields its address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_served, args=[connection], daemon=True).start()

    def _served(connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the client has gone
            answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
