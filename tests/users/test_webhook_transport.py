"""The connection to a receiver: its deadline, its bounds, TLS to a checked address, and what it never does."""

import datetime as dt
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_django import Settings

from tests.receiver import LOOPBACK, Receiver, raw_server, receiving
from users.webhooks import transport
from users.webhooks.transport import Connection, Outcome

BODY = b'{"type":"task.created"}'
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
pause = threading.Event().wait  # of receivers that are slow


@pytest.fixture(autouse=True)
def at_home(settings: Settings) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network(LOOPBACK)]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> float:
    """The deadline of an attempt is half a second."""
    monkeypatch.setattr(transport, "SECONDS", 0.5)
    monkeypatch.setattr(transport, "BODY_SECONDS", 0.2)
    return 0.5


def post(url: str) -> Outcome:
    connection = Connection(url)
    try:
        return connection.post(BODY, {"webhook-id": "msg_1"})
    finally:
        connection.close()


def read_request(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(BODY):
        received += connection.recv(65_536)
    return received


# --- One deadline -----------------------------------------------------------------------------------


def trickle_head(connection: socket.socket) -> None:
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 90:
        connection.sendall(bytes([byte]))
        pause(0.05)


def trickle_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
    while True:
        connection.sendall(b"x")
        pause(0.05)


def never_answer(connection: socket.socket) -> None:
    pause(5)


def only_continue(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        pause(0.05)


@pytest.mark.thorough
@pytest.mark.parametrize("answer", [trickle_head, never_answer, only_continue])
def test_no_receiver_holds_a_thread_beyond_the_deadline(hasty: float, answer: Callable[..., None]) -> None:
    with raw_server(answer) as url:
        outcome = post(url)
    assert outcome.status is None and outcome.reason.startswith("no answer within")
    assert 1000 * hasty * 0.9 <= outcome.milliseconds < 1000 * hasty * 3


def test_what_has_answered_is_not_waited_for(hasty: float) -> None:
    with raw_server(trickle_body) as url:
        outcome = post(url)
    assert (outcome.status, outcome.reason) == (200, "") and outcome.milliseconds < 1000 * hasty


def test_a_receiver_that_does_not_read_is_not_waited_for(hasty: float) -> None:
    with raw_server(never_answer) as url:
        outcome = Connection(url).post(b"x" * 50_000_000, {})
    assert outcome.reason.startswith("no answer within")


# --- Bounds of the answer ---------------------------------------------------------------------------


def endless_head(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X: " + b"y" * 60_000 + b"\r\n")


def endless_body(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
    while True:
        connection.sendall(b"y" * 60_000)


def nonsense(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"SSH-2.0-OpenSSH_9.2 canary\r\n")


def closes(connection: socket.socket) -> None:
    read_request(connection)


@pytest.mark.parametrize("answer", [endless_head, nonsense, closes])
def test_what_is_no_answer_is_a_failure_that_quotes_nothing(answer: Callable[..., None]) -> None:
    with raw_server(answer) as url:
        outcome = post(url)
    assert outcome.status is None and not outcome.is_accepted and "canary" not in outcome.reason


def test_at_most_64_kib_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    receive = transport._Stream.receive_into

    def counting(stream: Any, buffer: Any) -> int:
        read.append(receive(stream, buffer))
        return read[-1]

    monkeypatch.setattr(transport._Stream, "receive_into", counting)
    with raw_server(endless_body) as url:
        assert post(url).status == 200
    assert sum(read) <= transport.MAX_ANSWER


def test_a_refused_connection_is_told(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    assert post(url).reason == "the connection was refused"


# --- Kept connections -------------------------------------------------------------------------------


def test_a_connection_that_was_closed_meanwhile_is_opened_anew() -> None:
    def once(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(ANSWER)

    with raw_server(once) as url:
        connection = Connection(url)
        assert [connection.post(BODY, {}).status for _ in range(3)] == [204] * 3
        connection.close()


def test_a_connection_serves_many_messages() -> None:
    with receiving() as receiver:
        receiver.answers = [(200, {}, b"thanks")]
        connection = Connection(receiver.url)
        assert [connection.post(BODY, {}).status for _ in range(20)] == [200] * 20
        connection.close()
        assert receiver.connections == 1


def test_the_address_is_checked_at_each_connection(settings: Settings) -> None:
    with receiving() as receiver:
        connection = Connection(receiver.url)
        receiver.answers = [(200, {"Connection": "close"}, b"")]
        assert connection.post(BODY, {}).status == 200
        settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network("10.0.0.0/8")]
        outcome = connection.post(BODY, {})
    assert outcome.status is None and "not sent" in outcome.reason
    assert len(receiver.received) == 1


# --- Elsewhere --------------------------------------------------------------------------------------


def test_redirects_are_not_followed() -> None:
    with receiving() as elsewhere, receiving() as receiver:
        receiver.answer(307, Location=elsewhere.url)
        assert post(receiver.url).reason == "HTTP 307: redirects are not followed"
    assert (len(receiver.received), elsewhere.received) == (1, [])


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy, receiving() as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert post(receiver.url).status == 204
    assert (len(receiver.received), proxy.received) == (1, [])


def test_the_host_is_told_with_its_port_and_nothing_of_the_environment() -> None:
    with receiving() as receiver:
        post(receiver.url)
    (received,) = receiver.received
    assert received.headers["host"] == receiver.url.split("/")[2]
    assert received.headers.keys() == {"host", "user-agent", "content-type", "content-length", "webhook-id"}


# --- TLS --------------------------------------------------------------------------------------------


def certificate(folder: Path, *names: str) -> Path:
    """A file with a key and its own certificate, which trusts itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tickbase test")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - dt.timedelta(days=1))
    alternatives = [x509.DNSName(name) for name in names]
    made = (
        builder.not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{names[0]}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Receiver, list[str]]]:
    """A receiver with a certificate for receiver.example, which the client trusts, and the names that it was asked
    for."""
    pem, asked = certificate(tmp_path, "receiver.example"), []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.sni_callback = lambda _, name, __: asked.append(str(name))
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    transport._context.cache_clear()
    with receiving(context) as receiver:
        yield receiver, asked
    transport._context.cache_clear()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """The resolver's answers in turn; returns the names that it was asked for."""
    left, asked = [*answers], []

    def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        asked.append(host)
        given = left[0] if len(left) == 1 else left.pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (given, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_tls_goes_to_the_checked_address_with_the_name(
    secure: tuple[Receiver, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver, asked = secure
    looked_up = resolve_to(monkeypatch, "127.0.0.1", "10.0.0.1")
    port = receiver.url.split(":")[2].split("/")[0]
    outcome = post(f"https://receiver.example:{port}/hook")
    assert (outcome.status, outcome.reason) == (204, "")
    assert (asked, looked_up) == (["receiver.example"], ["receiver.example"])
    assert receiver.received[0].headers["host"] == f"receiver.example:{port}"


@pytest.mark.parametrize("name", ["other.example", "127.0.0.1"])
def test_a_certificate_of_another_name_is_a_failure(
    secure: tuple[Receiver, list[str]], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    receiver, _ = secure
    resolve_to(monkeypatch, "127.0.0.1")
    outcome = post(receiver.url.replace("127.0.0.1", name))
    assert outcome.status is None and outcome.reason.startswith("TLS: ")
    assert receiver.received == []


def test_a_certificate_that_nobody_vouches_for_is_a_failure(
    secure: tuple[Receiver, list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    receiver, _ = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate(tmp_path, "another.example")))
    transport._context.cache_clear()
    resolve_to(monkeypatch, "127.0.0.1")
    assert post(receiver.url.replace("127.0.0.1", "receiver.example")).reason.startswith("TLS: ")
    assert receiver.received == []


def test_a_handshake_that_hangs_ends_at_the_deadline(hasty: float) -> None:
    with raw_server(never_answer) as url:
        outcome = post(url.replace("http:", "https:"))
    assert outcome.reason.startswith("no answer within") and outcome.milliseconds < 3000 * hasty


def test_the_next_address_is_tried_where_one_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        answers = [(socket.AF_INET, 1, 6, "", (each, 0)) for each in ("127.0.0.9", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: answers)
        assert post(receiver.url.replace("127.0.0.1", "receiver.example")).status == 204


def test_a_resolver_that_hangs_counts_within_the_deadline(hasty: float, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: goes_on.wait(20) and [])
    outcome = post("https://receiver.example/")
    goes_on.set()
    assert outcome.status is None and outcome.milliseconds < 3000 * hasty


def test_ipv6_is_connected_to_as_such(settings: Settings) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network("::1")]
    assert ip_address("::1") in settings.WEBHOOK_ALLOWED_NETWORKS[0]
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with listener:
        threading.Thread(target=_accept_once, args=[listener], daemon=True).start()
        assert post(f"http://[::1]:{listener.getsockname()[1]}/").status == 204


def _accept_once(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        read_request(connection)
        connection.sendall(ANSWER)


def test_an_ipv6_address_that_ends_in_letters_has_no_port_in_it(settings: Settings) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network("::ffff:0:0/96")]
    with socket.create_server(("127.0.0.10", 0)) as server:
        port, answered = server.getsockname()[1], threading.Thread(target=_answer_once, args=[server])
        answered.start()
        assert post(f"http://[::ffff:127.0.0.10]:{port}/").status == 204
        answered.join()


def _answer_once(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        read_request(connection)
        connection.sendall(ANSWER)
