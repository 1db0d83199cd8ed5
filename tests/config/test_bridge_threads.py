"""Who waits for a thread and for how long, who is refused, and by whom."""

import asyncio
import itertools
import json
import os
import sys
import threading
from collections.abc import Iterable
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

import pytest
import uvloop
from asgiref.typing import ASGISendEvent

from config.http.middleware import REFUSAL_KEY
from config.server import bodies, bridge, responses, threads
from tests.config.test_bridge import LIMIT, MAX_OPEN, Client, make_bridge, mirror, scope

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def blocked_by(event: threading.Event) -> "WSGIApplication":
    """Answers /slow when the event is set, or what the server refuses, at once."""

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        refusal = environ.get(REFUSAL_KEY)
        if environ["PATH_INFO"] == "/slow" and refusal is None:
            event.wait(10)
        start_response(f"{200 if refusal is None else refusal.status} x", [])
        return [b""]

    return application


def statuses(*paths: bytes, callers: str = "abcdef", count: int = 1) -> list[int]:
    """Of a request by each of these callers to an application with so many threads, one of which the first request
    holds until all others are answered."""
    event = threading.Event()

    async def run() -> list[int]:
        application = make_bridge(blocked_by(event), count)
        clients = [Client() for _ in paths]
        first, *others = [
            asyncio.create_task(application(scope(path=path, authorization=caller), client.receive, client.send))
            for client, path, caller in zip(clients, paths, callers, strict=False)
        ]
        await asyncio.wait(others)
        event.set()
        await first
        return [client.status for client in clients]

    return asyncio.run(run())


def test_what_waits_for_a_thread_in_vain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "WAIT_SECONDS", 0.1)
    assert statuses(b"/slow", b"/slow", b"/") == [200, 503, 503]


def test_what_waits_for_others_of_its_caller_in_vain_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of two threads is left to others."""
    monkeypatch.setattr(threads, "WAIT_SECONDS", 0.1)
    assert statuses(b"/slow", b"/", b"/", callers="aab", count=2) == [200, 429, 200]


def test_who_had_a_password_hashed_leaves_the_next_turns_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process hashes, so the thread's CPU time would say nothing."""
    monkeypatch.setattr(threads, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(threads, "REST_SECONDS", 10**9)
    monkeypatch.setattr(bridge, "monotonic", partial(next, itertools.count(0, 10**9)))

    async def run() -> list[int]:
        application, found = make_bridge(mirror), []
        for caller in "bbbaab":
            client = Client()
            await application(scope(path=b"/hash", authorization=caller), client.receive, client.send)
            found.append(client.status)
        return found

    assert asyncio.run(run()) == [200, 200, 200, 200, 429, 200]


def test_heavy_requests_of_all_callers_leave_a_thread_to_common_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports of as many accounts as there are threads held all of them: nobody else was answered meanwhile."""
    monkeypatch.setattr(threads, "WAIT_SECONDS", 0.1)
    event = threading.Event()

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/heavy" and REFUSAL_KEY not in environ:
            event.wait(10)
        return mirror(environ, start_response)

    async def run() -> list[int]:
        bridged, clients = make_bridge(application, 3), [Client() for _ in range(5)]
        paths = [b"/heavy", b"/heavy", b"/heavy", b"/"]
        *held, waits, common = [
            asyncio.create_task(bridged(scope(path=path, authorization=caller), client.receive, client.send))
            for path, caller, client in zip(paths, "abcd", clients, strict=False)
        ]
        await asyncio.wait([waits, common])
        event.set()
        await asyncio.wait(held)
        await bridged(scope(path=b"/heavy", authorization="c"), clients[4].receive, clients[4].send)
        return [client.status for client in clients]

    assert asyncio.run(run()) == [200, 200, 503, 200, 200]


@pytest.mark.parametrize("path", [b"/urgent", b"/hash"])
def test_other_lanes_do_not_wait(path: bytes) -> None:
    assert statuses(b"/slow", path) == [200, 200]
    assert statuses(path, b"/") == [200, 200]


def test_refusals_and_urgent_paths_share_no_thread() -> None:
    """While one thread refuses for long, both are answered: by a thread of their own, and by none."""
    event, holds = threading.Event(), threading.Event()

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if REFUSAL_KEY in environ:
            holds.set()
            event.wait(10)
        return mirror(environ, start_response)

    async def run() -> list[Client]:
        bridged, clients = make_bridge(application), [Client() for _ in range(3)]
        held = asyncio.create_task(bridged(scope(accept="a" * 5000), clients[0].receive, clients[0].send))
        assert await asyncio.to_thread(holds.wait, 10)
        await bridged(scope(path=b"/urgent"), clients[1].receive, clients[1].send)
        refused = scope(authorization="b", accept="a" * 5000, x_request_id="the-one")
        await bridged(refused, clients[2].receive, clients[2].send)
        event.set()
        await held
        return clients

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "WAIT_SECONDS", 0.1)
        held, urgent, refused = asyncio.run(run())
    assert (held.status, urgent.status, refused.status) == (431, 200, 431)
    problem, fields = json.loads(refused.body), dict(refused.headers)
    assert (problem["code"], problem["request_id"], fields["x-request-id"]) == ("header_too_long", "the-one", "the-one")
    assert fields["content-type"] == "application/problem+json"


def test_the_last_refusal_of_an_overload_says_when_to_come_back() -> None:
    """Nothing of the application is left that could answer."""

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        raise RuntimeError("broken")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "QUEUE", 0)
        patch.setattr(threads.ThreadPool, "_may_start", lambda *_: False)
        client = Client().exchange(application, scope())
    problem, fields = json.loads(client.body), dict(client.headers)
    assert (client.status, problem["code"], fields["retry-after"]) == (503, "overloaded", "2")
    assert problem["request_id"] == fields["x-request-id"] != ""


def test_what_fails_while_it_is_refused_is_refused_all_the_same() -> None:
    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        raise RuntimeError("broken")

    client = Client().exchange(application, scope())
    assert (client.status, json.loads(client.body)["code"]) == (500, "internal_error")


def test_a_network_has_so_many_requests_open_and_others_pass() -> None:
    """Those of which the body does not come, too; what ends makes room."""

    async def run() -> tuple[list[int], Client]:
        bridged = make_bridge(mirror)
        open_ones, others = [Client(b"a", ending=None) for _ in range(MAX_OPEN)], [Client() for _ in range(3)]
        posted, elsewhere = scope("POST", content_length="10"), scope()
        elsewhere["client"] = ("192.0.2.3", 50_000)
        tasks = [asyncio.create_task(bridged(posted, each.receive, each.send)) for each in open_ones]
        await asyncio.sleep(0)
        await bridged(scope(), others[0].receive, others[0].send)
        await bridged(elsewhere, others[1].receive, others[1].send)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await bridged(scope(), others[2].receive, others[2].send)
        return [each.status for each in others], others[0]

    found, refused = asyncio.run(run())
    assert found == [429, 200, 200]
    problem, fields = json.loads(refused.body), dict(refused.headers)
    assert (problem["code"], fields["retry-after"], fields["connection"]) == ("too_many_at_once", "2", "close")
    assert problem["request_id"] == fields["x-request-id"] != ""


def test_so_do_many_networks_of_one_site_together() -> None:
    async def run() -> list[int]:
        bridged = make_bridge(mirror)
        open_ones, others = [Client(b"a", ending=None) for _ in range(MAX_OPEN + 2)], [Client() for _ in range(2)]
        tasks = []
        for number, each in enumerate(open_ones):
            posted = scope("POST", content_length="10")
            posted["client"] = (f"192.0.2.{10 + number}", 50_000)
            tasks.append(asyncio.create_task(bridged(posted, each.receive, each.send)))
        await asyncio.sleep(0)
        await bridged(scope(), others[0].receive, others[0].send)
        tasks[0].cancel()
        await asyncio.wait(tasks[:1])
        await bridged(scope(), others[1].receive, others[1].send)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return [each.status for each in others]

    assert asyncio.run(run()) == [429, 200]


def test_a_queue_that_moves_is_waited_in_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "WAIT_SECONDS", 0.3)

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        threading.Event().wait(0.1)
        return mirror(environ, start_response)

    async def run() -> set[int]:
        bridged, clients = make_bridge(application), [Client() for _ in range(8)]
        await asyncio.gather(*(bridged(scope(), client.receive, client.send) for client in clients))
        return {client.status for client in clients}

    assert asyncio.run(run()) == {200}


def test_a_request_whose_client_goes_while_it_waits_is_not_run() -> None:
    event, ran = threading.Event(), list[str]()

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        ran.append(environ["PATH_INFO"])
        event.wait(10)
        return mirror(environ, start_response)

    async def run() -> None:
        bridged, clients = make_bridge(application), [Client() for _ in range(3)]
        paths = [b"/first", b"/gone", b"/last"]
        tasks = [
            asyncio.create_task(bridged(scope(path=path), client.receive, client.send))
            for path, client in zip(paths, clients, strict=True)
        ]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.wait([tasks[1]])
        event.set()
        await asyncio.wait(tasks)

    asyncio.run(run())
    assert ran == ["/first", "/last"]


class SlowReader(Client):
    def __init__(self) -> None:
        super().__init__()
        self.is_reading, self.may_read = asyncio.Event(), asyncio.Event()

    async def send(self, event: ASGISendEvent) -> None:
        self.is_reading.set()
        await self.may_read.wait()
        await super().send(event)


@pytest.mark.parametrize("leaves", ["none", "none, and it is heavy", "first", "second"])
def test_an_account_with_large_answers_unread_waits(monkeypatch: pytest.MonkeyPatch, leaves: str) -> None:
    """Until there are fewer, or it has waited for long, or it leaves. Others do not wait; nor do heavy ones of its own,
    which are refused.
    """
    monkeypatch.setattr(responses, "FILES_OF_KEY", 1)
    monkeypatch.setattr(threads, "WAIT_SECONDS", 0.05 if leaves == "none" else 5)
    ran: list[str] = []

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if refusal := environ.get(REFUSAL_KEY):
            start_response(f"{refusal.status} x", [])
            return [str(refusal.detail).encode()]
        ran.append(environ["PATH_INFO"])
        start_response("200 OK", [])
        return [b"a" * (responses.IN_MEMORY + 1)]

    async def run() -> list[Client]:
        slow, second, other = SlowReader(), Client(ending=None), Client(ending=None)
        bridged = make_bridge(application, 4)

        def ask(client: Client, path: bytes, caller: str) -> "asyncio.Task[None]":
            return asyncio.create_task(bridged(scope(path=path, authorization=caller), client.receive, client.send))

        first = ask(slow, b"/first", "ada")
        await slow.is_reading.wait()
        if leaves == "second":
            second = Client(ending="http.disconnect")
        waits = ask(second, b"/heavy" if "heavy" in leaves else b"/second", "ada")
        await ask(other, b"/other", "bob")
        if leaves == "first":
            slow.may_read.set()
        async with asyncio.timeout(2):
            await waits
        slow.may_read.set()
        await first
        return [slow, second, other]

    slow, second, other = asyncio.run(run())
    assert slow.status == other.status == 200
    assert second.status == {"first": 200, "second": 499}.get(leaves, 429)
    if second.status == 429:
        assert second.body.startswith(b"Read the answers to your other requests")
    assert ran == ["/first", "/other", *(["/second"] if leaves == "first" else [])]


def test_who_signs_in_waits_for_no_reader_of_their_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "FILES_OF_NETWORK", 0)
    monkeypatch.setattr(responses, "FILES_OF_KEY", 0)
    monkeypatch.setattr(threads, "WAIT_SECONDS", 0.05)
    assert [Client().exchange(mirror, scope(path=path)).status for path in (b"/hash", b"/")] == [200, 429]


def test_what_is_left_of_a_body_is_not_read_while_its_request_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for one piece, after which a client that goes would show."""
    monkeypatch.setattr(bodies, "DISCARDED", LIMIT)
    monkeypatch.setattr(threads, "WAIT_SECONDS", 0.05)
    event, endless = threading.Event(), Client(*[b"a" * LIMIT] * 10)

    async def run() -> None:
        bridged, first = make_bridge(blocked_by(event)), Client()
        held = asyncio.create_task(bridged(scope(path=b"/slow"), first.receive, first.send))
        await asyncio.sleep(0)
        await bridged(scope("POST", authorization="b", transfer_encoding="chunked"), endless.receive, endless.send)
        event.set()
        await held

    asyncio.run(run())
    assert endless.status == 503
    assert endless.unsent == 8


def test_who_finds_a_full_queue_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "QUEUE", 1)
    event = threading.Event()

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if REFUSAL_KEY not in environ:
            event.wait(10)
        return mirror(environ, start_response)

    async def run() -> list[int]:
        bridged, clients = make_bridge(application), [Client() for _ in range(3)]
        tasks = [
            asyncio.create_task(bridged(scope(authorization=caller), each.receive, each.send))
            for caller, each in zip("abc", clients, strict=True)
        ]
        await asyncio.wait([tasks[2]])
        event.set()
        await asyncio.gather(*tasks)
        return [each.status for each in clients]

    assert asyncio.run(run()) == [200, 200, 503]


@pytest.mark.parametrize("parts, most", [([], 39), ([b"{}"], 45)])
def test_a_request_takes_few_calls_of_the_event_loop(parts: list[bytes], most: int) -> None:
    """What it costs all others: all requests share one event loop."""
    length = {"content_length": str(len(parts[0])), "content_type": "application/json"} if parts else {}
    request = scope("POST" if parts else "GET", b"/api/me/tasks", b"", host="localhost", accept="*/*", **length)
    calls: list[str] = []

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and f"{os.sep}asyncio{os.sep}" not in frame.f_code.co_filename:
            calls.append(frame.f_code.co_qualname)

    async def run() -> None:
        bridged = make_bridge(mirror)
        for profile in (None, count):  # the first fills caches
            client = Client()
            sys.setprofile(profile)
            try:
                await bridged(request, Client(*parts).receive, client.send)
            finally:
                sys.setprofile(None)
            assert client.status == 200

    uvloop.run(run())
    assert len(calls) <= most, calls
