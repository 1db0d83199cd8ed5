"""Bodies beyond the common limit, which some addresses take from callers whose token was verified."""

import asyncio
import json
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest

from config.asgi import max_body_of
from config.http.middleware import REFUSAL_KEY, refuse
from config.server import bodies
from config.server.bridge import Bridge, Lane
from tasks.transfer.uploads import MAX_BODY
from tests.config.test_bridge import LIMIT, MAX_OPEN, Client, scope

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HUGE = 10 * LIMIT
KNOWN = {"authorization": "Bearer x"}


def measure(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    refusal = environ.get(REFUSAL_KEY)
    start_response("200 OK" if refusal is None else f"{refusal.status} x", [])
    body = environ["wsgi.input"]
    seen = {"declared": environ["CONTENT_LENGTH"], "read": len(body.read()), "in a file": hasattr(body, "name")}
    return [json.dumps(seen).encode()]


def bridge(application: "WSGIApplication" = measure) -> Bridge:
    return Bridge(
        application,
        threads=4,
        max_body=LIMIT,
        max_body_of=lambda method, path: HUGE if path == "/files" else LIMIT,
        lane_of=lambda method, path, query: Lane.COMMON,
        networks_of=lambda environ: {environ["REMOTE_ADDR"]: MAX_OPEN},
        caller_of=lambda environ, network: environ.get("HTTP_AUTHORIZATION", network),
        refuser=refuse,
        refusal_key=REFUSAL_KEY,
    )


def seen(path: bytes, size: int, **headers: str) -> Any:
    client = Client(*[b"x" * 100] * (size // 100))
    request = scope("POST", path, b"", content_length=str(size), **headers)

    async def run() -> None:
        async with asyncio.timeout(10):
            await bridge()(request, client.receive, client.send)

    asyncio.run(run())
    return json.loads(client.body)


@pytest.mark.parametrize(
    ("path", "size", "headers", "read", "in_a_file"),
    [
        (b"/files", 500, KNOWN, 500, False),
        (b"/files", HUGE, KNOWN, HUGE, True),
        (b"/files", HUGE + 100, KNOWN, 0, False),
        (b"/files", 2 * LIMIT, {}, 0, False),
        (b"/tasks", 2 * LIMIT, KNOWN, 0, False),
    ],
)
def test_who_may_send_how_much(path: bytes, size: int, headers: dict[str, str], read: int, in_a_file: bool) -> None:
    assert seen(path, size, **headers) == {"declared": str(size), "read": read, "in a file": in_a_file}


@pytest.mark.parametrize(("size", "expected"), [(600, 0), (3000, 4)])
def test_a_large_body_is_read_with_rests(monkeypatch: pytest.MonkeyPatch, size: int, expected: int) -> None:
    """It comes in pieces of 100 bytes."""
    monkeypatch.setattr(bodies, "SMALL", 600)
    monkeypatch.setattr(bodies, "PIECE", 500)
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr(bodies, "sleep", rest)
    assert seen(b"/files", size, **KNOWN)["read"] == size
    assert rests == [bodies.PAUSE] * expected


def test_slow_clients_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as are worked on at once have begun theirs, and send no more."""
    monkeypatch.setattr(bodies, "HUGE_READ_SECONDS", 2)

    async def run() -> list[int]:
        application = bridge()
        request = scope("POST", b"/files", b"", transfer_encoding="chunked", **KNOWN)
        slow = [Client(b"a" * 1500, ending=None) for _ in range(bodies.HUGE_AT_ONCE)]
        waiting = [asyncio.create_task(application(request, each.receive, each.send)) for each in slow]
        other = Client(b"a" * 1500)
        await asyncio.create_task(application(request, other.receive, other.send))
        assert not any(each.done() for each in waiting)
        await asyncio.gather(*waiting)
        return [other.status, *(each.status for each in slow)]

    assert asyncio.run(run()) == [200, *[408] * bodies.HUGE_AT_ONCE]


@pytest.mark.parametrize(("at_once", "statuses"), [(2, [200, 200]), (1, [200, 503])])
def test_only_so_many_are_worked_on_at_once(at_once: int, statuses: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is answered when nobody can wait for its place any more."""
    monkeypatch.setattr(bodies, "HUGE_AT_ONCE", at_once)
    monkeypatch.setattr(bodies, "HUGE_WAIT_SECONDS", 0.1)
    answered = threading.Event()

    def work(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if REFUSAL_KEY not in environ and "first" in environ["HTTP_AUTHORIZATION"]:
            assert answered.wait(5)
        return measure(environ, start_response)

    async def run() -> list[int]:
        application, clients = bridge(work), [Client(b"a" * 1500) for _ in range(2)]
        first, second = (
            application(
                scope("POST", b"/files", transfer_encoding="chunked", authorization=name), each.receive, each.send
            )
            for name, each in zip(("first", "second"), clients, strict=True)
        )
        waiting = asyncio.create_task(first)
        await asyncio.sleep(0)
        await asyncio.create_task(second)
        answered.set()
        await waiting
        return [each.status for each in clients]

    assert asyncio.run(run()) == statuses


def test_only_so_many_lie_in_files_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one waits for the first, and is told that the server is busy, while a smaller one passes."""
    monkeypatch.setattr(bodies, "HUGE_FILES", 1)
    monkeypatch.setattr(bodies, "HUGE_READ_SECONDS", 1.0)
    monkeypatch.setattr(bodies, "HUGE_WAIT_SECONDS", 0.8)

    async def run() -> list[int]:
        application = bridge()
        clients = [Client(b"a" * 1500, ending=None), Client(b"a" * 1500), Client(b"a" * LIMIT)]
        request = scope("POST", b"/files", b"", transfer_encoding="chunked", **KNOWN)
        first, *others = [asyncio.create_task(application(request, each.receive, each.send)) for each in clients]
        await asyncio.wait([others[1]])
        assert not first.done() and not others[0].done()
        await asyncio.gather(first, *others)
        return [each.status for each in clients]

    assert asyncio.run(run()) == [408, 503, 200]


def test_of_a_caller_only_so_many_large_bodies_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another's is, and the caller's smaller one; and theirs again, when others are read."""
    monkeypatch.setattr(bodies, "SMALL", 10)
    monkeypatch.setattr(bodies, "LARGE_OF_CALLER", 2)

    async def run() -> list[int]:
        application, found = bridge(), []

        async def send(client: Client, caller: str) -> None:
            request = scope("POST", b"/tasks", b"", transfer_encoding="chunked", authorization=caller)
            await application(request, client.receive, client.send)

        open_ones = [asyncio.create_task(send(Client(b"a" * 20, ending=None), "ada")) for _ in range(2)]
        await asyncio.sleep(0)
        for size, caller in ((20, "ada"), (10, "ada"), (20, "bob")):
            await send(client := Client(b"a" * size), caller)
            found.append(client.status)
        for each in open_ones:
            each.cancel()
        await asyncio.wait(open_ones)
        await send(last := Client(b"a" * 20), "ada")
        return [*found, last.status]

    assert asyncio.run(run()) == [429, 200, 200, 200]


def test_imports_take_a_file() -> None:
    assert max_body_of("POST", "/api/me/imports") == max_body_of("POST", "/api/7/imports") == MAX_BODY
    for method, path in [("GET", "/api/me/imports"), ("POST", "/api/me/batch"), ("POST", "/api/me/imports/1")]:
        assert max_body_of(method, path) == 1024 * 1024
