"""What the WSGI application sees of an ASGI request, and what the client sees of its answer."""

import asyncio
import json
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

import pytest
from asgiref.typing import ASGIReceiveEvent, ASGISendEvent, HTTPScope

from config.http.middleware import REFUSAL_KEY, refuse
from config.server import bodies, responses, streams
from config.server.bridge import Bridge, Lane
from config.server.responses import BuffersFullError, BufferUsage, GrowingBody, KeyFullError, ResponseBuffer, call
from config.wsgi import application as tickbase

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LIMIT = 1000
MAX_OPEN = 40
LANES = {"/urgent": Lane.URGENT, "/hash": Lane.HASHING, "/heavy": Lane.HEAVY}
SHOWN = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "SERVER_NAME", "SERVER_PORT", "REMOTE_ADDR", "wsgi.url_scheme")


def scope(method: str = "GET", path: bytes = b"/", query: bytes = b"", **headers: str) -> HTTPScope:
    fields = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    made = {
        "type": "http", "http_version": "1.1", "method": method, "scheme": "http", "raw_path": path,
        "query_string": query, "headers": fields, "server": ("192.0.2.1", 8000), "client": ("192.0.2.2", 50_000),
    }  # fmt: skip
    return cast(HTTPScope, made)


class Client:
    """The far end of one request; it sends these parts of a body, and then `ending` if that is not None."""

    def __init__(self, *parts: bytes, ending: str | None = "http.request") -> None:
        self._events: list[dict[str, Any]] = [
            {"type": "http.request", "body": part, "more_body": True} for part in parts
        ]
        if ending is not None:
            self._events.append({"type": ending, "body": b"", "more_body": False})
        self.got: list[dict[str, Any]] = []

    async def receive(self) -> ASGIReceiveEvent:
        if not self._events:
            await asyncio.Event().wait()
        return cast(ASGIReceiveEvent, self._events.pop(0))

    async def send(self, event: ASGISendEvent) -> None:
        self.got.append(cast(dict[str, Any], event))

    def exchange(self, application: "WSGIApplication", request: HTTPScope) -> "Client":
        async def run() -> None:
            async with asyncio.timeout(10):
                await make_bridge(application)(request, self.receive, self.send)

        asyncio.run(run())
        return self

    @property
    def unsent(self) -> int:
        """The number of pieces that were not read, the ending among them."""
        return len(self._events)

    @property
    def status(self) -> int:
        return int(self.got[0]["status"])

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [(name.decode(), value.decode()) for name, value in self.got[0]["headers"]]

    @property
    def body(self) -> bytes:
        return b"".join(event["body"] for event in self.got[1:])


def make_bridge(application: "WSGIApplication", threads: int = 1) -> Bridge:
    return Bridge(
        application,
        threads=threads,
        max_body=LIMIT,
        lane_of=lambda method, path, query: LANES.get(path, Lane.COMMON),
        networks_of=lambda environ: {environ["REMOTE_ADDR"]: MAX_OPEN, environ["REMOTE_ADDR"][:3]: MAX_OPEN + 2},
        caller_of=lambda environ, network: environ.get("HTTP_AUTHORIZATION", network),
        refuser=refuse,
        refusal_key=REFUSAL_KEY,
    )


def mirror(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Answers what it was asked, or what the server refuses."""
    refusal = environ.get(REFUSAL_KEY)
    shown = {name: environ.get(name) for name in SHOWN}
    shown |= {name: value for name, value in environ.items() if name.startswith(("HTTP_", "CONTENT_"))}
    start_response(f"{200 if refusal is None else refusal.status} x", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    return [json.dumps({**shown, "body": environ["wsgi.input"].read().decode()}).encode()]


def mirrored(request: HTTPScope, *parts: bytes) -> dict[str, Any]:
    seen: dict[str, Any] = json.loads(Client(*parts).exchange(mirror, request).body)
    return seen


# --- The request ------------------------------------------------------------------------------------


def test_the_application_sees_who_asks_for_what() -> None:
    seen = mirrored(scope("PUT", b"/caf%C3%A9%2F%FF", b"a=%20b&c"))
    expected = ["PUT", "/caf\xc3\xa9/\xff", "a=%20b&c", "192.0.2.1", "8000", "192.0.2.2", "http"]
    assert [seen[name] for name in SHOWN] == expected


def test_repeated_headers_are_joined_and_names_with_underscores_dropped() -> None:
    request = scope(cookie="a=1")
    request["headers"] = [
        (b"accept", b"a"), (b"accept", b"b"), (b"cookie", b"a=1"), (b"cookie", b"b=2"),
        (b"x_forwarded_for", b"203.0.113.1"), (b"x-foo", b"\xff"),
    ]  # fmt: skip
    seen = mirrored(request)
    headers = {name: value for name, value in seen.items() if name.startswith("HTTP_")}
    assert headers == {"HTTP_ACCEPT": "a,b", "HTTP_COOKIE": "a=1; b=2", "HTTP_X_FOO": "\xff"}


def test_a_chunked_body_has_a_length() -> None:
    seen = mirrored(scope("POST", transfer_encoding="chunked", content_type="text/plain"), b"ab", b"", b"c")
    assert (seen["body"], seen["CONTENT_LENGTH"], seen["CONTENT_TYPE"]) == ("abc", "3", "text/plain")
    assert "HTTP_TRANSFER_ENCODING" not in seen


def test_a_body_beyond_the_limit_shows_only_its_length() -> None:
    client = Client(b"a" * LIMIT, b"a").exchange(mirror, scope("POST", transfer_encoding="chunked"))
    seen = json.loads(client.body)
    assert (seen["body"], seen["CONTENT_LENGTH"]) == ("", str(LIMIT + 1))
    assert ("connection", "close") not in client.headers  # it was read, and another request may follow


def test_a_body_without_end_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "DISCARDED", 2 * LIMIT)
    client = Client(*[b"a" * LIMIT] * 4, ending=None).exchange(mirror, scope("POST", transfer_encoding="chunked"))
    assert (client.status, json.loads(client.body)["CONTENT_LENGTH"]) == (200, str(3 * LIMIT))
    assert ("connection", "close") in client.headers


def test_only_so_many_large_bodies_are_taken_in_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one waits for the first, and is told that the server is busy, while a small one passes."""
    monkeypatch.setattr(bodies, "SMALL", 10)
    monkeypatch.setattr(bodies, "LARGE_AT_ONCE", 1)
    monkeypatch.setattr(bodies, "READ_SECONDS", 1.0)
    monkeypatch.setattr(bodies, "LARGE_WAIT_SECONDS", 0.8)

    async def run() -> list[int]:
        application = make_bridge(mirror)
        clients = [Client(b"a" * 20, ending=None), Client(b"a" * 20), Client(b"a" * 10)]
        request = scope("POST", transfer_encoding="chunked")
        first, *others = [asyncio.create_task(application(request, each.receive, each.send)) for each in clients]
        await asyncio.wait([others[1]])
        assert not first.done() and not others[0].done()
        await asyncio.gather(first, *others)
        return [each.status for each in clients]

    assert asyncio.run(run()) == [408, 503, 200]


@pytest.mark.django_db
def test_a_body_that_does_not_come_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "READ_SECONDS", 0.05)
    request = scope("POST", b"/api/auth/login", content_length="100", host="localhost", origin="http://localhost")
    client = Client(b"{", ending=None).exchange(tickbase, request)
    assert (client.status, json.loads(client.body)["code"]) == (408, "body_too_slow")
    assert {("connection", "close"), ("access-control-allow-origin", "http://localhost")} <= set(client.headers)


def test_a_body_that_is_cut_off_is_refused_and_never_seen() -> None:
    """Its client may have gone, or may only have stopped sending."""
    client = Client(b"abc", ending="http.disconnect").exchange(mirror, scope("POST", content_length="10"))
    assert (client.status, dict(client.headers)["connection"]) == (400, "close")
    assert json.loads(client.body)["body"] == ""


# --- The answer -------------------------------------------------------------------------------------


class Stream:
    """A streaming answer in Django's manner."""

    streaming = True

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = parts
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)

    def close(self) -> None:
        self.is_closed = True


def streaming(stream: Stream) -> "WSGIApplication":
    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Stream:
        start_response("200 OK", [])
        return stream

    return application


def test_every_cookie_is_set() -> None:
    client = Client().exchange(mirror, scope())
    assert client.headers == [("set-cookie", "a=1"), ("set-cookie", "b=2")]


@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_a_streamed_answer_arrives_whole_and_is_closed(size: int) -> None:
    stream = Stream(BytesIO(b"ab\n" * size))
    client = Client().exchange(streaming(stream), scope())
    assert client.body == b"ab\n" * size
    assert client.headers == [("content-length", str(3 * size))]
    assert client.got[-1]["more_body"] is False
    assert stream.is_closed


def test_a_streamed_answer_does_not_lie_in_memory() -> None:
    tracemalloc.start()
    with ResponseBuffer(BufferUsage(), None) as buffer:
        body = call(streaming(Stream(bytes(100_000) for _ in range(200))), {}, buffer).body
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not isinstance(body, bytes | GrowingBody)
    with body as file:
        assert file.tell() == 20_000_000
    assert peak < 5_000_000


def test_a_large_answer_is_made_with_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other threads have the interpreter for twice as long as each piece took."""
    rests: list[float] = []
    monkeypatch.setattr(responses, "sleep", rests.append)
    with ResponseBuffer(BufferUsage(), None) as buffer:
        body = call(streaming(Stream(bytes(100_000) for _ in range(20))), {}, buffer).body
    assert not isinstance(body, bytes)
    body.close()
    assert len(rests) == 20 and all(rest > 0 for rest in rests)


@pytest.mark.parametrize("own, pauses", [(1, 2), (3, 18), (9, 32)])
def test_a_large_file_is_sent_with_pauses_that_grow_with_the_square_of_their_number(
    monkeypatch: pytest.MonkeyPatch, own: int, pauses: int
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def main() -> None:
        with ExitStack() as others:
            for _ in range(own - 1):
                others.enter_context(reserve(usage, "ada", 1))
            with ResponseBuffer(usage, "ada") as buffer:
                answer = call(streaming(Stream([bytes(responses.AT_FULL_SPEED + 2 * responses.CHUNK)])), {}, buffer)
                await responses.send(answer, Client().send, buffer)

    usage = BufferUsage()
    monkeypatch.setattr(asyncio, "sleep", sleep)
    asyncio.run(main())
    assert sum(slept) == pytest.approx(pauses * responses.PAUSE)


def test_a_caller_has_one_heavy_answer_at_a_time_until_it_is_sent() -> None:
    seen: list[str] = []

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        seen.append(environ["HTTP_AUTHORIZATION"])
        return mirror(environ, start_response)

    class Slow(Client):
        async def send(self, event: ASGISendEvent) -> None:
            reading.set()
            await read.wait()
            await super().send(event)

    async def main() -> None:
        bridge = make_bridge(application, threads=4)
        slow, next_, other = Slow(), Client(), Client()

        def ask(client: Client, caller: str) -> "asyncio.Task[None]":
            return asyncio.create_task(bridge(scope(path=b"/heavy", authorization=caller), client.receive, client.send))

        first = ask(slow, "ada")
        await reading.wait()
        second = ask(next_, "ada")
        await ask(other, "bob")
        assert seen == ["ada", "bob"]
        read.set()
        await asyncio.gather(first, second)
        assert seen == ["ada", "bob", "ada"]

    reading, read = asyncio.Event(), asyncio.Event()
    asyncio.run(main())


def test_an_answer_that_breaks_off_is_none_and_is_closed() -> None:
    def parts() -> Iterator[bytes]:
        yield b"a"
        raise RuntimeError("broken")

    stream, client = Stream(parts()), Client()

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return (mirror if REFUSAL_KEY in environ else streaming(stream))(environ, start_response)

    client.exchange(application, scope())
    assert stream.is_closed
    assert client.status == 500 and b"a" not in client.got[1]["body"][:1]


def test_a_reader_who_stops_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SEND_SECONDS", 0.05)

    class Stopped(Client):
        async def send(self, event: ASGISendEvent) -> None:
            await super().send(event)
            if len(self.got) == 3:
                await asyncio.Event().wait()

    client = Stopped().exchange(streaming(Stream([b"a" * 2_000_000])), scope())
    assert len(client.got) == 3


# --- Bounds -----------------------------------------------------------------------------------------


def test_a_body_in_too_many_small_pieces_is_refused() -> None:
    client = Client(*[b"a"] * 5000).exchange(mirror, scope("POST", transfer_encoding="chunked"))
    assert client.status == 408


def reserve(usage: BufferUsage, key: str, size: int) -> ResponseBuffer:
    buffer = ResponseBuffer(usage, key)
    buffer.reserve(size)
    return buffer


@pytest.mark.parametrize("bound, error", [("BYTES_OF_KEY", KeyFullError), ("BYTES", BuffersFullError)])
def test_unread_bytes_are_bounded_while_they_are_written(
    monkeypatch: pytest.MonkeyPatch, bound: str, error: type[Exception]
) -> None:
    """The only answer of a caller, or of all, may be of any size."""
    monkeypatch.setattr(responses, bound, 20)
    usage = BufferUsage()
    first = reserve(usage, "ada", 100)
    first.reserve(1)  # and may grow
    with first, ResponseBuffer(usage, "ada") as buffer, pytest.raises(error):
        buffer.reserve(1)
    second = reserve(usage, "ada", 15)
    with pytest.raises(error):
        reserve(usage, "ada", 6)
    third = reserve(usage, "ada", 5)
    with pytest.raises(error):
        third.reserve(1)
    for each in (second, third):
        each.__exit__(None, None, None)
    reserve(usage, "ada", 100)


@pytest.mark.parametrize(("of_network", "most"), [(False, 4), (True, 32)])
def test_unread_answers_are_bounded_in_number(of_network: bool, most: int) -> None:
    """More for a network without an account: two people of an office open a page of ten scripts."""
    usage = BufferUsage()
    held = [ResponseBuffer(usage, "ada", of_network=of_network) for _ in range(most + 1)]
    for each in held[:most]:
        assert each.has_room()
        each.reserve(1)
    assert not held[most].has_room()
    assert ResponseBuffer(usage, "bob").has_room()
    held[0].__exit__(None, None, None)
    assert held[most].has_room()


def test_what_is_written_for_nobody_any_more_takes_no_room() -> None:
    usage = BufferUsage()
    with reserve(usage, "ada", 1) as buffer:
        pass
    with pytest.raises(BuffersFullError):
        buffer.reserve(1)


def test_a_large_answer_lies_in_a_file_and_arrives_whole() -> None:
    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", "1000000")])
        return [b"a" * 1_000_000]

    client = Client().exchange(application, scope())
    assert client.body == b"a" * 1_000_000
    assert max(len(event["body"]) for event in client.got[1:]) <= responses.CHUNK
