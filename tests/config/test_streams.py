"""What the bridge does with an answer that goes on: events, comments, its end, its bounds, and requests that wait."""

import asyncio
import json
import multiprocessing
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from config.errors import TooManyAtOnce
from config.http.middleware import REFUSAL_KEY, refuse
from config.server import streams
from config.server.bridge import Bridge, Lane
from config.server.streams import HOLDS, Places, Stream, Streams, Wait
from config.server.wakeups import Subscription, Wakeups
from tests.config.test_bridge import Client, scope
from tests.config.test_wakeups import LATER, Numbers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Answer(list[bytes]):
    follow: Stream | Wait | None = None


class Application:
    """A WSGI application whose answers go on; the path says how."""

    def __init__(self, source: Numbers) -> None:
        self.source = source
        self.ran: list[dict[str, Any]] = []
        self.ends_at = LATER

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        self.ran.append(dict(environ))
        if refusal := environ.get(REFUSAL_KEY):
            start_response(f"{refusal.status} x", [])
            return [refusal.code.encode()]
        answer = Answer([b"retry: 2000\n\n"])
        head = self.source.heads[1]
        subscription = Subscription(1, "grant", head, self.ends_at)
        start_response("200 OK", [("Content-Type", "text/event-stream"), ("Content-Length", "13")])
        if environ["PATH_INFO"] == "/stream":
            answer.follow = Stream(subscription, None, lambda head: b"%d\n\n" % head, b"expired\n\n")
        else:
            answer[:] = [json.dumps(head).encode()]
            if not environ.get("waited"):
                answer.follow = Wait(subscription, float(environ["QUERY_STRING"]), {"waited": True})
        return answer


class Scene:
    """A bridge on a running event loop."""

    def __init__(self) -> None:
        self.source = Numbers()
        self.hub = Wakeups(self.source)
        self.application = Application(self.source)
        self.bridge = Bridge(
            self.application,
            threads=2,
            max_body=1000,
            lane_of=lambda *request: Lane.COMMON,
            networks_of=lambda environ: {environ["REMOTE_ADDR"]: 3},
            caller_of=lambda environ, network: network,
            refuser=refuse,
            refusal_key=REFUSAL_KEY,
            streams=Streams(self.hub, Places(None)),
        )
        self.tasks: list[asyncio.Task[None]] = []

    def ask(self, path: bytes = b"/stream", query: bytes = b"", client: Client | None = None) -> "Watched":
        client = client or Watched()
        self.tasks.append(
            asyncio.ensure_future(self.bridge(scope(path=path, query=query), client.receive, client.send))
        )
        return client  # type: ignore[return-value]


class Watched(Client):
    """A client that a test can wait for, and that can go away."""

    def __init__(self) -> None:
        super().__init__(ending=None)
        self.gone = asyncio.Event()

    async def receive(self) -> Any:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def until(self, *parts: bytes) -> None:
        while self.body != b"".join(parts):
            await asyncio.sleep(0.001)

    @property
    def is_complete(self) -> bool:
        return self.got[-1].get("more_body") is False


def play(scene: Callable[[Scene], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(10):
            stage = Scene()
            await scene(stage)
            stage.bridge.stop()
            await asyncio.gather(*stage.tasks)
            assert stage.hub.count == 0

    asyncio.run(run())


RETRY = b"retry: 2000\n\n"


def test_a_stream_tells_the_position_and_each_move_of_it() -> None:
    async def scene(stage: Scene) -> None:
        client = stage.ask()
        await client.until(RETRY, b"0\n\n")
        stage.source.heads[1] = 5
        await client.until(RETRY, b"0\n\n", b"5\n\n")
        assert (client.status, client.headers) == (200, [("content-type", "text/event-stream")])
        assert stage.application.ran[0][HOLDS] is True

    play(scene)


def test_a_stream_ends_with_its_subscription() -> None:
    async def scene(stage: Scene) -> None:
        stage.application.ends_at = time.time() + 0.2
        client = stage.ask()
        await client.until(RETRY, b"0\n\n", b"expired\n\n")
        await asyncio.gather(*stage.tasks)
        assert client.is_complete and time.time() >= stage.application.ends_at

    play(scene)


def test_a_refused_stream_ends() -> None:
    async def scene(stage: Scene) -> None:
        stage.source.refusing.add("grant")
        client = stage.ask()
        await asyncio.gather(*stage.tasks)
        assert client.body.endswith(b"expired\n\n") and client.is_complete

    play(scene)


def test_a_comment_comes_when_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "COMMENT_SECONDS", 0.05)

    async def scene(stage: Scene) -> None:
        client = stage.ask()
        await client.until(RETRY, b"0\n\n", b":\n\n", b":\n\n")

    play(scene)


def test_a_stream_whose_client_has_gone_is_forgotten() -> None:
    async def scene(stage: Scene) -> None:
        client = stage.ask()
        await client.until(RETRY, b"0\n\n")
        client.gone.set()
        await asyncio.gather(*stage.tasks)
        assert stage.hub.count == 0

    play(scene)


def test_a_client_that_does_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SEND_SECONDS", 0.05)

    class Deaf(Watched):
        async def send(self, event: Any) -> None:
            if self.got:
                await asyncio.Event().wait()
            await super().send(event)

    async def scene(stage: Scene) -> None:
        stage.ask(client=Deaf())
        await asyncio.gather(*stage.tasks)
        assert stage.hub.count == 0

    play(scene)


def test_the_end_of_the_server_is_the_end_of_streams_and_waits_and_none_begins_after_it() -> None:
    async def scene(stage: Scene) -> None:
        clients = [stage.ask(), stage.ask(b"/wait", b"25")]
        await clients[0].until(RETRY, b"0\n\n")
        while stage.hub.count < 2:
            await asyncio.sleep(0.001)
        stage.bridge.stop()
        await asyncio.gather(*stage.tasks)
        assert [client.body for client in clients] == [RETRY + b"0\n\n", b"0"]
        late = stage.ask()
        await asyncio.gather(*stage.tasks)
        assert (late.status, late.body) == (503, b"overloaded")

    play(scene)


# --- Bounds -----------------------------------------------------------------------------------------


def test_a_network_has_so_many_streams_beside_its_requests() -> None:
    async def scene(stage: Scene) -> None:
        clients = [stage.ask() for _ in range(3)]
        for client in clients:
            await client.until(RETRY, b"0\n\n")
        fourth, request = stage.ask(), stage.ask(b"/wait", b"0")
        await fourth.until(b"too_many_at_once")
        await request.until(b"0")
        clients[0].gone.set()
        await asyncio.wait([stage.tasks[0]])
        await stage.ask().until(RETRY, b"0\n\n")

    play(scene)


def test_a_worker_has_so_many_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "OF_WORKER", 1)

    async def scene(stage: Scene) -> None:
        await stage.ask().until(RETRY, b"0\n\n")
        refused = stage.ask()
        await refused.until(b"overloaded")
        assert refused.status == 503

    play(scene)


def test_a_key_has_so_many_places_in_one_process() -> None:
    places = Places(None, of_key=2)
    with places.taken(1), places.taken(2), places.taken(1):
        with pytest.raises(TooManyAtOnce), places.taken(1):
            pass
        with places.taken(2):
            pass
    with places.taken(1), places.taken(1):
        pass


@pytest.mark.thorough
def test_a_key_has_so_many_places_in_all_processes_and_those_of_a_dead_one_are_free(tmp_path: Path) -> None:
    path = tmp_path / "places"
    path.touch()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    other = context.Process(target=_hold, args=[str(path), theirs])
    other.start()
    assert ours.recv() == "holds"
    places = Places(str(path), of_key=2)
    with places.taken(1):
        with pytest.raises(TooManyAtOnce), places.taken(1):
            pass
        other.kill()
        other.join()
        with places.taken(1):
            pass


def _hold(path: str, pipe: Any) -> None:
    with ExitStack() as held:
        held.enter_context(Places(path, of_key=2).taken(1))
        pipe.send("holds")
        pipe.poll(60)


# --- Requests that wait -----------------------------------------------------------------------------


def test_a_request_that_waits_is_run_again_at_the_move_and_holds_no_thread() -> None:
    async def scene(stage: Scene) -> None:
        clients = [stage.ask(b"/wait", b"25") for _ in range(3)]  # more than there are threads
        while stage.hub.count < 3:
            await asyncio.sleep(0.001)
        stage.source.heads[1] = 5
        await asyncio.gather(*stage.tasks)
        assert [client.body for client in clients] == [b"5"] * 3
        assert len(stage.application.ran) == 6

    play(scene)


def test_a_request_whose_time_is_over_is_answered_without_another_run() -> None:
    async def scene(stage: Scene) -> None:
        client = stage.ask(b"/wait", b"0.1")
        await asyncio.gather(*stage.tasks)
        assert (client.body, len(stage.application.ran)) == (b"0", 1)

    play(scene)


def test_a_request_whose_caller_may_not_wait_any_more_is_run_again() -> None:
    async def scene(stage: Scene) -> None:
        stage.source.refusing.add("grant")
        stage.ask(b"/wait", b"25")
        await asyncio.gather(*stage.tasks)
        assert len(stage.application.ran) == 2

    play(scene)
