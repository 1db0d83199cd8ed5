"""An external issuer: it signs tokens, and serves its keys over HTTP on loopback, well or badly."""

import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

ISSUER = "https://issuer.example/"
AUDIENCE = "https://tasks.example"
SECRET = "a secret that two servers share, and nobody else"
ALGORITHMS = get_default_algorithms()


@dataclass(frozen=True)
class SigningKey:
    kid: str
    algorithm: str
    private: Any

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half, as an issuer publishes it."""
        public = ALGORITHMS[self.algorithm].to_jwk(self.private.public_key(), as_dict=True)
        return {**public, "kid": self.kid, "alg": self.algorithm, "use": "sig"}


@cache
def make_key(kid: str, algorithm: str = "EdDSA", bits: int = 2048) -> SigningKey:
    private: Any
    match algorithm:
        case "EdDSA":
            private = ed25519.Ed25519PrivateKey.generate()
        case "ES256":
            private = ec.generate_private_key(ec.SECP256R1())
        case _:
            private = rsa.generate_private_key(65537, bits)
    return SigningKey(kid, algorithm, private)


SHARED = SigningKey("", "HS256", SECRET.encode())


def claims_of(subject: Any = "ada", **changes: Any) -> dict[str, Any]:
    """What the issuer's tokens say; None leaves a claim out."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 900, **changes}
    return {name: value for name, value in claims.items() if value is not None}


def sign(key: SigningKey, claims: Any, **header: Any) -> str:
    """A JWT of whatever it is given: also claims and headers that no library would write."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    header = {"alg": key.algorithm, **({"kid": key.kid} if key.kid else {}), "typ": "JWT", **header}
    return sign_raw(key, json.dumps(header).encode(), payload)


def sign_raw(key: SigningKey, header: bytes, payload: bytes) -> str:
    signed = b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in (header, payload))
    signature = ALGORITHMS[key.algorithm].sign(signed, key.private)
    return b".".join((signed, urlsafe_b64encode(signature).rstrip(b"="))).decode()


class Issuer:
    """`with Issuer() as issuer:` serves `issuer.keys`; assign `issuer.answer` to have it answer otherwise."""

    def __init__(self) -> None:
        self.keys = [make_key("first")]
        self.paths: list[str] = []  # that were asked for
        self.answer: Callable[[Handler], None] = Handler.answer_keys
        self.go_on = threading.Event()  # for answers that hang
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/jwks"

    @property
    def key_set(self) -> dict[str, Any]:
        return {"keys": [key.jwk for key in self.keys]}

    def token(self, subject: Any = "ada", **changes: Any) -> str:
        return sign(self.keys[0], claims_of(subject, **changes))

    def start(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), type("Bound", (Handler,), {"issuer": self}))
        self.server.handle_error = lambda *args: None  # type: ignore[method-assign]  # clients hang up here
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.go_on.set()
        self.stop()


class Handler(BaseHTTPRequestHandler):
    issuer: Issuer

    def do_GET(self) -> None:
        self.issuer.paths.append(self.path)
        self.issuer.answer(self)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def answer_keys(self) -> None:
        self.send(200, json.dumps(self.issuer.key_set).encode())

    def answer_later(self) -> None:
        """With the keys of the moment when it was asked."""
        body = json.dumps(self.issuer.key_set).encode()
        self.issuer.go_on.wait(20)
        self.send(200, body)

    def end_later(self) -> None:
        """All of it is there at once, but only the end of the connection tells so."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.issuer.key_set).encode())
        self.issuer.go_on.wait(20)

    def drip(self) -> None:
        """One byte after the other, each in good time."""
        self.send(200, b"", length=100_000)
        while not self.issuer.go_on.wait(0.02):
            self.wfile.write(b" ")

    def drip_headers(self) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Long: ")
        while not self.issuer.go_on.wait(0.02):
            self.wfile.write(b"x")

    def speak_ssh(self) -> None:
        self.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")

    def send(self, status: int, body: bytes, *, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
